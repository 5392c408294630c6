"""Bones that were segmented elsewhere: whatever their numbers, names and grid, they come as our labels on the CT."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bone_volumes import write
from leg_ct import label_map, numbered
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading import parse_bone_numbers, read_bone_labels
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

OURS = {"femur": 1, "tibia": 2, "patella": 3, "fibula": 4}
MM = (2.0, 2.0, 2.0)
ORIGIN = (10.0, -5.0, 200.0)
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
CT = Volume(np.zeros((40, 40, 40), np.int16), MM, ORIGIN, UPRIGHT)


def saved(path: Path, array: np.ndarray, spacing=MM, origin=ORIGIN) -> Path:
    return write(path, array, spacing, origin, UPRIGHT)


def saved_by_slicer(path: Path, layers: list[np.ndarray], segments: list[tuple[str, int, int, str]]) -> Path:
    """A .seg.nrrd: segments by name, layer, label and terminology."""
    image = sitk.Compose([sitk.GetImageFromArray(layer) for layer in layers]) if len(layers) > 1 else None
    image = image or sitk.GetImageFromArray(layers[0])
    image.SetSpacing(MM)
    image.SetOrigin(ORIGIN)
    for index, (name, layer, label, tags) in enumerate(segments):
        image.SetMetaData(f"Segment{index}_Name", name)
        image.SetMetaData(f"Segment{index}_Layer", str(layer))
        image.SetMetaData(f"Segment{index}_LabelValue", str(label))
        image.SetMetaData(f"Segment{index}_Tags", tags)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def with_label_table(path: Path, names: dict[int, str]) -> Path:
    """Put a label table behind the header of a NIfTI file, as TotalSegmentator does."""
    data = gzip.decompress(path.read_bytes())
    table = "".join(
        f'<Label Key="{key}" Red="1" Green="0" Blue="0" Alpha="1">{name}</Label>' for key, name in names.items()
    )
    text = f'<?xml version="1.0"?><CaretExtension><VolumeInformation Index="0"><LabelTable>{table}</LabelTable>'
    text = f"{text}</VolumeInformation></CaretExtension>".encode()
    text += bytes(-(len(text) + 8) % 16)
    head = bytearray(data[:352])
    start = 352 + 8 + len(text)
    head[108:112] = struct.pack("<f", start)
    head[348] = 1
    path.write_bytes(gzip.compress(bytes(head) + struct.pack("<ii", len(text) + 8, 0) + text + data[352:]))
    return path


def refusal(path: Path, ct: Volume = CT, names=None) -> str:
    with pytest.raises(BadInput) as refused:
        read_bone_labels(path, ct, names)
    sentence = str(refused.value)
    assert sentence.startswith(str(path.parent))
    assert sentence.endswith(".")
    return sentence


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", ["b.nrrd", "b.nii.gz", "b.mha"])
def test_our_own_numbers_are_understood(tmp_path, name):
    bones = read_bone_labels(saved(tmp_path / name, numbered(OURS)), CT)
    assert np.array_equal(bones.labels.array, numbered(OURS))
    assert bones.labels.array.dtype == np.uint8
    assert bones.bones == ("femur", "tibia", "patella", "fibula")
    assert bones.warnings == ()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_the_user_says_which_label_is_which_bone(tmp_path, kind):
    elsewhere = numbered({"femur": 5, "tibia": 6, "patella": 7, "fibula": 1}).astype(kind)
    bones = read_bone_labels(
        saved(tmp_path / "b.nrrd", elsewhere), CT, parse_bone_numbers("femur=5, tibia=6 patella=7")
    )
    expected = numbered(OURS)
    assert np.array_equal(bones.labels.array, np.where(expected == 4, 0, expected))
    assert bones.bones == ("femur", "tibia", "patella")


def test_labels_without_a_meaning_are_a_question(tmp_path):
    path = saved(tmp_path / "b.nrrd", numbered({"femur": 5, "tibia": 6, "patella": 7}))
    assert "has labels 5, 6, 7 and does not name them: say which label is which bone" in refusal(path)
    assert "has none of the labels 8, 9, but 5, 6, 7" in refusal(path, names={8: "femur", 9: "tibia"})


def test_femora_as_totalsegmentator_numbers_them(tmp_path):
    path = saved(tmp_path / "b.nii.gz", numbered({"femur": 76, "tibia": 90}))
    assert read_bone_labels(path, CT).bones == ("femur",)


def test_appendicular_bones_are_not_taken_for_ours(tmp_path):
    path = saved(tmp_path / "b.nii.gz", numbered({"patella": 1, "tibia": 2, "fibula": 3}))
    assert "small bone in front of the tibia as label 1" in refusal(path)
    bones = read_bone_labels(path, CT, parse_bone_numbers("appendicular_bones"))
    assert bones.bones == ("tibia", "patella", "fibula")
    assert np.array_equal(bones.labels.array == 2, label_map()["tibia"])


def test_the_label_table_of_a_nifti_names_the_bones(tmp_path):
    path = saved(tmp_path / "b.nii.gz", numbered({"femur": 9, "tibia": 2, "patella": 1, "fibula": 3}))
    with_label_table(path, {1: "patella", 2: "tibia", 3: "fibula", 4: "tarsal", 9: "femur_left"})
    assert np.array_equal(read_volume(path).array, numbered({"femur": 9, "tibia": 2, "patella": 1, "fibula": 3}))
    assert np.array_equal(read_bone_labels(path, CT).labels.array, numbered(OURS))


@pytest.mark.parametrize("text", ["femur", "femur=", "femur=x", "hip=3", "femur=0", "femur:5", "=5"])
def test_numbers_that_cannot_be_understood_are_refused(text):
    with pytest.raises(BadInput, match="does not say which label is which bone"):
        parse_bone_numbers(text)


# ----------------------------------------------------------------------------------------------- segments of 3D Slicer


def test_segments_of_slicer_are_found_by_name(tmp_path):
    labels = numbered({"femur": 3, "tibia": 1, "patella": 4, "fibula": 2})
    labels[20, 22, 20] = 5
    names = [("Right tibia", 0, 1, ""), ("FIBULA_R", 0, 2, ""), ("femur", 0, 3, ""), ("Patella", 0, 4, "")]
    path = saved_by_slicer(tmp_path / "b.seg.nrrd", [labels], [*names, ("femur cartilage", 0, 5, "")])
    assert np.array_equal(read_bone_labels(path, CT).labels.array, numbered(OURS))


def test_segments_of_slicer_are_found_by_terminology(tmp_path):
    tags = "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - DICOM master list~"
    tags += "SCT^123037004^Anatomical Structure~SCT^{}~^^~Anatomic codes - DICOM master list~^^~^^|"
    segments = [("Segment_1", 0, 1, tags.format("71341001^Femur")), ("Segment_2", 0, 2, tags.format("12611008^Tibia"))]
    path = saved_by_slicer(tmp_path / "b.seg.nrrd", [numbered({"femur": 1, "tibia": 2})], segments)
    assert read_bone_labels(path, CT).bones == ("femur", "tibia")


def test_segments_that_overlap_lie_in_layers(tmp_path):
    layers = [numbered({"femur": 1}), numbered({"tibia": 1, "fibula": 2})]
    segments = [("Femur", 0, 1, ""), ("Tibia", 1, 1, ""), ("Fibula", 1, 2, "")]
    path = saved_by_slicer(tmp_path / "b.seg.nrrd", layers, segments)
    bones = read_bone_labels(path, CT).labels
    assert np.array_equal(bones.array, numbered({"femur": 1, "tibia": 2, "fibula": 4}))


def test_segments_without_a_bone_are_refused(tmp_path):
    path = saved_by_slicer(tmp_path / "b.seg.nrrd", [numbered({"femur": 1})], [("Segment_1", 0, 1, "")])
    assert "has no segment named after a bone (Segment_1)" in refusal(path)


def test_a_folder_holds_a_file_for_every_bone(tmp_path):
    for bone, mask in label_map().items():
        saved(tmp_path / f"{bone}_left.nii.gz", mask)
    saved(tmp_path / "hip_left.nii.gz", label_map()["femur"])
    bones = read_bone_labels(tmp_path, CT)
    assert np.array_equal(bones.labels.array, numbered(OURS))
    assert len(bones.labels.files) == 4


# --------------------------------------------------------------------------------------------------------------- grid


def test_labels_on_another_grid_come_on_the_grid_of_the_ct(tmp_path):
    path = saved(tmp_path / "b.nrrd", numbered(OURS))
    turn = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix()
    middle = np.array(ORIGIN) + 39.0
    origin = middle - turn @ (np.array([59, 49, 54]) * 0.8)
    ct = Volume(np.zeros((110, 100, 120), np.int16), (0.8, 0.8, 0.8), tuple(origin), tuple(turn.ravel()))
    bones = read_bone_labels(path, ct)
    assert bones.labels.array.shape == ct.array.shape
    assert bones.labels.direction_lps == ct.direction_lps
    assert "drawn on another grid" in bones.warnings[0]
    # The label at the centre of every voxel is that of the nearest voxel of the map.
    index = np.stack(np.meshgrid(*map(np.arange, ct.array.shape), indexing="ij"), -1)[::7, ::7, ::7]
    points = index[..., ::-1] * 0.8 @ turn.T + origin
    near = np.rint((points - ORIGIN) / 2.0).astype(int)[..., ::-1]
    seen = ((near >= 0) & (near < 40)).all(axis=-1)
    expected = np.where(seen, numbered(OURS)[tuple(np.moveaxis(np.clip(near, 0, 39), -1, 0))], 0)
    assert (bones.labels.array[::7, ::7, ::7] == expected).mean() > 0.999


def test_bones_that_a_smaller_ct_cuts_are_said(tmp_path):
    path = saved(tmp_path / "b.nrrd", numbered(OURS))
    ct = Volume(np.zeros((32, 40, 40), np.int16), MM, ORIGIN, UPRIGHT)
    bones = read_bone_labels(path, ct)
    assert np.array_equal(bones.labels.array, numbered(OURS)[:32])
    assert "of the bones lie outside the CT" in bones.warnings[0]


def test_bones_that_lie_elsewhere_are_refused(tmp_path):
    path = saved(tmp_path / "b.nrrd", numbered(OURS), origin=(10.0, -5.0, -900.0))
    assert "lies elsewhere than the CT (0 % of its bones are in it)" in refusal(path)


def test_hollow_bones_are_filled_also_where_the_field_of_view_cuts_them(tmp_path):
    labels = numbered(OURS)
    labels[26:, 18:27, 16:25] = 0  # the marrow, open at the top of the volume
    labels[4:12, 20:24, 18:22] = 0
    bones = read_bone_labels(saved(tmp_path / "b.nrrd", labels), CT)
    assert np.array_equal(bones.labels.array, numbered(OURS))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.random.default_rng(0).normal(0, 100, (40, 40, 40)).astype(np.float32), "holds grey values, not labels"),
        (np.arange(64000, dtype=np.int32).reshape(40, 40, 40) % 5000, "holds grey values, not labels"),
        (numbered({"femur": 0}), "holds neither a femur nor a tibia"),
        (numbered({"patella": 3}), "holds neither a femur nor a tibia"),
    ],
)
def test_what_is_no_label_map_of_a_knee_is_refused(tmp_path, array, said):
    assert said in refusal(saved(tmp_path / "b.nrrd", array))


def test_a_missing_file_or_an_empty_folder_is_said(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere.nrrd")
    (tmp_path / "none").mkdir()
    assert "holds no label map that is named after a bone" in refusal(tmp_path / "none")


def test_the_bones_of_a_real_label_map(shared_data):
    path = shared_data / "knee-mr" / "right_knee_bone_cartilage_labels.nrrd"
    grid = read_volume(path)
    assert "has labels 1, 2, 3, 4, 5, 6, 7 and does not name them" in refusal(path, grid)
    bones = read_bone_labels(path, grid, parse_bone_numbers("femur=5 tibia=6 patella=7"))
    assert bones.bones == ("femur", "tibia", "patella")
    cm3 = [np.count_nonzero(bones.labels.array == number) * grid.voxel_mm3 / 1e3 for number in (1, 2, 3)]
    assert cm3[0] > cm3[1] > cm3[2] > 10
