"""Everything that is measured about the registration of joints with known motion, as tables, for run.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import registration_flag
import registration_speed
import registration_sweeps
from registration_accuracy import accuracy_rows, all_answers, cell_rows, coverage_rows, ratio_rows

FIGURE = "registration_sweeps.png"
KEPT = "answers_of_peers"  # a run that was broken off goes on where it was
Table = tuple[str, str | None, list[dict]]


def tables(shared_data: Path | None, part: str, results: Path) -> Iterator[Table]:
    """(name of the file, title, rows) of every table; a title of None is for tables that are too long to be read.

    ``shared_data`` is None where there are no real films. Also writes the figure of the sweeps into ``results``.
    """
    answers = all_answers(shared_data, part, kept=results / KEPT)
    yield "registration_answers", None, [asdict(answer) for answer in answers]
    yield "registration_accuracy", "Joints with known motion, error of the change", accuracy_rows(answers, part)
    yield (
        "registration_cells",
        "Joints with known motion, RMSE (mm) by source, motion / noise",
        cell_rows(answers, part),
    )
    yield "registration_ratios", "Ratios of root mean square errors", ratio_rows(answers, part)
    yield "registration_coverage", "How often the stated intervals hold the truth", coverage_rows(answers, part)
    flag = registration_flag.measure(shared_data, part)
    yield "registration_flag", "Joints that were made unregistrable, against good ones", flag
    yield "registration_speed", "Time for a patient on two cores", registration_speed.measure(shared_data, part)
    if shared_data is not None:
        sweeps = registration_sweeps.measure(shared_data, part)
        registration_sweeps.draw(sweeps, results / FIGURE)
        yield "registration_sweeps", None, sweeps
