"""How near a synthetic CT comes to the CT of the same simulated knee, carried onto the grid of the MR by the truth.

The CT that it is held against is the scanned one, with its noise and its blur; across the MR's slices it is averaged
as these do. Everything is measured where both have voxels, inside the body; the table under the leg is left out.
The environment names the cohort, as for `knee_registration`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from knee_registration_truth import NUMBERS
from scipy import ndimage
from skimage.metrics import structural_similarity
from worker_processes import THREADS, single_threaded

from SubchondralBoneAnalysisLib.cohort_folder import BONES, Participant, read_participants
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

HU = (-1000.0, 2000.0)  # both are cut to it; its width is the range of PSNR and SSIM
SSIM_WINDOW = 7  # pixels, uniform, in the slices of the MR
WIDER_MM = 1.0  # of the bones, their edge
BODY_HU = -300.0
SUB_SLICE_MM = 0.7  # of the CT that is averaged across a slice
NEAR_JOINT_MM = 40.0  # of the middle of all bones, up to where the surfaces are compared
LINES = "synthesis.jsonl"
NOT_FOUND_MM = 3.9  # the search for an edge ends at 4 mm
TASK = Path(__file__).with_name("knee_synthesis_task.py")
PUBLISHED = (
    {
        "images": "published: knee, CycleGAN, 1 mm (median ± MAD)",
        "MAE, HU": "30.5 ± 7.5",
        "PSNR, dB": "28.1",
        "SSIM": "0.923",
        "source": "Vallejo-Cendrero et al., Appl Sci 2024;14:4655",
    },
    {
        "images": "published: lower arm, conditional GAN",
        "MAE, HU": "63.5",
        "MAE of bone, HU": "144 (cortex)",
        "surface, median, mm": "0.48",
        "source": "Zijlstra et al., arXiv 1901.08449",
    },
    {
        "images": "published: knee, ankle and hip",
        "surface, median, mm": "< 0.7 (RMS)",
        "source": "Florkow et al. 2024",
    },
)


def tables(cohort: Path, work: Path, jobs: int = 2, pairs: int | None = None) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables (name, title, rows); what has been computed stands in the working folder, a line a knee."""
    lines = compute(cohort, work, jobs, pairs)
    rows = [_row("simulated, all", lines)]
    for key in ("MR", "CT"):
        for profile in sorted({line[key] for line in lines}):
            rows.append(_row(f"simulated, {key} {profile}", [line for line in lines if line[key] == profile]))
    columns = list(dict.fromkeys(key for row in (*rows, *PUBLISHED) for key in row))
    rows = [dict.fromkeys(columns, "") | row for row in (*rows, *PUBLISHED)]
    yield "knee_synthesis", "Synthetic CT against CT; published figures are not comparable: simulated", rows
    yield "knee_synthesis_speed", "A DESS volume to synthetic CT, two threads, a process of its own", [speed()]


def compute(cohort: Path, work: Path, jobs: int, number: int | None) -> list[dict]:
    """A line for every knee, those of the working folder and those that were missing there."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / LINES
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
    people = [person for person in read_participants(cohort) if person.mr is not None][:number]
    missing = [person for person in people if person.name not in {line["knee"] for line in lines}]
    with single_threaded(jobs) as pool:
        for line in pool.map(compared, missing):
            lines.append(line)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    return [line for line in lines if line["knee"] in {person.name for person in people}]


def compared(person: Participant) -> dict:
    """One knee: the figures of its synthetic CT."""
    from SubchondralBoneAnalysisLib.synthesis import synthesize_ct

    mr, ct, labels = read_volume(person.mr), read_volume(person.ct), read_volume(person.folder / BONES)
    transforms = {bone: sitk.ReadTransform(str(person.transform(bone))) for bone in (*NUMBERS, "fibula")}
    began = time.process_time()
    synthetic = synthesize_ct(mr, device="cpu").volume
    seconds = time.process_time() - began
    true, known, bones = carried_ct(ct, labels, transforms, mr)
    line = {"knee": person.name, "MR": person.row.get("mr_profile", ""), "CT": person.row.get("ct_profile", "")}
    line |= figures(synthetic.array, true.array, inside(true, known.array), near(bones))
    return line | surface_figures(ct, labels, synthetic, transforms) | {"s": round(seconds, 1)}


def carried_ct(
    ct: Volume, labels: Volume, transforms: dict[str, sitk.Transform], mr: Volume
) -> tuple[Volume, Volume, Volume]:
    """HU, whether they are known, and the bones, on the grid of the MR; HU averaged across its slices."""
    from SubchondralBoneAnalysisLib.bone_registration.blended_motion import bone_motions, ct_on_mr_grid

    motions = bone_motions(labels, transforms)
    thick = int(np.argmax(mr.spacing_mm))
    parts = max(1, round(mr.spacing_mm[thick] / SUB_SLICE_MM))
    total, known = np.zeros(mr.array.shape, np.float32), np.ones(mr.array.shape, bool)
    across = np.reshape(mr.direction_lps, (3, 3))[:, 2 - thick] * mr.spacing_mm[thick]
    for part in range(parts):
        origin = np.array(mr.origin_lps) + ((part + 0.5) / parts - 0.5) * across
        grid = replace(mr, origin_lps=tuple(origin.tolist()))
        values, there = ct_on_mr_grid(ct, labels, transforms, grid, motions=motions)
        total += values.array / parts
        known &= there.array
    bones, _ = ct_on_mr_grid(labels, labels, transforms, mr, 0, True, motions)
    return (
        replace(mr, array=total, path=None, files=()),
        replace(mr, array=known, path=None, files=()),
        replace(bones, array=bones.array.astype(np.uint8)),
    )


def inside(ct: Volume, known: np.ndarray) -> np.ndarray:
    """The leg, bool [k, j, i]: the largest body that is denser than fat, filled slice by slice, where the CT is known.

    The table under the leg is thinner than what the opening leaves.
    """
    body = ct.array > BODY_HU
    reach = [max(0, round(4.0 / step)) for step in ct.spacing_mm]
    few = tuple(slice(None, None, max(1, r // 2)) for r in reach)
    body = ndimage.binary_opening(body[few], iterations=2)
    number, count = ndimage.label(body)
    if count:
        body = number == 1 + np.argmax(np.bincount(number.ravel())[1:])
    body = np.stack([ndimage.binary_fill_holes(plane) for plane in body])
    for axis, part in enumerate(few):
        body = np.repeat(body, part.step, axis)
    return body[tuple(slice(0, n) for n in known.shape)] & known


def near(bones: Volume, wider_mm: float = WIDER_MM) -> np.ndarray:
    """The bones and what lies within `wider_mm` of them, bool [k, j, i]."""
    away = ndimage.distance_transform_edt(bones.array == 0, sampling=bones.spacing_mm)
    return away <= wider_mm


def figures(synthetic: np.ndarray, true: np.ndarray, body: np.ndarray, bone: np.ndarray) -> dict:
    """MAE in the body and at bone, PSNR and SSIM in the body; both images [k, j, i] in HU."""
    one, two = np.clip(synthetic, *HU), np.clip(true, *HU)
    away = np.abs(one - two)[body]
    width = HU[1] - HU[0]
    similar = [
        structural_similarity(a, b, win_size=SSIM_WINDOW, data_range=width, full=True)[1][part]
        for a, b, part in _slices(one, two, body)
        if part.any()
    ]
    return {
        "MAE, HU": round(float(away.mean()), 2),
        "MAE of bone, HU": round(float(np.abs(one - two)[body & bone].mean()), 2),
        "PSNR, dB": round(float(10 * np.log10(width**2 / np.mean(np.square(away, dtype=float)))), 2),
        "SSIM": round(float(np.concatenate(similar).mean()), 4),
        "bias, HU": round(float((one - two)[body].mean()), 2),
    }


def surface_figures(
    ct: Volume, labels: Volume, synthetic: Volume, transforms: dict[str, sitk.Transform]
) -> dict[str, float]:
    """How far the edges of the bones in the synthetic CT lie from those of the CT, along the normals."""
    from SubchondralBoneAnalysisLib.bone_registration.edge_profiles import edge_shifts
    from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import pose_of
    from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface

    surfaces = {bone: bone_surface(labels, number) for bone, number in NUMBERS.items()}
    surfaces = {bone: surface for bone, surface in surfaces.items() if surface is not None}
    middle = np.mean([surfaces[bone].points_lps.mean(axis=0) for bone in surfaces], axis=0)
    shift, weight = [], []
    for bone, surface in surfaces.items():
        wanted = np.linalg.norm(surface.points_lps - middle, axis=1) < NEAR_JOINT_MM
        if not wanted.any():
            continue
        motion = pose_of(transforms[bone])
        found = edge_shifts(surface, wanted, ct, labels, NUMBERS[bone], synthetic, True, motion)
        shift.append(found.shift_mm[found.inside])
        weight.append(found.areas_mm2[found.inside])
    shift, weight = np.concatenate(shift), np.concatenate(weight)
    order = np.argsort(np.abs(shift))
    share = np.cumsum(weight[order]) / weight.sum()
    return {
        "surface, median, mm": round(float(np.abs(shift)[order][np.searchsorted(share, 0.5)]), 3),
        "surface, 95 %, mm": round(float(np.abs(shift)[order][np.searchsorted(share, 0.95)]), 3),
        "surface, mean (out is +), mm": round(float(np.average(shift, weights=weight)), 3),
        "no edge within 4 mm, %": round(float(100 * weight[np.abs(shift) > NOT_FOUND_MM].sum() / weight.sum()), 2),
    }


def speed() -> dict:
    """Seconds and memory of a volume of 512 x 512 x 80 voxels."""
    environment = os.environ | dict.fromkeys(THREADS, "2")
    answer = subprocess.run(
        [sys.executable, str(TASK)], check=True, capture_output=True, text=True, env=environment
    ).stdout
    return json.loads(answer.splitlines()[-1])


def _slices(one: np.ndarray, two: np.ndarray, body: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Both images and the body slice by slice, along the axis with the fewest voxels."""
    axis = int(np.argmin(body.shape))
    yield from zip(*(np.moveaxis(array, axis, 0) for array in (one, two, body)), strict=True)


def _row(name: str, lines: list[dict]) -> dict:
    """Means over knees, ± their standard deviation."""
    row = {"images": name, "knees": len(lines)}
    for key, value in lines[0].items():
        if isinstance(value, float | int):
            values = np.array([line[key] for line in lines], float)
            digits = {"SSIM": 3, "PSNR, dB": 1, "s": 0}.get(key, 2 if "mm" in key else 1)
            row[key] = f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"
    return row


def main() -> None:
    """Measure the cohort given, and print the tables."""
    from run import report

    for name, title, rows in tables(Path(sys.argv[1]), Path(sys.argv[2])):
        report(name, title, rows)


if __name__ == "__main__":
    main()
