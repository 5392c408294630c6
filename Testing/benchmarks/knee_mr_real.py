"""Real knee MR: what its synthetic CT is like, whether a known motion is found again, whether strangers are refused.

No real CT and MR of one knee are at hand. For a known truth the CT is made of the MR itself: its synthetic CT, seen
from an oblique grid of 0.5 mm, with the noise of a CT; or the MR with its contrast inverted. Its femur and tibia are
what is bright in the synthetic CT above and below the joint, whose height was told by eye. That is a check of the
geometry from end to end, no measure of accuracy: the appearance is the MR's own.
Pictures are written to the folder that JOINTQUANT_KNEE_PICTURES names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from knee_registration_truth import (
    NUMBERS,
    KneeTruth,
    carried,
    direction,
    mirrored,
    motion_of,
    moved,
    turned_about,
)
from scipy import ndimage
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bone_finding.knee_grid import image_of
from SubchondralBoneAnalysisLib.bones import find_bones
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume, read_volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

PICTURES = "JOINTQUANT_KNEE_PICTURES"
CT = "knee-ct/knee_ct_right_image_side.nrrd"
IMAGES = {"DESS": "knee-mr/dess_echo1.nrrd", "MESE": "knee-mr/mese_echo1.nrrd"}
SIDE = "right"  # of both, by the fibula
REGISTERED = "registered"


@dataclass(frozen=True)
class Place:
    """A ball whose tissue was told by eye: (k, j, i) of its middle."""

    tissue: str
    middle: tuple[int, int, int]
    expected: str


@dataclass(frozen=True)
class Ring:
    """A bone cut across in one slice: its middle (k, j, i), and between which radii its cortex must lie."""

    bone: str
    middle: tuple[int, int, int]
    radii_mm: tuple[float, float]
    degrees: tuple[float, float] = (0.0, 360.0)  # 0 to the back, 90 to the feet


PLACES = {
    "DESS": (
        Place("femoral condyle, marrow", (24, 255, 255), "50 to 400"),
        Place("femoral condyle, marrow", (48, 260, 260), "50 to 400"),
        Place("tibia, marrow", (24, 390, 265), "50 to 400"),
        Place("tibia, marrow", (48, 410, 250), "50 to 400"),
        Place("patella, marrow", (48, 180, 105), "50 to 400"),
        Place("muscle", (24, 430, 360), "20 to 90"),
        Place("muscle", (48, 330, 400), "20 to 90"),
        Place("air", (24, 300, 20), "-1000"),
    ),
    "MESE": (
        Place("femoral condyle, marrow", (7, 110, 150), "50 to 400"),
        Place("femoral condyle, marrow", (18, 90, 120), "50 to 400"),
        Place("tibia, marrow", (14, 200, 120), "50 to 400"),
        Place("femoral shaft, marrow", (14, 40, 113), "-100 to 100"),
        Place("muscle", (14, 190, 210), "20 to 90"),
        Place("air", (14, 120, 15), "-1000"),
    ),
}
RINGS = {
    "DESS": (Ring("femoral condyle", (24, 248, 250), (18.0, 29.0)),),
    "MESE": (
        Ring("femoral condyle", (7, 98, 127), (20.0, 31.0), (-10.0, 190.0)),
        Ring("femoral shaft", (14, 40, 113), (8.0, 24.0), (-30.0, 30.0)),
        Ring("femoral shaft", (14, 40, 113), (8.0, 24.0), (150.0, 210.0)),
    ),
}
JOINT_ROW = {"DESS": 325, "MESE": 146}  # between femur and tibia
BONE_HU, BONE_BLUR_MM, OPENED_MM = 150.0, 0.5, 2.0
NEAR_JOINT_MM = 15.0  # from the other bone: where errors are measured
BALL_MM = 2.5
CORTEX_HU = 250.0
SOFT_HU = 150.0  # below it, beyond the cortex
RAYS = 180
CT_VOXEL_MM = 0.5
CT_NOISE_HU = 40.0
NOISE_BLUR_VOXELS = 0.8
OBLIQUE_DEG = (12.0, -8.0, 15.0)  # of the grid of a CT that is made
MOTIONS = 3
FARTHEST_MM, LARGEST_DEG = 20.0, 15.0
SEED = 311
SIMULATED_SEED = 11


def available(shared_data: Path) -> bool:
    """Whether all images are there."""
    return all((shared_data / name).is_file() for name in (*IMAGES.values(), CT))


def tables(shared_data: Path) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows."""
    from SubchondralBoneAnalysisLib.synthesis import synthesize_ct

    images = {name: read_volume(shared_data / path) for name, path in IMAGES.items()}
    synthetic = {name: synthesize_ct(mr, device="cpu").volume for name, mr in images.items()}
    draw(images, synthetic)
    rows = [row for name in images for row in tissue_rows(name, synthetic[name])]
    yield "knee_mr_tissues", "Synthetic CT of real MR at places whose tissue was told by eye", rows
    rows = [row for name in images for row in cortex_rows(name, synthetic[name])]
    yield (
        "knee_mr_cortex",
        f"Its cortex: rays from the marrow that meet {CORTEX_HU:g} HU, and less than {SOFT_HU:g} beyond",
        rows,
    )
    rows = [row for name in images for row in same_rows(name, images[name], synthetic[name])]
    yield "knee_mr_same", "Real MR registered to a CT made of itself, moved by a known motion", rows
    ct = read_volume(shared_data / CT)
    rows = [row for name in images for row in stranger_rows(name, images[name], synthetic[name], ct)]
    yield "knee_mr_strangers", "Real MR registered to the CT of somebody else", rows


def tissue_rows(name: str, synthetic: Volume) -> list[dict]:
    """Mean and SD of HU in each ball."""
    rows = []
    for place in PLACES[name]:
        hu = synthetic.array[_ball(synthetic, place.middle, BALL_MM)]
        row = {"MR": name, "tissue": place.tissue, "(k, j, i)": str(place.middle)}
        rows.append(row | {"HU": f"{hu.mean():.0f} ± {hu.std():.0f}", "expected of a CT": place.expected})
    return rows


def cortex_rows(name: str, synthetic: Volume) -> list[dict]:
    """Of the rays from a middle: how many meet cortex and leave the bone by it, and how bright that is."""
    rows = []
    for ring in RINGS[name]:
        k, j, i = ring.middle
        angle = np.radians(np.linspace(*ring.degrees, RAYS, endpoint=False))
        radius = np.arange(*ring.radii_mm, 0.25)
        down, along = (
            start + np.outer(turn(angle), radius) / step
            for start, turn, step in ((j, np.sin, synthetic.spacing_mm[1]), (i, np.cos, synthetic.spacing_mm[2]))
        )
        seen = ndimage.map_coordinates(synthetic.array[k], [down, along], order=1, mode="nearest")
        top = seen.max(axis=1)
        beyond = np.array([ray[np.argmax(ray) :].min() for ray in seen])
        row = {"MR": name, "bone": ring.bone, "slice": k, "degrees": "{:g} to {:g}".format(*ring.degrees)}
        row |= {"rays with cortex, %": f"{100 * ((top > CORTEX_HU) & (beyond < SOFT_HU)).mean():.0f}"}
        row |= {"brightest on a ray, median HU": f"{np.median(top):.0f}"}
        rows.append(row | {"darkest beyond it, median HU": f"{np.median(beyond):.0f}"})
    return rows


def same_rows(name: str, mr: Volume, synthetic: Volume) -> list[dict]:
    """Each known motion: a CT made of the MR, and the MR registered to it in both ways."""
    rng = np.random.default_rng([SEED, *name.encode()])
    rows = []
    bones = rough_bones(synthetic, JOINT_ROW[name])
    for number in range(MOTIONS):
        motion = known_motion(rng, mr)
        ct, labels = made_ct(synthetic, motion, rng), made_labels(bones, motion)
        rows += _registered(name, f"its synthetic CT, motion {number + 1}", ct, labels, mr, synthetic, motion)
        if number == 0:
            strange = made_ct(inverted(mr), motion, rng)
            rows += _registered(name, "the MR inverted and noisier, motion 1", strange, labels, mr, None, motion)
    return rows


def rough_bones(synthetic: Volume, joint_row: int) -> Volume:
    """Femur (1) and tibia (2) of a sagittal synthetic CT: the largest bright body above and below a row, filled."""
    spacing = np.array(synthetic.spacing_mm)
    bright = ndimage.gaussian_filter(synthetic.array.astype(np.float32), BONE_BLUR_MM / spacing) > BONE_HU
    labels = np.zeros(bright.shape, np.uint8)
    for number, rows in ((1, slice(0, joint_row)), (2, slice(joint_row, None))):
        part = np.zeros_like(bright)
        part[:, rows] = bright[:, rows]
        filled = np.stack([ndimage.binary_fill_holes(part[:, j]) for j in range(part.shape[1])], axis=1)
        away = ndimage.distance_transform_edt(filled, spacing)
        cores, _ = ndimage.label(away > OPENED_MM)
        core = cores == np.argmax(np.bincount(cores.ravel())[1:]) + 1
        near = ndimage.distance_transform_edt(~core, spacing) <= OPENED_MM
        labels[filled & near] = number
    return replace(synthetic, array=labels, path=None, files=())


def stranger_rows(name: str, mr: Volume, synthetic: Volume, ct: Volume) -> list[dict]:
    """Two CTs of others, with the MR as it is and mirrored: at least one of both has the side of the CT."""
    simulated = SimulatedKnee(SIMULATED_SEED, SIDE)
    others = {"real CT": ct, "simulated CT": simulated.ct(simulated.grid(0.6))}
    rows = []
    for other, volume in others.items():
        bones = find_bones(volume)
        for turned in (False, True):
            pair = [mirrored(image) if turned else image for image in (mr, synthetic)]
            for way, made in (("with synthesis", pair[1]), ("without synthesis", None)):
                said, found = _said(volume, bones.labels, bones.side or SIDE, pair[0], made)
                row = {"MR": name + (", mirrored" if turned else ""), "CT": f"{other}, {bones.side}", "ours": way}
                verdicts = ", ".join(f"{bone} {one.quality.verdict}" for bone, one in found.items())
                accepted = sum(one.quality.verdict == REGISTERED for one in found.values())
                rows.append(row | {"verdicts": verdicts, "bones accepted": accepted, "refused": said})
    return rows


def known_motion(rng: np.random.Generator, mr: Volume) -> np.ndarray:
    """From the CT to be made to the MR [4, 4], about the middle of the MR."""
    middle = to_lps((np.array(mr.array.shape) - 1) / 2, mr)
    turn = Rotation.from_rotvec(direction(rng) * np.radians(rng.uniform(0, LARGEST_DEG)))
    return turned_about(turn, middle, direction(rng) * rng.uniform(0, FARTHEST_MM))


def made_ct(hu: Volume, ct_to_mr: np.ndarray, rng: np.random.Generator) -> Volume:
    """HU as seen from an oblique grid of `CT_VOXEL_MM` that lies elsewhere, with noise; beyond it is air."""
    seen = _oblique(hu, ct_to_mr, sitk.sitkLinear, -1000.0, sitk.sitkFloat32)
    noise = ndimage.gaussian_filter(rng.standard_normal(seen.array.shape).astype(np.float32), NOISE_BLUR_VOXELS)
    array = seen.array + noise * np.float32(CT_NOISE_HU / noise.std())
    return replace(seen, array=np.clip(array, -1024, 3071).astype(np.int16))


def made_labels(labels: Volume, ct_to_mr: np.ndarray) -> Volume:
    """Labels of the MR on the grid of `made_ct`."""
    return _oblique(labels, ct_to_mr, sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)


def _oblique(volume: Volume, ct_to_mr: np.ndarray, interpolation: int, outside: float, kind: int) -> Volume:
    back = moved(volume, np.linalg.inv(ct_to_mr))
    middle = to_lps((np.array(volume.array.shape) - 1) / 2, back)
    extent = np.array(volume.array.shape) * np.array(volume.spacing_mm)
    size_mm = np.abs(np.reshape(back.direction_lps, (3, 3)))[:, ::-1] @ extent
    axes = Rotation.from_euler("xyz", OBLIQUE_DEG, degrees=True).as_matrix()
    size = np.ceil(size_mm / CT_VOXEL_MM).astype(int)
    grid = sitk.Image(size.tolist(), sitk.sitkFloat32)
    grid.SetSpacing([CT_VOXEL_MM] * 3)
    grid.SetDirection(axes.ravel().tolist())
    grid.SetOrigin((middle - axes @ ((size - 1) / 2) * CT_VOXEL_MM).tolist())
    seen = sitk.Resample(image_of(back), grid, sitk.Transform(), interpolation, outside, kind)
    return Volume(sitk.GetArrayFromImage(seen), (CT_VOXEL_MM,) * 3, grid.GetOrigin(), grid.GetDirection())


def inverted(mr: Volume) -> Volume:
    """The MR with bright and dark exchanged, in numbers like those of a CT; air stays dark."""
    bright = float(np.percentile(mr.array, 99))
    signal = np.clip(ndimage.gaussian_filter(mr.array.astype(np.float32), 0.5) / bright, 0, 1)
    leg = ndimage.binary_closing(signal > 0.04, iterations=3)
    leg = np.stack([ndimage.binary_fill_holes(plane) for plane in leg])
    return replace(mr, array=np.where(leg, 600 - 700 * signal, -1000).astype(np.float32), path=None, files=())


def draw(images: dict[str, Volume], synthetic: dict[str, Volume]) -> None:
    """MR and synthetic CT side by side, in slices of both directions, where a folder for pictures is named."""
    folder = os.environ.get(PICTURES)
    if not folder:
        return
    from matplotlib.figure import Figure

    for name, mr in images.items():
        figure = Figure((20, 10), layout="constrained")
        axes = figure.subplots(2, 5)
        shape = np.array(mr.array.shape)
        cuts = [(0, int(shape[0] * part)) for part in (0.3, 0.45, 0.6, 0.75)] + [(2, int(shape[2] * 0.5))]
        for column, (axis, index) in enumerate(cuts):
            for row, (volume, low, high) in enumerate(
                ((mr, 0, np.percentile(mr.array, 99.5)), (synthetic[name], -400, 1000))
            ):
                plane = np.take(volume.array, index, axis)
                plane = plane.T if axis == 2 else plane
                others = [mr.spacing_mm[other] for other in range(3) if other != axis]
                aspect = others[1] / others[0] if axis == 2 else others[0] / others[1]
                axes[row, column].imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=aspect)
                axes[row, column].set_title(f"{'synthetic CT of ' if row else ''}{name}, {'kji'[axis]} = {index}")
        figure.savefig(Path(folder) / f"{name}.png", dpi=70)


def _registered(
    name: str, made_of: str, ct: Volume, labels: Volume, mr: Volume, synthetic: Volume | None, motion: np.ndarray
) -> list[dict]:
    """A row for each way and bone: the error against the known motion, and the verdict."""
    rows = []
    ways = (("with synthesis", synthetic), ("without synthesis", None)) if synthetic is not None else (("alone", None),)
    row = {"MR": name, "CT made of": made_of}
    places = joint_places(labels)
    truth = KneeTruth(places, dict.fromkeys(NUMBERS, motion))
    for way, made in ways:
        began = time.process_time()
        said, found = _said(ct, labels, SIDE, mr, made)
        seconds = time.process_time() - began
        for bone, one in found.items():
            before = np.linalg.norm(carried(places[bone], motion) - places[bone], axis=1)
            errors = truth.errors_mm(bone, motion_of(one.transform))
            rows.append(
                row
                | {"ours": way, "bone": bone, "before, mm": f"{np.median(before):.1f}"}
                | {"median, mm": f"{np.median(errors):.2f}", "worst place, mm": f"{errors.max():.2f}"}
                | {"verdict": one.quality.verdict, "refused": "", "s": f"{seconds:.0f}"}
            )
        if said:
            rows.append(row | {"ours": way, "refused": said, "s": f"{seconds:.0f}"})
    return rows


def joint_places(labels: Volume) -> dict[str, np.ndarray]:
    """Places [n, 3] in mm of femur and tibia near the other bone."""
    found = {}
    for bone, other in (("femur", 2), ("tibia", 1)):
        away = ndimage.distance_transform_edt(labels.array != other, labels.spacing_mm)
        index = np.argwhere((labels.array == NUMBERS[bone]) & (away < NEAR_JOINT_MM))
        found[bone] = to_lps(index[:: max(1, len(index) // 300)], labels)
    return found


def _said(ct: Volume, labels: Volume, side: str, mr: Volume, synthetic: Volume | None) -> tuple[str, dict]:
    """Why it was refused, and the bones that were registered."""
    from SubchondralBoneAnalysisLib.registration import register_knee

    try:
        return "", register_knee(ct, labels, mr, synthetic, Progress("none"), side).bones
    except BadInput as refusal:
        return str(refusal), {}


def _ball(volume: Volume, middle: tuple[int, int, int], radius_mm: float) -> tuple[np.ndarray, ...]:
    """Index of the voxels whose middles lie within a radius of a voxel."""
    reach = [int(radius_mm / step) for step in volume.spacing_mm]
    offset = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    offset = offset[np.linalg.norm(offset * volume.spacing_mm, axis=1) <= radius_mm]
    return tuple((offset + middle).T)
