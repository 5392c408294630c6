"""The regions of both bones as the programs find them, against those drawn by people, on real films of MCP joints.

Every joint is looked for from a place about 1 mm and an axis about 4 degrees away from the drawn one, which is what a
finder leaves. Dice is taken within 80 pixels of the joint space, as drawn and found regions end elsewhere on the shaft.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from closure import loops_of, rows_of
from mcp_series import ASSUMED_SPACING_MM, crop_of, in_parallel, joint_series

from JSNRegistrationLib.bone_finding import bone_regions
from JSNRegistrationLib.bone_finding.joint_picture import PictureFrame
from JSNRegistrationLib.bones import JointCrop, bone_width_px, cut_joint
from JSNRegistrationLib.joints import Joint
from JSNRegistrationLib.radiograph import Radiograph

NEAR_PX = 80
SHIFT_MM, TURN_DEG = 0.7, 4.0  # standard deviations, the shift in each direction
FINGERS = {"13": 1, "2": 2, "5": 3, "8": 4, "11": 5}  # of the number in the name of a series
PROGRAMS = ("with network", "classical alone")


def found_crop(path: Path, program: str) -> tuple[Radiograph, JointCrop] | None:
    """A film and its joint with the regions that a program finds; None where the drawn ones are refused."""
    drawn = crop_of(path)
    if drawn is None:
        return None
    film, crop = drawn
    rng = np.random.default_rng([int(n) for n in re.findall(r"\d+", path.parent.name + path.stem)])
    shift = rng.normal(0, SHIFT_MM / ASSUMED_SPACING_MM, 2)
    turn = np.radians(rng.normal(0, TURN_DEG))
    (x, y), c, s = crop.axis, np.cos(turn), np.sin(turn)
    origin = np.clip(np.add(crop.origin_px, crop.offset_px) + shift, 0, np.array(film.pixels.shape[::-1]) - 1)
    finger = FINGERS[path.parent.name.rsplit("_", 1)[1]]
    joint = Joint(f"MCP{finger}", None, tuple(origin), (c * x - s * y, s * x + c * y))
    regions = None
    if program == "with network":
        frame = PictureFrame.around(joint.position_px, joint.axis, bone_width_px(film, joint))
        (regions,) = bone_regions.find_regions(film.pixels, [frame], "cpu")
    return film, cut_joint(film, joint, regions)


def measure(shared_data: Path, part: str) -> list[dict]:
    """Dice of both bones by program."""
    films = [path for series in joint_series(shared_data, part, 1) for path in series.films]
    return [_row(part, program, in_parallel(partial(_dice, program=program), films)) for program in PROGRAMS]


def measure_closure(shared_data: Path, part: str, programs: tuple[str, ...] = ("drawn", *PROGRAMS)) -> list[dict]:
    """The table of closures with the regions that a program finds, beside that with the drawn ones."""
    series = joint_series(shared_data, part, 3)
    rows = []
    for program in programs:
        find = crop_of if program == "drawn" else partial(found_crop, program=program)
        loops = [loop for found in in_parallel(partial(loops_of, find=find), series) for loop in found]
        rows += [row | {"pairs": f"{program}: {row['pairs']}"} for row in rows_of(part, len(series), loops)]
    return rows


def _dice(path: Path, program: str) -> tuple[float, float] | None:
    drawn, found = crop_of(path), found_crop(path, program)
    if drawn is None or found is None:
        return None
    film, truth = drawn
    y, x = np.mgrid[: film.pixels.shape[0], : film.pixels.shape[1]]
    near = np.hypot(x - truth.offset_px[0] - truth.origin_px[0], y - truth.offset_px[1] - truth.origin_px[1]) < NEAR_PX
    dice = []
    for bone in ("upper", "lower"):
        a, b = (_on_film(getattr(crop, bone), crop, film) & near for crop in (truth, found[1]))
        dice.append(2 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1))
    return tuple(dice)


def _on_film(region: np.ndarray, crop: JointCrop, film: Radiograph) -> np.ndarray:
    whole = np.zeros(film.pixels.shape, bool)
    x, y = crop.offset_px
    whole[y : y + region.shape[0], x : x + region.shape[1]] = region
    return whole


def _row(part: str, program: str, dice: list) -> dict:
    upper, lower = np.array([pair for pair in dice if pair is not None]).T
    return {
        "films": f"real, {part}",
        "pairs": program,
        "N": len(upper),
        "upper bone, mean Dice": round(upper.mean(), 3),
        "lower bone, mean Dice": round(lower.mean(), 3),
        "upper bone, 5th percentile": round(np.percentile(upper, 5), 3),
        "lower bone, 5th percentile": round(np.percentile(lower, 5), 3),
        "either below 0.85, %": round(100 * np.mean(np.minimum(upper, lower) < 0.85), 1),
    }
