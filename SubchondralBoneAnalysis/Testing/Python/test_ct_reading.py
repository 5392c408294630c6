"""A knee CT from files: HU at the right place, of the right series, and a sentence for what is no knee CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from bone_volumes import write
from leg_ct import (
    AIR,
    AXES,
    CENTRE,
    PIXEL_MM,
    SIZE,
    SLICES,
    STEP_MM,
    TILTED,
    UID,
    corners,
    ends,
    first_pixels,
    leg,
    numbered,
    plane_of,
    sampled,
    sheared,
    with_nail,
    write_ct,
    write_enhanced_ct,
)
from pydicom import Dataset
from scipy import ndimage

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading import KneeCt, read_ct
from SubchondralBoneAnalysisLib.ct_reading.kernels import kernel_class
from SubchondralBoneAnalysisLib.ct_reading.slice_positions import slice_positions

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
PADDING = -2000


def slices_of_leg(shape=leg) -> np.ndarray:
    """The slices that `write_ct` writes, as HU [k, j, i]."""
    return np.array([plane_of(shape, first) for first in first_pixels(np.arange(SLICES) * STEP_MM)])


def largest_error(ct: KneeCt, shape=leg) -> float:
    """Of all voxels that were measured, against the shape itself."""
    seen = ndimage.binary_erosion(ct.volume.array > -1024, np.ones((1, 3, 3)))
    return float(np.abs(ct.volume.array - sampled(ct.volume, shape))[seen].max())


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as refused:
        read_ct(path)
    sentence = str(refused.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "secret" not in sentence.lower()
    assert "4711" not in sentence
    return sentence


# ------------------------------------------------------------------------------------------------------------- DICOM


def test_a_dicom_series_is_read_in_hu_at_its_place(tmp_path):
    ct = read_ct(write_ct(tmp_path / "ct", ConvolutionKernel="Br64", ImageLaterality="R"))
    assert ct.volume.array.dtype == np.int16
    assert ct.volume.array.shape == (SLICES, *SIZE)
    assert ct.volume.spacing_mm == pytest.approx((STEP_MM, PIXEL_MM, PIXEL_MM))
    assert ct.volume.direction_lps == IDENTITY
    assert largest_error(ct) <= 0.5
    assert (ct.warnings, ct.metal, ct.side) == ((), None, "right")
    assert ct.series == "series 1 (40 slices 1 mm apart, kernel Br64, first file s1_000.dcm)"
    assert ct.tissues.fat_hu == pytest.approx(-100, abs=5)
    assert ct.tissues.muscle_hu == pytest.approx(55, abs=5)
    assert ct.volume.files[0].name == "s1_000.dcm"
    assert len(ct.volume.files) == SLICES


def test_each_slice_has_its_own_rescale_slope_and_intercept(tmp_path):
    def halve(dataset: Dataset, stored: np.ndarray, k: int) -> None:
        if k % 2:
            stored //= 2
            dataset.RescaleSlope = 2

    ct = read_ct(write_ct(tmp_path / "ct", intercept=-1000, edit=halve))
    assert largest_error(ct) <= 2.0


@pytest.mark.parametrize("written", ["signed", "unsigned", "range", "not at all"])
def test_padding_is_air(tmp_path, written):
    def pad(dataset: Dataset, stored: np.ndarray, k: int) -> None:
        first = first_pixels(np.arange(SLICES) * STEP_MM)[k]
        outside = plane_of(corners, first)
        stored[outside] = PADDING if written != "range" else np.where(np.arange(outside.sum()) % 2, 3000, 3050)
        if written == "range":
            dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 3050, 3000
        elif written != "not at all":
            dataset.add_new(0x00280120, *(("US", PADDING + 65536) if written == "unsigned" else ("SS", PADDING)))

    ct = read_ct(write_ct(tmp_path / "ct", intercept=0, edit=pad))
    outside = sampled(ct.volume, corners)
    assert outside.any()
    assert (ct.volume.array[outside] == -1024).all()
    assert np.abs(ct.volume.array - sampled(ct.volume))[~outside].max() <= 0.5


def test_slices_are_ordered_by_their_place_not_by_their_names(tmp_path):
    heights = np.random.default_rng(1).permutation(SLICES) * STEP_MM
    ct = read_ct(write_ct(tmp_path / "ct", heights))
    assert ct.volume.spacing_mm[0] == pytest.approx(STEP_MM)
    assert largest_error(ct) <= 0.5


def test_coronal_slices_keep_their_place(tmp_path):
    axes = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    firsts = first_pixels(np.arange(SLICES) * STEP_MM)

    def turn(dataset: Dataset, stored: np.ndarray, k: int) -> None:
        first = CENTRE + [-PIXEL_MM * 31.5, (k - SLICES / 2) * STEP_MM, PIXEL_MM * 27.5]
        stored[:] = np.rint(plane_of(leg, first, axes) + 1024)
        dataset.ImagePositionPatient = first.tolist()

    ct = read_ct(write_ct(tmp_path / "ct", axes=axes, edit=turn))
    assert len(firsts) == len(ct.volume.array)
    assert np.reshape(ct.volume.direction_lps, (3, 3))[:, 2] == pytest.approx((0, 1, 0))
    assert largest_error(ct) <= 0.5


def test_an_enhanced_file_of_many_frames_is_read(tmp_path):
    order = np.random.default_rng(2).permutation(SLICES).tolist()
    ct = read_ct(write_enhanced_ct(tmp_path / "enhanced.dcm", order))
    assert ct.volume.array.shape == (SLICES, *SIZE)
    assert largest_error(ct) <= 1.0
    assert ct.warnings == ()


def test_files_in_folders_below_and_other_files_beside_them(tmp_path):
    write_ct(tmp_path / "study" / "CT1")
    (tmp_path / "study" / "readme.txt").write_text("Dear colleague")
    (tmp_path / "study" / "CT1" / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\x07" * 60)
    copy = tmp_path / "study" / "copy.dcm"
    copy.write_bytes((tmp_path / "study" / "CT1" / "s1_003.dcm").read_bytes())
    assert largest_error(read_ct(tmp_path / "study")) <= 0.5


def test_compressed_slices_are_read(tmp_path):
    folder = write_ct(tmp_path / "ct")
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(file)
    assert largest_error(read_ct(folder)) <= 0.5


def test_a_damaged_slice_is_named(tmp_path):
    folder = write_ct(tmp_path / "ct")
    data = (folder / "s1_007.dcm").read_bytes()
    (folder / "s1_007.dcm").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match=r"s1_007.dcm is a DICOM file that is damaged"):
        read_ct(folder)


# ---------------------------------------------------------------------------------------------- tilt and unequal steps


def test_slices_of_a_tilted_gantry_are_moved_upright(tmp_path):
    ct = read_ct(write_ct(tmp_path / "ct", axes=TILTED))
    axes = np.reshape(ct.volume.direction_lps, (3, 3))
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-6)
    assert ct.volume.spacing_mm[0] == pytest.approx(np.cos(np.radians(15)) * STEP_MM, rel=1e-4)
    assert ct.warnings == ("its slices are shifted against each other (tilted by 15.0°) and were moved upright",)
    # Everything that was seen is there, and at its place.
    seen = first_pixels(np.arange(SLICES) * STEP_MM)
    index = (seen - ct.volume.origin_lps) @ axes / np.array(ct.volume.spacing_mm)[::-1]
    assert (index > -1e-3).all()
    assert (index < np.array(ct.volume.array.shape[::-1])).all()
    assert largest_error(ct) < 60  # of edges of 2200 HU that are 0.7 mm wide, on pixels of 1.2 mm
    assert np.abs(ct.volume.array - sampled(ct.volume))[ct.volume.array > -1024].mean() < 2


@pytest.mark.parametrize("change", ["of section", "of every slice"])
def test_unequal_steps_are_interpolated(tmp_path, change):
    if change == "of section":
        heights = np.cumsum([0.0] + [0.8] * 24 + [1.2] * 16)
    else:
        heights = np.arange(SLICES) + np.random.default_rng(3).uniform(-0.15, 0.15, SLICES)
    ct = read_ct(write_ct(tmp_path / "ct", heights))
    assert len(ct.warnings) == 1
    assert "mm apart and were interpolated at even steps of" in ct.warnings[0]
    assert ends(ct.volume)[:, 2].max() <= heights.max() + CENTRE[2]
    assert np.ptp(ends(ct.volume)[:, 2]) > np.ptp(heights) - 1.2
    assert np.abs(ct.volume.array - sampled(ct.volume)).mean() < 3


def test_positions_written_to_a_hundredth_are_even(tmp_path):
    ct = read_ct(write_ct(tmp_path / "ct", np.round(np.arange(SLICES) * 0.625, 2)))
    assert ct.warnings == ()
    assert ct.volume.spacing_mm[0] == pytest.approx(0.625, abs=1e-3)


def test_a_tilted_stack_of_unequal_steps(tmp_path):
    heights = np.cumsum([0.0] + [0.8] * 20 + [1.2] * 20)
    ct = read_ct(write_ct(tmp_path / "ct", heights, axes=TILTED))
    assert len(ct.warnings) == 2
    assert np.abs(ct.volume.array - sampled(ct.volume))[ct.volume.array > -1024].mean() < 5


@pytest.mark.parametrize("skip", [(7,), (7, 8), (7, 20), (1,), (SLICES - 2,), tuple(range(10, 25)), (3, 6, 9, 12, 15)])
def test_missing_slices_are_refused(tmp_path, skip):
    sentence = refusal(write_ct(tmp_path / "ct", skip=skip))
    assert "slices missing" in sentence
    assert f"between s1_{skip[0] - 1:03d}.dcm and" in sentence


@pytest.mark.parametrize("skip", [(7,), (3, 6, 9, 12), (1,)])
def test_missing_slices_are_found_without_numbers_too(skip):
    heights = np.delete(np.arange(SLICES) * 0.6, skip)
    positions = np.column_stack([np.zeros((len(heights), 2)), heights])
    places = slice_positions(positions, AXES, (0.5, 0.5))
    assert places.missing_after() == [n - 1 - index for index, n in enumerate(skip)]


def test_doubled_slices_are_refused(tmp_path):
    heights = np.insert(np.arange(SLICES) * STEP_MM, 10, 10.0)
    assert "has doubled slices (two or more at the same place, 1 times)" in refusal(write_ct(tmp_path / "ct", heights))


# ------------------------------------------------------------------------------------------------------ which series


def test_the_bone_kernel_is_chosen_beside_a_soft_one_thick_slices_and_a_localizer(tmp_path):
    folder = tmp_path / "study"
    write_ct(folder, number=2, ConvolutionKernel="B30f")
    write_ct(folder, number=3, ConvolutionKernel="B70s")
    write_ct(folder, np.arange(16) * 3.0, number=4, ConvolutionKernel="B70s")
    write_ct(folder, [0.0], number=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_ct(folder, number=5, Modality="PT")
    ct = read_ct(folder)
    assert ct.series.startswith("series 3 (40 slices 1 mm apart, kernel B70s")
    assert len(ct.warnings) == 1
    assert ct.warnings[0].startswith("of 3 CT series series 3")
    assert "series 2" in ct.warnings[0]
    assert "series 4" in ct.warnings[0]


def test_a_localizer_in_the_series_itself_is_left_out(tmp_path):
    folder = write_ct(tmp_path / "ct")
    scout = write_ct(
        tmp_path / "scout", [0.0], SOPInstanceUID=f"{UID}.9", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    (scout / "s1_000.dcm").rename(folder / "scout.dcm")
    ct = read_ct(folder)
    assert len(ct.volume.array) == SLICES
    assert ct.warnings == ()


def test_axial_slices_go_before_reformatted_ones(tmp_path):
    folder = tmp_path / "study"
    write_ct(folder, number=2, ConvolutionKernel="B70s", ImageType=["DERIVED", "SECONDARY", "MPR"])
    write_ct(folder, number=3, ConvolutionKernel="B40f")
    assert read_ct(folder).series.startswith("series 3")


def test_one_file_names_the_series(tmp_path):
    folder = tmp_path / "study"
    write_ct(folder, number=2, ConvolutionKernel="B30f")
    write_ct(folder, number=3, ConvolutionKernel="B70s")
    ct = read_ct(folder / "s2_011.dcm")
    assert ct.series.startswith("series 2")
    assert ct.warnings == ()


def test_two_legs_in_series_of_their_own_are_a_question(tmp_path):
    folder = tmp_path / "study"
    write_ct(folder, number=2)
    write_ct(folder, number=3, centre=CENTRE + [200, 0, 0], shape=lambda points: leg(points - [200, 0, 0]))
    sentence = refusal(folder)
    assert "different parts of the body" in sentence
    assert "series 2" in sentence
    assert "series 3" in sentence
    assert "first file s3_000.dcm" in sentence
    assert "give one file of the series" in sentence


@pytest.mark.parametrize(("tag", "said"), [("PatientID", "patients"), ("StudyInstanceUID", "studies")])
def test_series_of_different_patients_or_studies_are_refused(tmp_path, tag, said):
    folder = write_ct(write_ct(tmp_path / "study", number=1), number=2, **{tag: "1.2.3"})
    assert f"different {said}" in refusal(folder)


@pytest.mark.parametrize(
    ("tags", "heights", "said"),
    [
        ({"Modality": "MR"}, None, "is MR, not CT"),
        ({"Modality": "SECRET"}, None, "does not say that it is CT"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, None, "is a localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, None, "holds no density"),
        ({"SamplesPerPixel": 3}, None, "is in colour"),
        ({"ImagePositionPatient": None}, None, "does not say where its slices lie"),
        ({}, np.arange(5) * 1.0, "has fewer than 16 slices"),
        ({}, np.arange(20) * 3.0, "has voxels of 1.2 × 1.2 × 3 mm, more than 1.5 mm"),
        ({"PixelSpacing": [0.1, 0.1]}, None, "has voxels of 0.1 × 0.1 × 1 mm, less than 0.2 mm"),
    ],
)
def test_a_series_that_cannot_be_measured_is_refused(tmp_path, tags, heights, said):
    def late(dataset: Dataset, stored: np.ndarray, k: int) -> None:  # noqa: ARG001
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)

    folder = write_ct(tmp_path / "ct", heights, edit=late)
    if "SamplesPerPixel" in tags:  # the writer sets it last
        in_colour(folder)
    assert said in refusal(folder)


def in_colour(folder: Path) -> None:
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.SamplesPerPixel = 3
        dataset.save_as(file)


def test_all_reasons_are_listed_where_no_series_will_do(tmp_path):
    folder = write_ct(tmp_path / "study", np.arange(20) * 3.0, number=1)
    write_ct(folder, skip=[5], number=2)
    sentence = refusal(folder)
    assert "more than 1.5 mm" in sentence
    assert "slices missing" in sentence


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("B70s", "bone"),
        ("Br64d\\3", "bone"),
        ("BONEPLUS", "bone"),
        ("FC30", "bone"),
        ("YD", "bone"),
        ("Hr40f", "standard"),
        ("STANDARD", "standard"),
        ("B", "standard"),
        ("B30f", "soft tissue"),
        ("FC08", "soft tissue"),
        ("SOFT", "soft tissue"),
        ("", ""),
        ("unheard of", ""),
    ],
)
def test_what_a_kernel_is_for(name, kind):
    assert kernel_class(name) == kind


# ------------------------------------------------------------------------------------------------------- other files


@pytest.mark.parametrize("name", ["v.nrrd", "v.nii.gz", "v.mha"])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_other_formats_are_read_in_hu_at_their_place(tmp_path, name, kind):
    array = np.rint(slices_of_leg()).astype(kind)
    origin = tuple(first_pixels(np.arange(SLICES) * STEP_MM)[0])
    ct = read_ct(write(tmp_path / name, array, (STEP_MM, PIXEL_MM, PIXEL_MM), origin, IDENTITY))
    assert ct.volume.array.dtype == np.int16
    assert largest_error(ct) <= 1.0  # NIfTI keeps its place in 32 bit
    assert (ct.series, ct.warnings, ct.metal) == (name, (), None)


def test_padding_far_below_air_is_air(tmp_path):
    array = slices_of_leg().astype(np.int16)
    array[:, :5] = -3024
    ct = read_ct(write(tmp_path / "v.nrrd", array, (1.0, 1.2, 1.2)))
    assert ct.volume.array.min() == -1024
    assert (ct.volume.array[:, :5] == -1024).all()


def test_sheared_slices_of_a_file_are_moved_upright(tmp_path):
    slant = np.tan(np.radians(10))
    firsts = first_pixels(np.arange(SLICES) * STEP_MM) + np.outer(np.arange(SLICES) * STEP_MM, [0, slant, 0])
    array = np.rint([plane_of(leg, first) for first in firsts]).astype(np.int16)
    spacing = (STEP_MM * np.hypot(slant, 1), PIXEL_MM, PIXEL_MM)
    ct = read_ct(write(tmp_path / "v.nrrd", array, spacing, tuple(firsts[0]), sheared(slant)))
    assert ct.volume.direction_lps == pytest.approx(IDENTITY)
    assert ct.volume.spacing_mm == pytest.approx((STEP_MM, PIXEL_MM, PIXEL_MM))
    assert "tilted by 10.0°" in ct.warnings[0]
    assert largest_error(ct) < 60


def test_metal_is_found_with_the_zone_of_its_streaks(tmp_path):
    ct = read_ct(write_ct(tmp_path / "ct", shape=with_nail))
    nail = sampled(ct.volume, with_nail) == 3071
    assert ct.metal.dtype == bool
    assert ct.metal[nail].all()
    assert (ct.implants == nail).all()
    across = ndimage.distance_transform_edt(~nail, sampling=(1e3, PIXEL_MM, PIXEL_MM))
    assert ct.metal[across <= 10].all()
    assert not ct.metal[across > 12].any()
    assert "it holds metal" in ct.warnings[0]


def test_dense_cortex_and_single_bright_voxels_are_no_metal(tmp_path):
    array = slices_of_leg()
    array = np.where(array > 900, 2 * array, array)
    array[5, 20, 20] = 3071
    assert read_ct(write(tmp_path / "v.nrrd", array.astype(np.int16), (1.0, 1.2, 1.2))).metal is None


def mr(array: np.ndarray) -> np.ndarray:
    return np.abs(array + 300)


def labels() -> np.ndarray:
    return numbered({"femur": 1, "tibia": 2, "patella": 3})


NO_CT = {
    "MR": (mr, "no grey value below 0, so it is an MR"),
    "MR with mean 0": (lambda a: mr(a) - 400, "not in Hounsfield units"),
    "labels": (lambda _: labels(), "is a label map or a mask (4 values"),
    "mask": (lambda a: (a > 200).astype(np.uint8), "is a label map or a mask (2 values"),
    "shifted": (lambda a: a + 1024, "lie about 1000 above Hounsfield units"),
    "shifted to 0": (lambda a: a + 1000, "lie about 1000 above Hounsfield units"),
    "halved": (lambda a: a / 2, "its air is not at -1000"),
    "fat like water": (
        lambda a: np.where(np.abs(a + 100) < 60, 0, a),
        "most of its soft tissue is at 2, where neither",
    ),
    "no muscle": (lambda a: np.where(np.abs(a - 55) < 60, -100, a), "no peak of muscle between 20 and 90"),
    "no bone": (lambda a: np.minimum(a, 60), "shows no bone"),
    "empty": (lambda a: np.full_like(a, AIR), "no peak of fat"),
}


@pytest.mark.parametrize("case", NO_CT)
def test_what_is_no_ct_in_hu_is_refused(tmp_path, case):
    make, said = NO_CT[case]
    array = make(slices_of_leg())
    array = array if array.dtype == np.uint8 else np.rint(array).astype(np.int16)
    assert said in refusal(write(tmp_path / "v.nrrd", array, (1.0, 1.2, 1.2)))


def test_noise_of_a_bone_kernel_hides_no_peak(tmp_path):
    noise = np.random.default_rng(4).normal(0, 90, (2 * SLICES, *SIZE))
    fine = np.repeat(slices_of_leg(), 2, axis=0) + noise
    ct = read_ct(write(tmp_path / "v.nrrd", fine.astype(np.int16), (0.5, 0.6, 0.6)))
    assert ct.tissues.fat_hu == pytest.approx(-100, abs=15)
    assert ct.tissues.muscle_hu == pytest.approx(55, abs=10)


def test_a_part_of_a_leg_without_air_is_a_ct(tmp_path):
    part = slices_of_leg()[:, 6:-6, 10:-10]
    part = part[:, part.shape[1] // 2 - 16 : part.shape[1] // 2 + 16, part.shape[2] // 2 - 18 : part.shape[2] // 2 + 18]
    assert part.min() > -900
    assert read_ct(write(tmp_path / "v.nrrd", part.astype(np.int16), (1.0, 1.2, 1.2))).metal is None


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.0), (1.0, 1.0, 0.1)])
def test_voxels_of_another_size_are_refused(tmp_path, spacing):
    path = write(tmp_path / "v.nrrd", slices_of_leg().astype(np.int16), spacing)
    assert "give a CT reconstructed with voxels of 0.2 to 1.5 mm" in refusal(path)


@pytest.mark.parametrize("name", ["nowhere", "empty folder"])
def test_nothing_there_is_said(tmp_path, name):
    (tmp_path / "empty folder").mkdir()
    assert "does not exist" in refusal(tmp_path / name) if name == "nowhere" else "no DICOM" in refusal(tmp_path / name)


# --------------------------------------------------------------------------------------------------------- real scans


@pytest.mark.parametrize("name", ["knee_ct_right_image_side.nrrd", "visible_human_female_plateau.nrrd"])
def test_real_knee_ct(shared_data, name):
    ct = read_ct(shared_data / "knee-ct" / name)
    assert ct.warnings == ()
    assert ct.metal is None
    assert ct.tissues.fat_hu == pytest.approx(-100, abs=15)
    assert ct.tissues.muscle_hu == pytest.approx(55, abs=15)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dess_echo1.nrrd", "so it is an MR"),
        ("mese_echo1.nrrd", "4 mm, more than 1.5 mm"),
        ("mese_echo1_dicom", "is MR, not CT"),
        ("right_knee_bone_cartilage_labels.nrrd", "is a label map"),
    ],
)
def test_real_knee_mr_is_no_ct(shared_data, name, said):
    assert said in refusal(shared_data / "knee-mr" / name)
