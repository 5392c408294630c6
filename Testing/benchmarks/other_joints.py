"""Knowing when not to answer: films of two different joints must not be measured, films of one joint should be."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path

from mcp_series import JointSeries, crop_of, in_parallel, joint_series
from registration_methods import JUDGED, registered

from JSNRegistrationLib.joint_measurement import pair_evidence
from JSNRegistrationLib.verdict import DOUBTFUL, MEASURED, NOT_MEASURABLE, judge


def verdict_of(films: tuple[Path, Path], way: str) -> str | None:
    """The verdict on two films; None where drawn regions are refused."""
    crops = [crop_of(film) for film in films]
    if None in crops:
        return None
    (_, first), (_, second) = crops
    (found,) = registered(way, [(first, second)], spacing_known=False)
    if isinstance(found, str):
        return NOT_MEASURABLE
    return judge(pair_evidence(found, first, second)).status


def measure(shared_data: Path, part: str) -> list[dict]:
    """Verdicts on the first two films of every joint, and on films of two joints of one finger and side."""
    series = joint_series(shared_data, part, 2)
    same = [(joint.films[0], joint.films[1]) for joint in series]
    return [
        _row(part, way, which, films)
        for way in JUDGED
        for which, films in (("one joint", same), ("two different joints", _of_different_joints(series)))
    ]


def _of_different_joints(series: list[JointSeries]) -> list[tuple[Path, Path]]:
    alike = defaultdict(list)
    for joint in series:
        alike[joint.name.split("_", 2)[2]].append(joint)  # side and finger
    return [(a.films[0], b.films[0]) for joints in alike.values() for a, b in pairwise(joints)]


def _row(part: str, way: str, which: str, films: list[tuple[Path, Path]]) -> dict:
    verdicts = [verdict for verdict in in_parallel(partial(verdict_of, way=way), films) if verdict is not None]
    counts = {verdict: verdicts.count(verdict) for verdict in (MEASURED, DOUBTFUL, NOT_MEASURABLE)}
    return {"films": f"real, {part}", "pairs": f"{way}: of {which}", "N": len(verdicts), **counts}
