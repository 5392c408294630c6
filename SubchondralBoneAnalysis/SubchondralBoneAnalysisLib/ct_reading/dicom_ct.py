"""From the DICOM files in a folder to one CT volume in HU on an even grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading.ct_series import CtSeries, series_of
from SubchondralBoneAnalysisLib.ct_reading.dicom_planes import planes_in, planes_of
from SubchondralBoneAnalysisLib.ct_reading.even_grid import even_volume
from SubchondralBoneAnalysisLib.ct_reading.hounsfield_slices import AIR_HU, hounsfield_slices
from SubchondralBoneAnalysisLib.ct_reading.series_choice import NEEDED, choose_series
from SubchondralBoneAnalysisLib.ct_reading.slice_positions import SlicePositions
from SubchondralBoneAnalysisLib.ct_reading.voxel_size import SMALLEST_MM
from SubchondralBoneAnalysisLib.volume import Volume


def read_dicom_ct(path: Path) -> tuple[Volume, CtSeries, tuple[str, ...]]:
    """The CT series in a folder, or that of a DICOM file; with warnings, sentences without its name.

    Its third axis is the normal of the slices also where the gantry was tilted.

    :raises BadInput: no series can be measured, or it is not clear which one is meant.
    """
    series = series_of(planes_in(path if path.is_dir() else path.parent))
    if path.is_file():
        series = _of_file(series, path)
    if not series:
        raise BadInput(f"{path} holds no DICOM images that can be read: {NEEDED}.")
    chosen, warnings = choose_series(series, path)
    places = chosen.places
    volume = even_volume(
        hounsfield_slices(chosen.planes),
        places,
        chosen.pixel_mm,
        chosen.axes,
        chosen.planes[0].position,
        outside=AIR_HU,
        finest_mm=SMALLEST_MM,
    )
    files = tuple(dict.fromkeys(plane.file for plane in chosen.planes))
    warnings += geometry_warnings(places, chosen.pixel_mm, volume) + _gaps(chosen)
    return replace(volume, path=path, files=files), chosen, warnings


def geometry_warnings(places: SlicePositions, pixel_mm: tuple[float, float], volume: Volume) -> tuple[str, ...]:
    """What was done to slices to bring them on the even grid of a volume."""
    warnings = ()
    if not places.upright:
        tilt = places.tilt_deg(pixel_mm)
        warnings += (f"its slices are shifted against each other (tilted by {tilt:.1f}°) and were moved upright",)
    if not places.even:
        steps, even = places.steps_mm, volume.spacing_mm[0]
        said = f"its slices lie {steps.min():.2g} to {steps.max():.2g} mm apart"
        warnings += (f"{said} and were interpolated at even steps of {even:.2g} mm",)
    return warnings


def _of_file(series: list[CtSeries], path: Path) -> list[CtSeries]:
    names = {plane.source.series for plane in planes_of(path)}
    return [one for one in series if one.source.series in names]


def _gaps(series: CtSeries) -> tuple[str, ...]:
    thickness, step = series.planes[0].thickness_mm, series.places.step_mm
    if not thickness or step <= 1.1 * thickness:
        return ()
    return (f"its slices of {thickness:.2g} mm lie {step:.2g} mm apart: what lies between them was not measured",)
