"""What the header of an MR says of its readout: the JSON that stands beside it, under the names of DICOM."""

from __future__ import annotations

from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrProfile


def mr_header(profile: MrProfile, shape: tuple[int, int, int]) -> dict[str, object]:
    """Of a scan by a protocol: nominal, a scan differs from it.

    :param shape: voxels of the image along (k, j, i).
    """
    measured = [round(size * part) for size, part in zip(shape[1:], profile.acquired[1:], strict=True)]
    rows, columns = measured
    # Frequency rows and columns, phase rows and columns; the phase is encoded across the readout.
    along_columns = profile.readout_axis == 1
    return {
        "MagneticFieldStrength": profile.tesla,
        "PixelBandwidth": profile.bandwidth_hz,
        "InPlanePhaseEncodingDirection": "ROW" if along_columns else "COL",
        "AcquisitionMatrix": [rows, 0, 0, columns] if along_columns else [0, columns, rows, 0],
    }
