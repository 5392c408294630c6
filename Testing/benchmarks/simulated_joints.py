"""Error of the space change on simulated joints with exactly known motion, ours and other programs' in one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mcp_series import in_parallel
from registration_methods import CLASSICAL, METHODS, timed

from JSNRegistrationLib.bones import crop_from_masks
from JSNRegistrationLib.narrowing import CONFIDENCE_Z, space_change_px
from JSNRegistrationLib.radiograph import Radiograph
from JSNRegistrationLib.simulation.joint import DIFFICULTIES, simulate_joint

SPACINGS_MM = (0.1, 0.15)
JOINTS_EACH = 12  # of every difficulty and spacing
FIRST_SEED = 50_000  # seeds below were used to set the method
MISMATCH_MM = 0.2
MASK_JITTER_MM = 0.15


@dataclass(frozen=True)
class Answered:
    """One program's answer for one joint."""

    program: str
    difficulty: str
    true_mm: float
    estimate_mm: float
    seconds: float
    se_mm: float = np.nan


def answers_of(task: tuple[int, str, float]) -> list[Answered]:
    """All programs on one simulated joint; the space change is read at the joint's reported origin and axis."""
    seed, difficulty, spacing = task
    joint = simulate_joint(seed, spacing_mm=spacing, difficulty=difficulty, mask_jitter_mm=MASK_JITTER_MM)
    first, second = (
        crop_from_masks(_film(pixels, spacing), upper, lower)
        for pixels, upper, lower in zip(joint.films, joint.upper_masks, joint.lower_masks, strict=True)
    )
    origin = np.add(first.origin_px, first.offset_px)
    true = joint.true_change(0, 1, tuple(origin), first.axis)
    found = []
    for method in METHODS:
        (answer,), seconds = timed(method, [(first, second)])
        estimate = np.nan
        if answer.upper is not None:
            change = space_change_px(answer.upper, answer.lower, np.array(first.origin_px), np.array(first.axis))
            estimate = change * spacing
        found.append(Answered(method.name, difficulty, true, estimate, seconds, answer.se_mm))
    return found


def measure() -> tuple[list[dict], list[dict]]:
    """The table of errors in mm, a row for each program, best first; and how well our standard error foretells ours."""
    tasks = [
        (FIRST_SEED + number, difficulty, spacing)
        for difficulty in DIFFICULTIES
        for spacing in SPACINGS_MM
        for number in range(JOINTS_EACH)
    ]
    answers = [answer for found in in_parallel(answers_of, tasks) for answer in found]
    rows = [_row(method.name, [a for a in answers if a.program == method.name]) for method in METHODS]
    stated = [a for a in answers if a.program == CLASSICAL and np.isfinite(a.se_mm)]
    calibration = [
        _calibration(difficulty, [a for a in stated if a.difficulty == difficulty]) for difficulty in DIFFICULTIES
    ]
    return sorted(rows, key=lambda row: row["RMSE, mm"]), calibration


def _row(program: str, answers: list[Answered]) -> dict:
    true = np.array([a.true_mm for a in answers])
    estimate = np.array([a.estimate_mm for a in answers])
    error = estimate - true
    gave = np.isfinite(error)
    row = {
        "program": program,
        "N": len(answers),
        "gave up": int(np.sum(~gave)),
        "mean, mm": round(error[gave].mean(), 4),
        "SD, mm": round(error[gave].std(), 4),
        "RMSE, mm": round(float(np.sqrt(np.mean(error[gave] ** 2))), 4),
        "worst, mm": round(np.abs(error[gave]).max(), 3),
        "mismatch (> 0.2 mm), %": round(100 * np.mean(~(np.abs(error) <= MISMATCH_MM)), 1),
        "slope on truth": round(np.polyfit(true[gave], estimate[gave], 1)[0], 3),
        "ms per joint": round(1000 * np.median([a.seconds for a in answers])),
    }
    for difficulty in DIFFICULTIES:
        chosen = np.array([a.difficulty == difficulty for a in answers]) & gave
        row[f"RMSE {difficulty}, mm"] = round(float(np.sqrt(np.mean(error[chosen] ** 2))), 4)
    return row


def _calibration(difficulty: str, answers: list[Answered]) -> dict:
    errors = np.array([(a.estimate_mm - a.true_mm) / a.se_mm for a in answers])
    return {
        "difficulty": difficulty,
        "N": len(errors),
        "median standard error, mm": round(float(np.median([a.se_mm for a in answers])), 4),
        "RMS of error / standard error": round(float(np.sqrt(np.mean(errors**2))), 2),
        "95 % interval holds the truth, %": round(100 * float(np.mean(np.abs(errors) < CONFIDENCE_Z)), 1),
    }


def _film(pixels: np.ndarray, spacing_mm: float) -> Radiograph:
    path = Path("simulated joint")
    return Radiograph(pixels, spacing_mm, "simulation", path, "", None, None, None, (0.0, float(pixels.max())))
