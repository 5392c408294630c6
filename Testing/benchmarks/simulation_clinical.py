"""The bone of a real clinical knee CT among simulated bone that is scanned as that CT was.

The knee job says where the subchondral patches of the real CT lie, how noisy it is and how far it blurs. Simulated
patches of a cohort's patients are seen by a scanner of that blur, noise and voxel. Cubes of 6 mm on the voxels of the
CT, of patches that do not overlap. The structure of the real bone is not known: what is compared is the picture, each
real patch with the simulated ones of nearest mean HU.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from simulation_bones import drawn_region
from simulation_features import ct_features
from simulation_real import percentile
from simulation_views import ct_view

from SubchondralBoneAnalysisLib.simulation.bone_block import PATCH_MM, bone_block
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtProfile
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES
from SubchondralBoneAnalysisLib.volume import Volume, read_volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps

CT = "knee_ct_right_image_side.nrrd"
PATCHES = 60  # simulated, of each family
NEIGHBOURS = 30  # of nearest mean HU
APART_MM = 6.0
BLOCKS = 24  # simulated, for each blur
WIDER_MM = ((0.7, 1.0), (0.8, 1.1), (0.9, 1.3))  # FWHM in the slice and across
NOISE_PEAK_PER_MM = 0.6  # of the profile with a bone kernel and slices of 0.5 mm


def available(shared_data: Path) -> bool:
    """Whether the CT is there."""
    return (shared_data / "knee-ct" / CT).is_file()


def tables(shared_data: Path, patches: int = PATCHES) -> Iterator[tuple[str, str, list[dict]]]:
    """The table: name, title, rows."""
    profile, real = real_patches(shared_data / "knee-ct" / CT)
    rows: list[dict] = [{"feature": name} for name in real[0]]
    for family in FAMILIES:
        simulated = []
        for number in range(patches):
            rng = np.random.default_rng([61, number])
            block = bone_block(drawn_region(rng), family, rng)
            simulated.append(ct_features(ct_view(block, profile.of_scan(rng, 0.0), PATCH_MM, rng)))
        for row in rows:
            row |= _compared(row["feature"], real, simulated, family)
    title = f"Bone of a real knee CT ({len(real)} patches) among simulated bone in a scanner like its own"
    yield "simulation_clinical", title, rows
    title = "The same with scanners of other blur, all families: medians (the first is what the job found at the skin)"
    yield "simulation_clinical_blur", title, blurs(profile, real)


def blurs(profile: CtProfile, real: list[dict[str, float]]) -> list[dict]:
    """Medians of every feature: real, and simulated for the blur that the job found and for wider ones."""
    columns = {"real": real}
    found = (profile.scanner.in_plane_fwhm_mm, profile.scanner.axial_fwhm_mm)
    for in_plane, axial in (found, *WIDER_MM):
        scanner = replace(profile.scanner, in_plane_fwhm_mm=in_plane, axial_fwhm_mm=axial)
        scan = replace(profile, scanner=scanner).of_scan(np.random.default_rng(0), 0.0)
        looks = []
        for number in range(BLOCKS):
            rng = np.random.default_rng([61, number])
            block = bone_block(drawn_region(rng), FAMILIES[number % len(FAMILIES)], rng)
            looks.append(ct_features(ct_view(block, scan, PATCH_MM, rng)))
        columns[f"FWHM {in_plane:.2f} x {axial:.2f} mm"] = looks
    return [
        {"feature": name} | {of: f"{np.median([look[name] for look in looks]):.2f}" for of, looks in columns.items()}
        for name in real[0]
    ]


def real_patches(path: Path) -> tuple[CtProfile, list[dict[str, float]]]:
    """A scanner like that of the CT, and the features of its patches that do not overlap."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "result"
        command = [sys.executable, "-m", "JointQuantLib", "knee", str(path), "--out", str(out), "--progress", "none"]
        subprocess.run(command, check=True)
        return read_patches(read_volume(path), out)


def read_patches(ct: Volume, result: Path) -> tuple[CtProfile, list[dict[str, float]]]:
    """As `real_patches`, from the result folder of the knee job."""
    found = json.loads((result / "result.json").read_text("utf-8"))["ct"]
    scanner = Scanner(
        found["blur_in_plane"]["fwhm_mm"],
        found["blur_axial"]["fwhm_mm"],
        0.0,
        found["noise_sd_hu"],
        NOISE_PEAK_PER_MM,
    )
    with (result / "patches.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    centres = np.array([[float(row[f"centre_lps_mm_{axis}"]) for axis in "lps"] for row in rows])
    taken: list[int] = []
    for number, centre in enumerate(centres):
        if not taken or np.abs(centres[taken] - centre).max(1).min() >= APART_MM:
            taken.append(number)
    features = [ct_features(_cut(ct, centres[number])) for number in taken]
    return CtProfile(path_name(ct), scanner, ct.spacing_mm, 120.0), features


def path_name(ct: Volume) -> str:
    """What the scanner of a CT is called here."""
    return f"as {ct.path.name}" if ct.path else "as the CT"


def _cut(ct: Volume, centre_lps: np.ndarray) -> Volume:
    """The cube of a patch's edge about a place, on the CT's own voxels."""
    shape = np.array([int(PATCH_MM / s) for s in ct.spacing_mm])
    low = np.round(to_index(centre_lps[None], ct)[0] - 0.5 * (shape - 1)).astype(int)
    part = ct.array[tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))]
    return replace(ct, array=part, origin_lps=tuple(to_lps(low, ct)))


def _compared(feature: str, real: list[dict], simulated: list[dict], family: str) -> dict:
    """Medians, and how often a real patch lies among the simulated ones of its mean HU."""
    values = np.array([look[feature] for look in simulated])
    means = np.array([look["mean, HU"] for look in simulated])
    own = np.array([look[feature] for look in real])
    near = [np.argsort(np.abs(means - look["mean, HU"]))[:NEIGHBOURS] for look in real]
    found = np.array([percentile(values[index], value) for index, value in zip(near, own, strict=True)])
    low, high = np.percentile(own, [5, 95])
    simulated_low, simulated_high = np.percentile(values, [5, 95])
    return {
        "real: median (5 to 95 %)": f"{np.median(own):.2f} ({low:.2f} to {high:.2f})",
        f"{family}: median (5 to 95 %)": f"{np.median(values):.2f} ({simulated_low:.2f} to {simulated_high:.2f})",
        f"{family}: median percentile of the real ones at their mean HU": f"{np.median(found):.0f}",
        f"{family}: real ones within 2.5 to 97.5, %": round(float(100 * np.mean((found > 2.5) & (found < 97.5)))),
    }
