"""The displacement of fat in an MR, as headers tell it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset

from SubchondralBoneAnalysisLib.mr_readout import fat_displacement
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_header import mr_header
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.volume import Volume

SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # i to the back, j to the feet, k to the right
MR = Volume(np.zeros((4, 100, 80), np.float32), (3.0, 0.5, 0.4), (0.0, 0.0, 0.0), SAGITTAL)
# 3.4 ppm of 127.73 MHz over 200 Hz: 2.171 pixels.
PIXELS = 3.4 * 42.577 * 3.0 / 200.0
ASKED = {"MagneticFieldStrength": 3.0, "PixelBandwidth": 200.0, "InPlanePhaseEncodingDirection": "ROW"}


def told(folder, **header):
    (folder / "mr.json").write_text(json.dumps(ASKED | header), "utf-8")
    return fat_displacement(folder / "mr.nii.gz", MR)


def test_fat_is_displaced_across_the_phase_encoding(tmp_path):
    assert told(tmp_path) == pytest.approx([0.0, 0.0, -0.5 * PIXELS])
    assert told(tmp_path, InPlanePhaseEncodingDirection="COL") == pytest.approx([0.0, 0.4 * PIXELS, 0.0])


def test_pixels_are_those_that_were_measured(tmp_path):
    assert told(tmp_path, AcquisitionMatrix=[80, 0, 0, 60]) == pytest.approx([0.0, 0.0, -0.5 * PIXELS * 100 / 80])


def test_names_of_dcm2niix_are_known(tmp_path):
    header = {name: value for name, value in ASKED.items() if name != "InPlanePhaseEncodingDirection"}
    (tmp_path / "mr.json").write_text(json.dumps(header | {"InPlanePhaseEncodingDirectionDICOM": "COL"}), "utf-8")
    assert fat_displacement(tmp_path / "mr.nrrd", MR) == pytest.approx([0.0, 0.4 * PIXELS, 0.0])


@pytest.mark.parametrize(
    "header",
    [
        {"PixelBandwidth": None},
        {"PixelBandwidth": "wide"},
        {"PixelBandwidth": 1e-3},
        {"PixelBandwidth": float("nan")},
        {"MagneticFieldStrength": 30000},
        {"InPlanePhaseEncodingDirection": "OTHER"},
        {"AcquisitionMatrix": 7},
        {"AcquisitionMatrix": [1, 0, 0, 1]},
    ],
)
def test_what_cannot_be_is_not_believed(tmp_path, header):
    assert told(tmp_path, **header) is None


def test_no_header_tells_nothing(tmp_path):
    assert fat_displacement(tmp_path / "mr.nrrd", MR) is None
    for text in ("{", "[1, 2]", ""):
        (tmp_path / "mr.json").write_text(text, "utf-8")
        assert fat_displacement(tmp_path / "mr.nrrd", MR) is None


def test_dicom_tells(tmp_path):
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = uid.MRImageStorage, uid.generate_uid()
    header.MagneticFieldStrength, header.PixelBandwidth = "3", "200"
    header.InPlanePhaseEncodingDirection, header.AcquisitionMatrix = "COL", [0, 40, 60, 0]
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    (tmp_path / "series").mkdir()
    header.save_as(tmp_path / "series" / "1.dcm", enforce_file_format=True)
    assert fat_displacement(tmp_path / "series", MR) == pytest.approx([0.0, 0.4 * PIXELS * 2, 0.0])


@pytest.mark.parametrize("profile", MR_PROFILES.values(), ids=lambda profile: profile.name)
def test_a_simulated_scan_has_the_header_of_its_displacement(tmp_path, profile):
    volume = Volume(np.zeros((3, 512, 448), np.float32), profile.spacing_mm, (0.0, 0.0, 0.0), SAGITTAL)
    (tmp_path / "mr.json").write_text(json.dumps(mr_header(profile, volume.array.shape)), "utf-8")
    found = fat_displacement(tmp_path / "mr.nrrd", volume)
    along = np.reshape(SAGITTAL, (3, 3))[:, 1 if profile.readout_axis == 1 else 0]
    assert found @ along == pytest.approx(profile.fat_shift_px * profile.spacing_mm[profile.readout_axis], rel=0.01)
