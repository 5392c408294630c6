"""What is read as an MR of a knee, and what is refused with which words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from leg_ct import leg, sampled, write_ct
from pydicom import Dataset, uid

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.mr_reading import check_mr_side, read_mr
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

SHAPE, SPACING = (30, 60, 60), (3.0, 2.0, 2.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def written(path: Path, array: np.ndarray | None = None, spacing=SPACING, direction=SAGITTAL) -> Path:
    values = np.random.default_rng(1).integers(0, 3000, SHAPE) if array is None else array
    values = values.astype(np.uint16) if array is None else values
    write_volume(path, values, Volume(values, spacing, (5.0, -60.0, 40.0), direction))
    return path


def test_an_mr_keeps_its_own_grid_and_its_grey_values(tmp_path):
    mr = read_mr(written(tmp_path / "mr.nrrd"))
    assert mr.volume.array.dtype == np.float32
    assert mr.volume.array.shape == SHAPE
    assert mr.volume.direction_lps == pytest.approx(SAGITTAL)
    assert (mr.slice_axis, mr.in_plane_mm, mr.slice_mm) == (0, 2.0, 3.0)
    assert mr.stored.dtype == np.uint16
    assert np.array_equal(mr.stored, mr.volume.array)
    assert (mr.series, mr.side) == ("mr.nrrd", None)


def test_an_mr_with_fractions_is_stored_as_it_is(tmp_path):
    values = np.random.default_rng(2).random(SHAPE, np.float32)
    assert read_mr(written(tmp_path / "mr.nrrd", values)).stored.dtype == np.float32


@pytest.mark.parametrize("ending", ["nii.gz", "mha"])
def test_other_formats_lie_at_the_same_place(tmp_path, ending):
    sitk.WriteImage(sitk.ReadImage(str(written(tmp_path / "mr.nrrd"))), str(tmp_path / f"mr.{ending}"))
    first, second = read_mr(tmp_path / "mr.nrrd"), read_mr(tmp_path / f"mr.{ending}")
    assert np.array_equal(first.volume.array, second.volume.array)
    assert second.volume.origin_lps == pytest.approx(first.volume.origin_lps, abs=1e-3)


@pytest.mark.parametrize(
    ("array", "spacing", "said"),
    [
        (np.zeros(SHAPE, np.uint16), SPACING, "one grey value only"),
        (np.tile(np.arange(5, dtype=np.uint8), (*SHAPE[:2], 12)), SPACING, "label map or a mask"),
        (None, (1.0, 1.0, 1.0), "30 × 60 × 60 mm, too little of a knee"),
        (None, (7.0, 2.0, 2.0), "slices 7 mm apart"),
    ],
)
def test_what_is_no_mr_of_a_knee_is_refused(tmp_path, array, spacing, said):
    with pytest.raises(BadInput, match=re.escape(said)) as error:
        read_mr(written(tmp_path / "mr.nrrd", array, spacing))
    assert str(error.value).count(".nrrd") == 1


def test_a_ct_is_not_taken_for_an_mr(tmp_path):
    grid = Volume(np.zeros((50, 60, 60), np.int16), (1.7, 1.7, 1.7), (30.0, -70.0, 260.0))
    hounsfield = sampled(grid, leg) + 10 * np.random.default_rng(0).standard_normal(grid.array.shape)
    write_volume(tmp_path / "ct.nrrd", hounsfield.astype(np.int16), grid)
    with pytest.raises(BadInput, match=r"is a CT .* not an MR"):
        read_mr(tmp_path / "ct.nrrd")


def as_mr(side: str):
    def edit(dataset: Dataset, _stored: np.ndarray, _k: int) -> None:
        dataset.SOPClassUID, dataset.Modality, dataset.Laterality = uid.MRImageStorage, "MR", side

    return edit


def test_a_dicom_folder_says_its_side_and_other_modalities_are_refused(tmp_path):
    heights, pixel = np.arange(20) * 2.5, [1.6, 1.6]
    folder = write_ct(
        tmp_path / "mr",
        heights,
        shape=lambda points: leg(points) + 1100,
        intercept=0.0,
        edit=as_mr("L"),
        PixelSpacing=pixel,
    )
    mr = read_mr(folder)
    assert (mr.series, mr.side) == ("series 1", "left")
    check_mr_side(mr, "left", folder, "the fibula")
    with pytest.raises(BadInput, match="of the left knee by its DICOM header, and the CT shows the right one"):
        check_mr_side(mr, "right", folder, "the fibula")
    with pytest.raises(BadInput, match="one slice of a DICOM series"):
        read_mr(next(folder.glob("*.dcm")))
    with pytest.raises(BadInput, match="images that are CT by their DICOM header"):
        read_mr(write_ct(tmp_path / "ct", heights, PixelSpacing=pixel))
