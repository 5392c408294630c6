"""Bones that were segmented elsewhere, as labels on the grid of the CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading.bone_names import (
    BONES,
    HOW,
    TASKS,
    bone_in,
    numbers_in_nifti,
    segments_in,
)
from SubchondralBoneAnalysisLib.quiet_libraries import quiet_libraries
from SubchondralBoneAnalysisLib.volume import Volume, grid_difference, read_volume

SAY = f"say which label is which bone by --bones-labels, as {HOW}"
NEEDED = "give a label map of femur and tibia that was drawn on this CT"
IMAGES = (".nrrd", ".nii", ".nii.gz", ".mha", ".mhd")
MOST_LABELS = 1000  # more different values are grey values
INSIDE, WHOLE = 0.5, 0.98  # share of the bones that must lie in the CT, and that is not worth a warning
LARGEST_PATELLA_MM3, IN_FRONT_MM = 60e3, 15.0
SAMPLES = 100_000


@dataclass(frozen=True, eq=False)
class BoneLabels:
    """Bones on the grid of a CT.

    :param labels: uint8 [k, j, i], 1 femur, 2 tibia, 3 patella, 4 fibula, filled; 0 elsewhere.
    :param bones: the names of those that are there, in this order.
    :param warnings: sentences without the name of the file.
    """

    labels: Volume
    bones: tuple[str, ...]
    warnings: tuple[str, ...]


def read_bone_labels(path: str | Path, ct: Volume, names: Mapping[int, str] | None = None) -> BoneLabels:
    """Read a label map of the bones, whatever its grid and numbers are.

    Which label is which bone is what `names` says; else what the file says (segments of 3D Slicer, label table of
    TotalSegmentator); else 75 and 76 are femora as TotalSegmentator counts, or 1 to 4 are femur, tibia, patella and
    fibula. A folder may hold a file for every bone, named after it. On another grid the label of the nearest voxel
    is taken.

    :param ct: the grid of the result.
    :param names: "femur", "tibia", "patella" or "fibula" by label; other labels are left out.
    :raises BadInput: it cannot be read, is not a label map, holds no femur or tibia, or lies elsewhere than the CT.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: check the name of the label map of the bones.")
    bones = _from_folder(path) if path.is_dir() else _from_file(path, names)
    if not np.isin(bones.array, (BONES["femur"], BONES["tibia"])).any():
        raise BadInput(f"{path} holds neither a femur nor a tibia: {NEEDED}.")
    warnings = ()
    if grid_difference(bones, ct):
        warnings = (_check_place(bones, ct, path),)
        bones = _on_grid(bones, ct)
    bones = replace(ct, array=_filled(bones.array), path=path, files=bones.files)
    present = tuple(name for name, number in BONES.items() if (bones.array == number).any())
    return BoneLabels(bones, present, warnings)


def _from_file(path: Path, names: Mapping[int, str] | None) -> Volume:
    volume, layers, segments = _layers(path)
    labels = np.zeros(layers.shape[:-1], np.uint8)
    if names is None and segments:
        named = {place: bone_in(name) for place, name in segments.items()}
        if not any(named.values()):
            raise BadInput(f"{path} has no segment named after a bone ({', '.join(segments.values())}): {SAY}.")
    else:
        numbers = {int(number) for number in np.unique(layers)} - {0}
        by_number = names or _by_convention(path, numbers)
        if numbers and not numbers & set(by_number):
            raise BadInput(f"{path} has none of the labels {_few(by_number)}, but {_few(numbers)}: {SAY}.")
        named = {(layer, number): bone for layer in range(layers.shape[-1]) for number, bone in by_number.items()}
    for (layer, number), bone in named.items():
        if bone is not None and layer < layers.shape[-1]:
            labels[(layers[..., layer] == number) & (labels == 0)] = BONES[bone]
    bones = replace(volume, array=labels)
    if names is None and not segments:
        _check_patella(bones, path)
    return bones


def _layers(path: Path) -> tuple[Volume, np.ndarray, dict[tuple[int, int], str]]:
    """A label map as its geometry, labels [k, j, i, layer], and names of segments by (layer, label).

    Segments that overlap are saved by 3D Slicer in several layers, as values of one voxel.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    segments = {}
    with quiet_libraries():
        try:
            reader.ReadImageInformation()
            segments = segments_in({key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()})
            image = reader.Execute() if segments and reader.GetNumberOfComponents() > 1 else None
        except RuntimeError:
            image = None  # which read_volume will say in its own sentence
    if image is None:
        volume = read_volume(path)
        layers = volume.array[..., None]
    else:
        layers = sitk.GetArrayFromImage(image)
        spacing = image.GetSpacing()[::-1]
        volume = Volume(layers[..., 0], spacing, image.GetOrigin(), image.GetDirection(), path, (path,))
    step = max(1, layers.shape[0] // 16)
    part = layers[::step]
    if (part != np.rint(part)).any() or part.min() < 0 or len(np.unique(part)) > MOST_LABELS:
        raise BadInput(f"{path} holds grey values, not labels: {NEEDED}.")
    return volume, layers, segments


def _by_convention(path: Path, numbers: set[int]) -> Mapping[int, str]:
    """Bones by number where nobody named them.

    :raises BadInput: the numbers may mean anything.
    """
    table = {number: bone_in(name) for number, name in numbers_in_nifti(path).items()}
    named = {number: bone for number, bone in table.items() if bone}
    if named:
        return named
    if numbers & set(TASKS["total"]):
        return TASKS["total"]
    own = {number: bone for bone, number in BONES.items()}
    if not numbers or numbers <= set(own):
        return own
    raise BadInput(f"{path} has labels {_few(numbers)} and does not name them: {SAY}.")


def _check_patella(bones: Volume, path: Path) -> None:
    """Refuse what is numbered as TotalSegmentator's appendicular bones: a small bone in front of the tibia as 1.

    :raises BadInput: what should be the femur looks like a patella.
    """
    femur, tibia = (np.argwhere(bones.array == BONES[bone]) for bone in ("femur", "tibia"))
    if not len(femur) or not len(tibia) or len(femur) * bones.voxel_mm3 > LARGEST_PATELLA_MM3:
        return
    directions = np.reshape(bones.direction_lps, (3, 3))
    posterior = directions[1] @ ((femur.mean(axis=0) - tibia.mean(axis=0)) * bones.spacing_mm)[::-1]
    if posterior < -IN_FRONT_MM:
        raise BadInput(f"{path} has a small bone in front of the tibia as label 1, which should be the femur: {SAY}.")


def _from_folder(folder: Path) -> Volume:
    """One file for every bone, as femur_left.nii.gz and tibia.nii.gz: whatever is not 0 in it."""
    files = {path: bone_in(path.name) for path in sorted(folder.iterdir()) if path.name.lower().endswith(IMAGES)}
    files = {path: bone for path, bone in files.items() if bone}
    if not files:
        raise BadInput(f"{folder} holds no label map that is named after a bone: {NEEDED}.")
    bones = None
    for path, bone in files.items():
        volume = read_volume(path)
        if bones is None:
            bones = replace(volume, array=np.zeros(volume.array.shape, np.uint8), path=folder, files=tuple(files))
        difference = grid_difference(volume, bones)
        if difference:
            raise BadInput(f"{path} does not fit {next(iter(files)).name} ({difference}): give them on one grid.")
        bones.array[(volume.array != 0) & (bones.array == 0)] = BONES[bone]
    return bones


def _check_place(bones: Volume, ct: Volume, path: Path) -> str:
    """What to say about bones on another grid than the CT.

    :raises BadInput: less than half of them lies inside the CT.
    """
    voxels = np.argwhere(bones.array > 0)
    voxels = voxels[:: max(1, len(voxels) // SAMPLES)]
    points = (voxels * bones.spacing_mm)[:, ::-1] @ np.reshape(bones.direction_lps, (3, 3)).T + bones.origin_lps
    turned = (points - ct.origin_lps) @ np.linalg.inv(np.reshape(ct.direction_lps, (3, 3))).T
    index = turned[:, ::-1] / ct.spacing_mm
    share = ((index > -0.5) & (index < np.array(ct.array.shape) - 0.5)).all(axis=1).mean()
    if share < INSIDE:
        raise BadInput(f"{path} lies elsewhere than the CT ({100 * share:.0f} % of its bones are in it): {NEEDED}.")
    cut = "" if share >= WHOLE else f", and {100 * (1 - share):.0f} % of the bones lie outside the CT"
    return f"the bones were drawn on another grid; the nearest label was taken for every voxel of the CT{cut}"


def _on_grid(bones: Volume, ct: Volume) -> Volume:
    resampled = sitk.Resample(
        _image(bones),
        ct.array.shape[::-1],
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkNearestNeighbor,
        ct.origin_lps,
        ct.spacing_mm[::-1],
        ct.direction_lps,
        0,
    )
    return replace(ct, array=sitk.GetArrayFromImage(resampled), files=bones.files)


def _image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_lps)
    image.SetDirection(volume.direction_lps)
    return image


def _filled(labels: np.ndarray) -> np.ndarray:
    """Bones with what they enclose; a shaft that the border of the volume cuts is closed there."""
    filled = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        faces = [(part.start > 0, part.stop < n) for part, n in zip(box, labels.shape, strict=True)]
        around = np.pad(labels[box] != number, [(int(low), int(high)) for low, high in faces], constant_values=True)
        parts, _ = ndimage.label(around)
        outside = set()
        for axis, ends in enumerate(faces):
            for end, is_free in zip((0, -1), ends, strict=True):
                if is_free:
                    outside |= set(np.unique(np.take(parts, end, axis=axis)).tolist())
        holes = (parts > 0) & ~np.isin(parts, list(outside))
        inner = holes[tuple(slice(int(low), n - int(high)) for (low, high), n in zip(faces, holes.shape, strict=True))]
        filled[box][inner & (labels[box] == 0)] = number
    return filled


def _few(numbers: object) -> str:
    ordered = sorted(numbers)
    return ", ".join(map(str, ordered[:10])) + (" ..." if len(ordered) > 10 else "")
