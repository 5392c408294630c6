"""Tables of how far off registered knees lie, from the lines that `knee_registration` keeps.

A bone is flagged where its verdict is another than "registered", and where the whole pair was refused; only ours flag.
Errors are those of the places of a bone, all bones and pairs taken together; of a refused pair there are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from knee_registration_truth import NUMBERS

AS_GIVEN = "as the headers say"
REGISTERED = "registered"
WRONG_MM = 2.0
ALL = "all"
NO_VERDICTS = "gives none"
AIM = {
    "method": "aim",
    "bone": "each",
    "median, mm": "0.30",
    "95 %, mm": "0.80",
    "pairs with a flag, %": "5",
    f"not flagged and > {WRONG_MM:g} mm": 0,
}


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone of one true pair after one method.

    :param flagged: None of a method that gives no verdicts.
    :param errors_mm: [n] of its places; None where the pair was refused or the bone left out.
    """

    pair: str
    method: str
    name: str
    mr_profile: str
    flagged: bool | None
    errors_mm: np.ndarray | None

    @property
    def worst_mm(self) -> float:
        return float(self.errors_mm.max())


def bones_of(lines: list[dict]) -> list[Bone]:
    """The bones of all true pairs that were found in the CT and have places to measure at."""
    known = {line["pair"]: set(line["bones"]) for line in lines if line["method"] == AS_GIVEN}
    found = []
    for line in lines:
        for name in line["seen"]:
            answer = line["bones"].get(name, {})
            if name not in known.get(line["pair"], {name}) or (answer and "errors_mm" not in answer):
                continue
            flagged = answer.get("verdict") != REGISTERED if _speaks(line) else None
            errors = np.array(answer["errors_mm"]) if answer else None
            found.append(Bone(line["pair"], line["method"], name, line["mr_profile"], flagged, errors))
    return found


def accuracy(lines: list[dict], methods: list[str]) -> list[dict]:
    """A row for each method and bone, the aim before them."""
    bones, rows = bones_of(lines), []
    for method in methods:
        own = [bone for bone in bones if bone.method == method]
        seconds = [line["seconds"] for line in lines if line["method"] == method]
        for name in (*NUMBERS, ALL):
            chosen = [bone for bone in own if name in (ALL, bone.name)]
            if chosen:
                row = {"method": method, "bone": name} | _errors(chosen)
                row |= {"pairs with a flag, %": _flagged_pairs(chosen) if name == ALL else ""}
                rows.append(row | {"s": f"{np.mean(seconds):.1f}" if name == ALL else ""})
    return [{key: AIM.get(key, "") for key in rows[0]}, *rows] if rows else []


def by_profile(lines: list[dict], methods: list[str]) -> list[dict]:
    """A row for each MR profile and method."""
    bones, rows = bones_of(lines), []
    for profile in sorted({bone.mr_profile for bone in bones}):
        for method in methods:
            chosen = [bone for bone in bones if (bone.mr_profile, bone.method) == (profile, method)]
            if chosen:
                rows.append({"MR profile": profile, "method": method} | _errors(chosen))
    return rows


def paired(lines: list[dict], of: str, others: list[str]) -> list[dict]:
    """How often a method's median error of a bone is the smaller one, beside each other method, and by how much."""
    median = {
        (bone.method, bone.pair, bone.name): float(np.median(bone.errors_mm))
        for bone in bones_of(lines)
        if bone.errors_mm is not None
    }
    rows = []
    for other in others:
        both = [
            (value, median[other, *key[1:]])
            for key, value in median.items()
            if key[0] == of and (other, *key[1:]) in median
        ]
        if both:
            one, two = np.array(both).T
            rows.append(
                {
                    "against": other,
                    "bones": len(both),
                    "nearer to the truth, %": f"{100 * (one < two).mean():.0f}",
                    "median of the differences, mm": f"{np.median(one - two):+.3f}",
                }
            )
    return rows


def starts(lines: list[dict]) -> list[dict]:
    """Of each bone: shift and turn that the headers are off by."""
    rows = []
    for name in NUMBERS:
        sizes = [line["start"][name] for line in lines if name in line.get("start", {})]
        if sizes:
            mm, deg = np.array(sizes).T
            rows.append({"bone": name, "pairs": len(sizes)} | _spread("mm", mm) | _spread("degrees", deg))
    return rows


def wrong(lines: list[dict]) -> list[dict]:
    """A row for each kind of pair, the true ones too: what was said of it by the methods that say anything."""
    spoken = [line for line in lines if _speaks(line)]
    rows = []
    for kind, method in dict.fromkeys((line["kind"], line["method"]) for line in spoken):
        own = [line for line in spoken if (line["kind"], line["method"]) == (kind, method)]
        refused = ["refused" in line for line in own]
        registered = [sum(bone["verdict"] == REGISTERED for bone in line["bones"].values()) for line in own]
        rows.append(
            {
                "pairs of": kind,
                "method": method,
                "pairs": len(own),
                "refused": sum(refused),
                "not refused, every bone flagged": sum(
                    not no and not bones for no, bones in zip(refused, registered, strict=True)
                ),
                "some bone registered": sum(bones > 0 for bones in registered),
                "bones registered": sum(registered),
            }
        )
    return rows


def _errors(bones: list[Bone]) -> dict:
    measured = [bone for bone in bones if bone.errors_mm is not None]
    kept = [bone for bone in measured if not bone.flagged]
    every = np.concatenate([bone.errors_mm for bone in measured]) if measured else np.array([np.nan])
    told = np.concatenate([bone.errors_mm for bone in kept]) if kept else np.array([np.nan])
    silent = all(bone.flagged is None for bone in bones)
    rms = [np.sqrt(np.mean(bone.errors_mm**2)) for bone in measured] or [np.nan]
    return {
        "bones": len(bones),
        "median, mm": f"{np.median(every):.2f}",
        "95 %, mm": f"{np.percentile(every, 95):.2f}",
        "RMS of a bone, median, mm": f"{np.median(rms):.2f}",
        "worst place, mm": f"{every.max():.2f}",
        f"bones > {WRONG_MM:g} mm": sum(bone.worst_mm > WRONG_MM for bone in measured),
        "bones flagged, %": NO_VERDICTS if silent else f"{100 * np.mean([bone.flagged for bone in bones]):.1f}",
        "not flagged: 95 %, mm": f"{np.percentile(told, 95):.2f}",
        f"not flagged and > {WRONG_MM:g} mm": sum(bone.worst_mm > WRONG_MM for bone in kept),
    }


def _flagged_pairs(bones: list[Bone]) -> str:
    """Of the pairs, percent in which at least one bone is flagged."""
    if all(bone.flagged is None for bone in bones):
        return NO_VERDICTS
    flagged = {pair: any(bone.flagged for bone in bones if bone.pair == pair) for pair in {b.pair for b in bones}}
    return f"{100 * np.mean(list(flagged.values())):.1f}"


def _speaks(line: dict) -> bool:
    """Whether it is of a method that gives verdicts."""
    return "way" in line or "refused" in line


def _spread(unit: str, values: np.ndarray) -> dict:
    return {f"median, {unit}": f"{np.median(values):.1f}", f"largest, {unit}": f"{values.max():.1f}"}
