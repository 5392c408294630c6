"""How the error and the refusals of our methods grow with each thing that is wrong with the second film, alone.

Real films taken apart (registration_joints), otherwise with small shifts, low noise and the same exposure in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from film_presentation import Presentation
from layer_motion import REACHES
from mcp_series import ASSUMED_SPACING_MM, in_parallel
from registration_joints import REAL, JointSpec, make, real_films
from registration_methods import JUDGED, METHODS

from JSNRegistrationLib.verdict import NOT_MEASURABLE

JOINTS = {"evaluation": 4, "development": 4}  # on every level
TOGETHER = 12
LOOK, EASY = Presentation(), REACHES["easy"]
FIGURE_INCHES, FIGURE_DPI = (12.0, 6.0), 100


@dataclass(frozen=True)
class Nuisance:
    """One thing that is wrong, and how much of it is tried."""

    name: str
    unit: str
    levels: tuple[float, ...]

    def put(self, spec: JointSpec, level: float) -> JointSpec:
        """The joint with so much of it."""
        if self.name == "noise":
            return replace(spec, grain=level / 100)
        reach = {
            "turn": lambda: replace(EASY, turn_deg=level, exact=True),
            "magnification": lambda: replace(EASY, scale=level / 100, exact=True),
            "overlap": lambda: replace(EASY, closed_mm=(level, level), closed_share=1.0),
            "out-of-plane turn": lambda: replace(EASY, foreshortening=(level / 100,) * 2),
        }
        if self.name in reach:
            return replace(spec, reach=reach[self.name]())
        look = {
            "gamma": lambda: replace(LOOK, gamma=level),
            "JPEG": lambda: replace(LOOK, jpeg_quality=int(level)),
            "blur": lambda: replace(LOOK, blur_px=level),
        }
        return replace(spec, look=(LOOK, look[self.name]()))


NUISANCES = (
    Nuisance("noise", "% of the contrast", (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)),
    Nuisance("turn", "degrees", (0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0)),
    Nuisance("magnification", "%", (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)),
    Nuisance("gamma", "of the second film", (0.4, 0.55, 0.7, 0.85, 1.0, 1.3, 1.7, 2.2)),
    Nuisance("JPEG", "quality", (95, 85, 70, 50, 35, 25, 15, 8)),
    Nuisance("blur", "sigma, pixels", (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)),
    Nuisance("overlap", "mm nearer in both films", (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)),
    Nuisance("out-of-plane turn", "% foreshortening", (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)),
)


@dataclass(frozen=True)
class SweepTask:
    """The joints of one level of one nuisance."""

    nuisance: Nuisance
    level: float
    joints: tuple[JointSpec, ...]


def measure(shared_data: Path, part: str, each: int | None = None) -> list[dict]:
    """The curves as a table: a row for each method, nuisance and level."""
    films = real_films(shared_data, part)
    joints = tuple(
        JointSpec(REAL, "easy", "low", seed, ASSUMED_SPACING_MM, films[seed % len(films)], look=(LOOK, LOOK))
        for seed in range(JOINTS[part] if each is None else each)
    )
    tasks = [SweepTask(nuisance, level, joints) for nuisance in NUISANCES for level in nuisance.levels]
    rows = [row for found in in_parallel(rows_of, tasks) for row in found]
    return [{"films": f"real layers, {part}"} | row for row in rows]


def rows_of(task: SweepTask) -> list[dict]:
    """Rows of one level, one for each of our methods."""
    joints = [make(task.nuisance.put(spec, task.level)) for spec in task.joints]
    rows = []
    for method in METHODS:
        if method.name not in JUDGED:
            continue
        answers = method.register([(joint.first, joint.second) for joint in joints])
        errors = np.array(
            [
                np.nan if answer.upper is None else joint.change_mm(answer.upper, answer.lower) - joint.true_mm
                for joint, answer in zip(joints, answers, strict=True)
            ]
        )
        refused = np.array([answer.verdict == NOT_MEASURABLE for answer in answers])
        kept = np.isfinite(errors) & ~refused
        rows.append(
            {
                "program": method.name,
                "pairs": f"{method.name}, {task.nuisance.name} {task.level}",
                "nuisance": task.nuisance.name,
                "unit": task.nuisance.unit,
                "level": task.level,
                "N": len(joints),
                "RMSE, mm": _rounded(np.sqrt(np.nanmean(errors**2))) if np.isfinite(errors).any() else "",
                "RMSE not refused, mm": _rounded(np.sqrt(np.mean(errors[kept] ** 2))) if kept.any() else "",
                "worst not refused, mm": _rounded(np.abs(errors[kept]).max()) if kept.any() else "",
                "refused, %": round(100 * float(refused.mean()), 1),
            }
        )
    return rows


def draw(rows: Sequence[dict], file: Path) -> None:
    """All curves as one figure (PNG): RMSE of what was not refused, and the share refused below it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    programs = list(dict.fromkeys(row["program"] for row in rows))
    figure, axes = plt.subplots(2, 4, figsize=FIGURE_INCHES, sharey=True, layout="constrained")
    for panel, nuisance in zip(axes.flat, NUISANCES, strict=True):
        share = panel.twinx()
        for place, program in enumerate(programs):
            own = [row for row in rows if row["program"] == program and row["nuisance"] == nuisance.name]
            level = [row["level"] for row in own]
            error = [1000 * row["RMSE not refused, mm"] if row["RMSE not refused, mm"] != "" else np.nan for row in own]
            panel.plot(level, error, "o-", color=f"C{place}", label=program, markersize=4)
            share.fill_between(level, [row["refused, %"] for row in own], color=f"C{place}", alpha=0.15, linewidth=0)
        if nuisance.name == "JPEG":
            panel.invert_xaxis()
        panel.set_yscale("log")
        panel.set_ylim(1.0, 300.0)
        panel.grid(alpha=0.3, which="both", linewidth=0.5)
        panel.set_xlabel(f"{nuisance.name}, {nuisance.unit}")
        panel.set_zorder(1)
        panel.patch.set_visible(False)
        share.set_ylim(0.0, 100.0)
        share.set_yticks([0, 50, 100])
        if panel not in axes[:, -1]:
            share.set_yticklabels([])
            continue
        share.set_ylabel("refused, %")
    for panel in axes[:, 0]:
        panel.set_ylabel("error (RMSE), µm")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=max(len(programs), 1))
    figure.supxlabel("line: error of the joint space change where it was not refused; shaded: share refused", size=10)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=FIGURE_DPI)
    plt.close(figure)


def _rounded(value: float) -> float:
    return round(float(value), 4)
