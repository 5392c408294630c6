"""Volumes from files: their voxels stay what they are, and every one of them has its place and size in mm."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bone_volumes import (
    ORIGIN_LPS,
    SPACING_KJI_MM,
    TURNED,
    plates_and_rods,
    write,
    write_dicom_series,
    write_imagej_tiff,
    write_nrrd_text,
)
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.volume import Volume, grid_difference, read_volume, write_volume

BONE = plates_and_rods(24)[:20, :22, :]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("name", ["v.nrrd", "v.nhdr", "v.mha", "v.mhd", "v.nii", "v.nii.gz"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32])
def test_voxels_keep_their_type_and_place_in_every_format(tmp_path, name, kind):
    array = (BONE * 200 - (0 if np.issubdtype(kind, np.unsignedinteger) else 7)).astype(kind)
    volume = read_volume(write(tmp_path / name, array))
    assert volume.array.dtype == kind
    assert np.array_equal(volume.array, array)
    assert volume.spacing_mm == pytest.approx(SPACING_KJI_MM, rel=1e-6)
    assert volume.origin_lps == pytest.approx(ORIGIN_LPS, rel=1e-6)
    assert volume.direction_lps == pytest.approx(TURNED, abs=1e-6)
    assert volume.voxel_mm3 == pytest.approx(0.06 * 0.05 * 0.05, rel=1e-6)


def test_a_header_and_its_data_are_both_files_of_the_volume(tmp_path):
    for header, data in (("v.mhd", "v.zraw"), ("v.nhdr", "v.raw.gz")):
        assert read_volume(write(tmp_path / header, BONE)).files == (tmp_path / header, tmp_path / data)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_what_is_written_is_read_again(tmp_path, kind):
    turn = Rotation.from_euler("xyz", (10, 20, 30), degrees=True).as_matrix().ravel()
    like = Volume(BONE, SPACING_KJI_MM, ORIGIN_LPS, tuple(turn))
    array = (BONE * 3).astype(kind)
    write_volume(tmp_path / "v.nrrd", array, like)
    volume = read_volume(tmp_path / "v.nrrd")
    assert volume.array.dtype == (np.uint8 if kind is bool else kind)
    assert np.array_equal(volume.array, array)
    assert grid_difference(volume, like) is None
    assert volume.spacing_mm == pytest.approx(SPACING_KJI_MM, rel=1e-14)
    assert volume.origin_lps == ORIGIN_LPS
    assert volume.direction_lps == pytest.approx(like.direction_lps, abs=1e-14)


def test_a_part_that_is_not_contiguous_is_written_as_it_looks(tmp_path):
    part = np.arange(24**3, dtype=np.float32).reshape(24, 24, 24).transpose(2, 0, 1)[::2, 3:9, ::-1]
    write_volume(tmp_path / "v.nrrd", part, Volume(part, SPACING_KJI_MM))
    assert np.array_equal(read_volume(tmp_path / "v.nrrd").array, part)


def test_a_file_written_in_ras_has_its_origin_turned_to_lps(tmp_path):
    fields = ["space: right-anterior-superior", "space directions: (0.1,0,0) (0,0.2,0) (0,0,0.3)"]
    volume = read_volume(write_nrrd_text(tmp_path / "v.nrrd", BONE, *fields, "space origin: (1,2,3)"))
    assert volume.origin_lps == (-1.0, -2.0, 3.0)
    assert volume.direction_lps == (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    assert volume.spacing_mm == pytest.approx((0.3, 0.2, 0.1))


def test_a_nifti_in_micrometres_is_read_in_mm(tmp_path):
    path = write(tmp_path / "v.nii", BONE, (60.0, 50.0, 50.0))
    head = bytearray(path.read_bytes())
    head[123] = 3  # xyzt_units: micrometres
    path.write_bytes(head)
    assert read_volume(path).spacing_mm == pytest.approx(SPACING_KJI_MM, rel=1e-5)


@pytest.mark.parametrize(
    ("unit", "resolution", "spacing"),
    [("mm", 20.0, 0.06), ("micron", 0.02, 60.0), ("\\u00B5m", 0.02, 60.0), ("cm", 200.0, 0.006)],
)
def test_a_stack_of_imagej_has_the_voxel_size_that_imagej_notes(tmp_path, unit, resolution, spacing):
    path = write_imagej_tiff(tmp_path / "v.tif", BONE, f"unit={unit}", f"spacing={spacing}", resolution=resolution)
    volume = read_volume(path)
    assert volume.spacing_mm == pytest.approx((0.06, 0.05, 0.05))
    assert np.array_equal(volume.array, BONE)


def test_the_only_series_of_a_dicom_folder_is_read_in_the_order_of_its_slices(tmp_path):
    volume = read_volume(write_dicom_series(tmp_path / "ct", BONE * 900))
    assert np.array_equal(volume.array, BONE * 900)
    assert volume.spacing_mm == (0.5, 0.5, 0.5)
    assert [file.name for file in volume.files] == [f"1_{k:03d}.dcm" for k in range(len(BONE))]


def test_one_volume_in_four_dimensions_is_a_volume(tmp_path):
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(BONE.astype(np.uint8))]), str(tmp_path / "v.nii"))
    assert np.array_equal(read_volume(tmp_path / "v.nii").array, BONE)


# ---------------------------------------------------------------------------------------------- what cannot be used


def cut_short(path: Path, keep: float = 0.7) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    return path


def text(path: Path) -> Path:
    path.write_text("Dear colleague\n" * 50)
    return path


def vector(path: Path, components: int) -> Path:
    array = np.zeros((*BONE.shape, components), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(path))
    return path


def two_volumes(path: Path) -> Path:
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(BONE.astype(np.uint8))] * 2), str(path))
    return path


def with_value(path: Path, value: float) -> Path:
    array = BONE.astype(np.float32)
    array[3, 4, 5] = value
    return write(path, array)


def nifti_without_size(path: Path) -> Path:
    head = bytearray(write(path, BONE).read_bytes())
    head[80:84] = struct.pack("<f", 0.0)  # pixdim[1]
    path.write_bytes(head)
    return path


def meta_image(path: Path, *fields: str) -> Path:
    sizes = " ".join(str(n) for n in BONE.shape[::-1])
    head = ["ObjectType = Image", "NDims = 3", f"DimSize = {sizes}", "ElementType = MET_UCHAR", *fields]
    path.write_bytes("\n".join([*head, "ElementDataFile = LOCAL", ""]).encode() + BONE.astype(np.uint8).tobytes())
    return path


def two_series(folder: Path) -> Path:
    return write_dicom_series(write_dicom_series(folder, BONE[:4]), BONE[:4], series="2")


UNUSABLE = {
    "missing": (lambda f: f / "nowhere.nrrd", "does not exist"),
    "nothing in it": (lambda f: write_nothing(f / "v.nrrd"), "is empty"),
    "no image": (lambda f: text(f / "v.nrrd"), "is not an image"),
    "no image, another name": (lambda f: text(f / "v.nii.gz"), "is not an image"),
    "folder without DICOM": (lambda f: f, "is a folder without a DICOM series"),
    "two series": (lambda f: two_series(f / "ct"), "holds 2 DICOM series"),
    "slice missing": (lambda f: write_dicom_series(f / "ct", BONE, skip=7), "missing, doubled or unevenly"),
    "picture": (lambda f: write(f / "v.png", BONE[0], (1.0, 1.0), (0.0, 0.0), (1.0, 0.0, 0.0, 1.0)), "two dimensions"),
    "one slice": (lambda f: write(f / "v.nrrd", BONE[:1]), "one voxel thin (24 × 22 × 1 voxels)"),
    "one column": (lambda f: write(f / "v.nrrd", BONE[:, :, :1]), "one voxel thin (1 × 22 × 20 voxels)"),
    "colour": (lambda f: vector(f / "v.nrrd", 3), "has 3 values a voxel"),
    "vectors": (lambda f: vector(f / "v.nii", 2), "has 2 values a voxel"),
    "two volumes": (lambda f: two_volumes(f / "v.nii"), "has 4 dimensions (24 × 22 × 20 × 2)"),
    "NaN": (lambda f: with_value(f / "v.nrrd", np.nan), "NaN or infinite"),
    "infinite": (lambda f: with_value(f / "v.mha", np.inf), "NaN or infinite"),
    "NRRD cut short": (lambda f: cut_short(write(f / "v.nrrd", BONE)), "is cut short"),
    "MHA cut short": (lambda f: cut_short(write(f / "v.mha", BONE)), "is cut short"),
    "NIfTI cut short": (lambda f: cut_short(write(f / "v.nii", BONE)), "is cut short"),
    "packed NIfTI cut short": (lambda f: cut_short(write(f / "v.nii.gz", BONE)), "is cut short"),
    "TIFF cut short": (lambda f: cut_short(write_imagej_tiff(f / "v.tif", BONE, "unit=mm", "spacing=1")), "cut short"),
    "TIFF without size": (lambda f: write(f / "v.tif", BONE), "does not give its voxel size"),
    "TIFF in pixels": (lambda f: write_imagej_tiff(f / "v.tif", BONE, "unit=pixel"), "does not give its voxel size"),
    "NRRD without size": (lambda f: write_nrrd_text(f / "v.nrrd", BONE), "does not give its voxel size"),
    "NRRD in inches": (
        lambda f: write_nrrd_text(f / "v.nrrd", BONE, "spacings: 1 1 1", 'units: "inch" "inch" "inch"'),
        "in inch",
    ),
    "NRRD spacing NaN": (lambda f: write_nrrd_text(f / "v.nrrd", BONE, "spacings: nan 1 1"), "not give its voxel size"),
    "NRRD spacing 0": (lambda f: write_nrrd_text(f / "v.nrrd", BONE, "spacings: 0 1 1"), "not greater than 0"),
    "NRRD spacing negative": (lambda f: write_nrrd_text(f / "v.nrrd", BONE, "spacings: -1 1 1"), "not greater than 0"),
    "MHA without size": (lambda f: meta_image(f / "v.mha"), "does not give its voxel size"),
    "MHA spacing 0": (lambda f: meta_image(f / "v.mha", "ElementSpacing = 1 0 1"), "not greater than 0"),
    "MHA spacing negative": (lambda f: meta_image(f / "v.mha", "ElementSpacing = 1 -2 1"), "not greater than 0"),
    "NIfTI spacing 0": (lambda f: nifti_without_size(f / "v.nii"), "not greater than 0"),
}


def write_nothing(path: Path) -> Path:
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_used_is_refused_in_one_sentence_and_no_library_adds_to_it(tmp_path, capfd, case):
    make, said = UNUSABLE[case]
    path = make(tmp_path)
    capfd.readouterr()
    with pytest.raises(BadInput) as refused:
        read_volume(path)
    sentence = str(refused.value)
    assert said in sentence
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert capfd.readouterr() == ("", "")


# -------------------------------------------------------------------------------------------------------- two grids


def a_grid(shape=(20, 22, 24), spacing=SPACING_KJI_MM, origin=ORIGIN_LPS, direction=IDENTITY) -> Volume:
    return Volume(np.broadcast_to(np.uint8(1), shape), spacing, origin, direction)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, None),
        ({"spacing": (0.06000001, 0.05, 0.05)}, None),
        ({"origin": (-12.5001, 30.25, 101.0)}, None),
        ({"shape": (20, 22, 25)}, "its size is 25 × 22 × 20 instead of 24 × 22 × 20 voxels"),
        ({"spacing": (0.061, 0.05, 0.05)}, "its spacing is 0.05, 0.05, 0.061 instead of 0.05, 0.05, 0.06 mm"),
        ({"origin": (-12.5, 30.25, 100.0)}, "its origin is -12.5, 30.25, 100 instead of -12.5, 30.25, 101 mm"),
        ({"direction": TURNED}, "its direction in space"),
    ],
)
def test_what_differs_between_two_grids_is_named(other, said):
    difference = grid_difference(a_grid(**other), a_grid())
    assert difference is None if said is None else said in difference


def test_reading_needs_no_standard_error(tmp_path):
    """A windowed program, as Slicer on Windows, may have none."""
    path = write(tmp_path / "v.nrrd", BONE)
    code = "import os; os.close(2); from SubchondralBoneAnalysisLib.volume import read_volume; "
    code += f"print(read_volume({str(path)!r}).array.sum())"
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert ended.stdout.strip() == str(BONE.sum())
