"""The joint finder on real films of whole hands, against joints marked by eye (Testing/marks/hand_films.json).

The films are children's (ten for development, twenty for the evaluation) and two of an adult, which served development
too. A joint counts as found when it lies within 2 % of the hand length of its mark.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from JSNRegistrationLib.joint_finding import classical_finder, network_finder
from JSNRegistrationLib.joints import JOINT_NAMES, Hand, Joint
from JSNRegistrationLib.radiograph import Radiograph, read_radiograph

MARKS = Path(__file__).parents[1] / "marks" / "hand_films.json"
DEVELOPMENT = 10  # of the children's films in sorted order
FOUND = 0.02  # of the hand length
WRONG = 0.06  # farther off is another joint: the name is wrong, or the joint is invented
SAME = 0.01  # a turned or inverted film gives the same place
KINDS = {"MCP PIP IP": ("MCP", "PIP", "IP"), "MCP": ("MCP",), "PIP": ("PIP",), "IP": ("IP",), "DIP": ("DIP",)}


def measure(shared_data: Path, part: str) -> list[dict]:
    """Both finders on the films of a part: found, missed and wrong joints by kind and by maturity of the hand."""
    films = _films(shared_data, part)
    finders = {"network": network_finder.find_hands, "classical": _classical}
    return [row for name, find in finders.items() for row in _rows(name, part, _seen(films, find))]


def measure_repeatability() -> list[dict]:
    """How far the two markings of the same joint lie apart, in percent of the hand length."""
    apart = []
    for film in _marks().values():
        first, second = film["passes"]
        length = _length(film)
        apart += [np.hypot(*np.subtract(first[n], second[n])) / length for n in JOINT_NAMES if first[n] and second[n]]
    apart = 100 * np.array(apart)
    return [
        {
            "films": "real, all marked",
            "joints": len(apart),
            "median, % of hand length": round(np.median(apart), 2),
            "95 % below, % of hand length": round(np.percentile(apart, 95), 2),
            "largest, % of hand length": round(apart.max(), 2),
        }
    ]


def measure_sameness(shared_data: Path, part: str) -> list[dict]:
    """The same film turned, inverted and mirrored: how many of its joints come back to the same place."""
    rows = []
    for name in ("turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees", "inverted", "mirrored"):
        same, joints, sides, films, farthest = 0, 0, 0, 0, 0.0
        for path, film in _films(shared_data, part):
            radiograph = read_radiograph(path)
            before = next(iter(network_finder.find_hands(radiograph, "cpu")), None)
            if before is None:
                continue
            pixels, back = _altered(radiograph.pixels, name)
            hands = network_finder.find_hands(replace(radiograph, pixels=np.ascontiguousarray(pixels)), "cpu")
            after = {j.name: back(j.position_px) for j in hands[0].joints} if hands else {}
            off = [
                np.hypot(*np.subtract(after[j.name], j.position_px)) / _length(film) if j.name in after else np.inf
                for j in before.joints
            ]
            same += int(np.sum(np.array(off) < SAME))
            joints += len(off)
            farthest = max([farthest, *[o for o in off if np.isfinite(o)]])
            films += 1
            wanted = before.side if name != "mirrored" else {"left": "right", "right": "left"}.get(before.side)
            sides += bool(hands) and hands[0].side == wanted
        rows.append(
            {
                "films": f"real, {part}",
                "pairs": name,
                "joints": joints,
                "same place within 1 %, %": round(100 * same / joints, 1),
                "farthest, % of hand length": round(100 * farthest, 2),
                "films with the right side": f"{sides} of {films}",
            }
        )
    return rows


def measure_speed(shared_data: Path) -> list[dict]:
    """Seconds a film, both finders on the same films in the same run."""
    films = [read_radiograph(path) for path, _ in _films(shared_data, "development")]
    seconds = {}
    for name, find in {"network": network_finder.find_hands, "classical": _classical}.items():
        find(films[0], "cpu")  # loads what it needs
        started = time.perf_counter()
        for film in films:
            find(film, "cpu")
        seconds[name] = (time.perf_counter() - started) / len(films)
    return [
        {
            "films": "real, development",
            "finder": name,
            "s/film": round(value, 3),
            "ratio to classical": round(value / seconds["classical"], 2),
        }
        for name, value in seconds.items()
    ]


def _classical(film: Radiograph, _device: str) -> tuple[Hand, ...]:
    joints = tuple(classical_finder.find_joints(film))
    return (Hand(joints[0].side, "PA", joints, 1.0),) if joints else ()


def _marks() -> dict:
    return json.loads(MARKS.read_text(encoding="utf-8"))["films"]


def _films(shared_data: Path, part: str) -> list[tuple[Path, dict]]:
    folder, marks = shared_data / "hand-radiographs", _marks()
    children = sorted((folder / "child").glob("*.png"))
    adults = sorted((folder / "adult-two-visits").glob("*.png"))
    chosen = children[:DEVELOPMENT] + adults if part == "development" else children[DEVELOPMENT:]
    return [(path, marks[path.name]) for path in chosen]


def _length(film: dict) -> float:
    """From the middle of the distal radius to the tip of the third distal phalanx, in pixels."""
    return float(np.mean([np.hypot(*np.subtract(p["wrist"], p["tip"])) for p in film["passes"] if p["wrist"]]))


def _seen(films, find) -> list[dict]:
    """One entry for every marked or invented joint: kind, maturity, how far off in hand lengths (inf where missed)."""
    seen = []
    for path, film in films:
        hands = find(read_radiograph(path), "cpu")
        found: dict[str, list[Joint]] = {}
        for hand in hands:
            for joint in hand.joints:
                found.setdefault(joint.name, []).append(joint)
        for name in JOINT_NAMES:
            marks = [p[name] for p in film["passes"]]
            here = found.get(name, [])
            entry = {"kind": name[:-1], "maturity": film["maturity"][0], "marked": all(marks), "found": len(here)}
            away = [np.hypot(*np.subtract(j.position_px, np.mean(marks, axis=0))) for j in here] if all(marks) else []
            entry["off"] = min(away) / _length(film) if away else np.inf
            entry["extra"] = len(here) - bool(away)
            seen.append(entry)
    return seen


def _rows(finder: str, part: str, seen: list[dict]) -> list[dict]:
    groups = {label: [e for e in seen if e["kind"] in kinds] for label, kinds in KINDS.items()}
    for maturity in ("young", "growing", "adolescent", "adult"):
        own = [e for e in seen if e["maturity"] == maturity and e["kind"] != "DIP"]
        groups[f"MCP PIP IP, {maturity}"] = own
    return [_row(finder, part, label, entries) for label, entries in groups.items() if entries]


def _row(finder: str, part: str, label: str, entries: list[dict]) -> dict:
    marked = [e for e in entries if e["marked"]]
    off = np.array([e["off"] for e in marked])
    seen = off[np.isfinite(off)]
    return {
        "films": f"real, {part}",
        "pairs": f"{finder}: {label}",
        "joints": len(marked),
        "within 2 % of hand length, %": round(100 * np.mean(off < FOUND), 1),
        "absent": int(np.sum(~np.isfinite(off))),
        "2 to 6 %": int(np.sum((seen >= FOUND) & (seen < WRONG))),
        "another joint or invented": int(np.sum(seen >= WRONG)) + sum(e["extra"] for e in entries),
        "median, % of hand length": round(100 * np.median(seen), 2) if len(seen) else None,
    }


def _altered(pixels: np.ndarray, how: str):
    """The altered film, and the way of a place (x, y) on it back to the film as it was."""
    rows, columns = pixels.shape
    if how == "inverted":
        return pixels.max() + pixels.min() - pixels, lambda p: p
    if how == "mirrored":
        return pixels[:, ::-1], lambda p: (columns - 1 - p[0], p[1])
    quarters = {"turned by 90 degrees": 1, "turned by 180 degrees": 2, "turned by 270 degrees": 3}[how]
    back = {
        1: lambda p: (columns - 1 - p[1], p[0]),
        2: lambda p: (columns - 1 - p[0], rows - 1 - p[1]),
        3: lambda p: (p[1], rows - 1 - p[0]),
    }
    return np.rot90(pixels, quarters), back[quarters]
