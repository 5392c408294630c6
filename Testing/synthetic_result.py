"""A small result folder of the hand job, for tests of what only reads such a folder (report, scene).

The films are drawn from formulas: two fingers of three bones each, which move by known rigid motions from visit to
visit, so every number in `result.json` follows from the motions and the maps agree with the films. Four joints: MCP2
and MCP3 are measured, PIP2 is doubtful, PIP3 is not found at the last visit and so not measurable there.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

SHAPES = ((420, 260), (432, 270), (424, 264))  # [rows, columns]: every film has its own
DATES = ("2019-03-04", "2020-03-02", "2021-03-08")
YEARS = (0.0, 0.994, 2.012)
OUTSIDE = -1.0


@dataclass(frozen=True)
class Bone:
    """A capsule from `base` to `head` in pixels of visit 0 with a half width in pixels; `head` is the distal end."""

    base: tuple[float, float]
    head: tuple[float, float]
    half_width: float
    seed: int


BONES = {
    "M2": Bone((82.0, 410.0), (88.0, 276.0), 21.0, 1),
    "P2": Bone((88.4, 268.0), (93.0, 162.0), 17.0, 2),
    "I2": Bone((93.3, 155.0), (96.0, 78.0), 14.0, 3),
    "M3": Bone((166.0, 410.0), (168.0, 262.0), 22.0, 4),
    "P3": Bone((168.1, 254.0), (170.0, 138.0), 18.0, 5),
    "I3": Bone((170.1, 131.0), (171.0, 48.0), 15.0, 6),
}
JOINTS = {"MCP2": ("M2", "P2"), "PIP2": ("P2", "I2"), "MCP3": ("M3", "P3"), "PIP3": ("P3", "I3")}  # (lower, upper)


def rigid(angle_deg: float, shift: tuple[float, float], about: np.ndarray) -> np.ndarray:
    """2 x 3 motion: a rotation about a point, then a shift."""
    a = np.deg2rad(angle_deg)
    rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return np.column_stack([rotation, about + np.asarray(shift) - rotation @ about])


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The motion that does `first`, then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def inverse(motion: np.ndarray) -> np.ndarray:
    turned_back = np.linalg.inv(motion[:, :2])
    return np.column_stack([turned_back, -turned_back @ motion[:, 2]])


def apply(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points) @ motion[:, :2].T + motion[:, 2]


def origin_and_axis(joint: str) -> tuple[np.ndarray, np.ndarray]:
    """Joint origin and axis in visit 0; the bones are drawn so that their rounded ends lie 8 px apart or less."""
    lower, upper = (BONES[name] for name in JOINTS[joint])
    head, base = np.array(lower.head), np.array(upper.base)
    return (head + base) / 2, (base - head) / np.linalg.norm(base - head)


def bone_motions(visit: int) -> dict[str, np.ndarray]:
    """Motion of every bone from visit 0 to `visit`: the hand is laid down anew, then every joint narrows a little."""
    hand = rigid(1.5 * visit, (5.0 * visit, 3.0 * visit), np.array([130.0, 210.0]))
    own = {}
    for names, changes in ((("MCP2", "PIP2"), (-2.4, -1.2)), (("MCP3", "PIP3"), (0.0, -0.5))):
        carried = rigid(0.0, (0.0, 0.0), np.zeros(2))
        for joint, change in zip(names, changes, strict=True):
            lower, upper = JOINTS[joint]
            own.setdefault(lower, carried)
            origin, axis = origin_and_axis(joint)
            carried = compose(carried, rigid(0.8 * visit, tuple(visit * change * axis), origin))
            own[upper] = carried
    return {name: compose(hand, motion) for name, motion in own.items()}


def draw_film(visit: int) -> np.ndarray:
    """Film of a visit, float32 [row, column], 0 to 4095: soft tissue, six bones with a cortex and texture, noise."""
    rows, columns = SHAPES[visit]
    rng = np.random.default_rng(100 + visit)
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    film = np.full((rows, columns), 300.0)
    for name, motion in bone_motions(visit).items():
        bone = BONES[name]
        here = apply(inverse(motion), np.stack([x, y], axis=-1))  # where each pixel was in visit 0
        base, head = np.array(bone.base), np.array(bone.head)
        along = (head - base) / np.linalg.norm(head - base)
        inner = bone.half_width  # the capsule's round ends stay inside base..head
        t = np.clip((here - base) @ along, inner, np.linalg.norm(head - base) - inner)
        distance = np.linalg.norm(here - base - t[..., None] * along, axis=-1)
        inside = 1 / (1 + np.exp((distance - bone.half_width) / 0.7))
        cortex = np.exp(-(((distance - bone.half_width + 3.0) / 2.0) ** 2))
        phase = np.random.default_rng(bone.seed).uniform(0, 2 * np.pi, 6)
        angle = np.random.default_rng(bone.seed + 50).uniform(0, np.pi, 6)
        texture = sum(
            np.sin(0.7 * (here[..., 0] * np.cos(a) + here[..., 1] * np.sin(a)) + p)
            for a, p in zip(angle, phase, strict=True)
        )
        tissue = 500 * np.exp(-((np.maximum(distance - bone.half_width, 0) / 14.0) ** 2))
        film = np.maximum(film, 300 + tissue)
        film = film + inside * (1400 + 900 * cortex + 90 * texture)
    return np.clip(film + rng.normal(0, 15, film.shape), 0, 4095).astype(np.float32)


def outline(bone: str, end: str, motion: np.ndarray) -> np.ndarray:
    """(n, 2) polygon in film pixels of the end of a bone next to a joint, `end` "head" or "base"."""
    b = BONES[bone]
    tip, other = (np.array(b.head), np.array(b.base)) if end == "head" else (np.array(b.base), np.array(b.head))
    inward = (other - tip) / np.linalg.norm(other - tip)
    across = np.array([-inward[1], inward[0]])
    angles = np.linspace(-np.pi / 2, np.pi / 2, 13)
    arc = [tip + b.half_width * ((1 - np.cos(a)) * inward + np.sin(a) * across) for a in angles]
    back = [tip + 2.2 * b.half_width * inward + s * b.half_width * across for s in (1, -1)]
    return apply(motion, np.array(arc + back))


def region_of(joint: str, visit: int) -> np.ndarray:
    """Mask in film pixels: within 2.2 bone widths of the joint and near its two bones."""
    motions = bone_motions(visit)
    rows, columns = SHAPES[visit]
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    mask = np.zeros((rows, columns), dtype=bool)
    for bone, end in zip(JOINTS[joint], ("head", "base"), strict=True):
        b = BONES[bone]
        centre = np.array(b.head if end == "head" else b.base)
        other = np.array(b.base if end == "head" else b.head)
        inward = (other - centre) / np.linalg.norm(other - centre)
        here = apply(inverse(motions[bone]), np.stack([x, y], axis=-1)) - centre
        depth, offset = here @ inward, np.abs(here @ np.array([-inward[1], inward[0]]))
        mask |= (depth > -3) & (depth < 2.2 * b.half_width) & (offset < b.half_width + 4)
    return mask


def warp(film: np.ndarray, motion: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The *to* film read on the *from* grid through a motion from -> to; NaN outside."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    there = apply(motion, np.stack([x, y], axis=-1))
    return map_coordinates(film, [there[..., 1], there[..., 0]], order=1, cval=np.nan).astype(np.float32)


def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 - local correlation, 0..1."""
    a, b = gaussian_filter(a.astype(float), 1.0), gaussian_filter(b.astype(float), 1.0)
    mean_a, mean_b = uniform_filter(a, 9), uniform_filter(b, 9)
    covariance = uniform_filter(a * b, 9) - mean_a * mean_b
    spread = np.sqrt(
        np.maximum(uniform_filter(a * a, 9) - mean_a**2, 400) * np.maximum(uniform_filter(b * b, 9) - mean_b**2, 400)
    )
    return np.clip(1 - covariance / spread, 0, 1)


def write_nrrd(path: Path, image: np.ndarray, spacing: float) -> None:
    """A [row, column] image as a one-slice NRRD volume: LPS, identity directions, origin 0, gzip."""
    rows, columns = image.shape
    header = (
        "NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {columns} {rows} 1\nspace directions: ({spacing},0,0) (0,{spacing},0) (0,0,1)\n"
        "kinds: domain domain domain\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(header.encode("ascii") + gzip.compress(image.astype("<f4").tobytes(), 6))


def write_synthetic_result(folder: Path, visits: int = 2, spacing_mm: float | None = 0.3, views: bool = False) -> Path:
    """Write the result folder and return it; `views` adds small stand-ins for the PNG views (not drawn by Slicer)."""
    folder.mkdir(parents=True, exist_ok=True)
    films = [draw_film(v) for v in range(visits)]
    motions = [bone_motions(v) for v in range(visits)]
    spacing = spacing_mm or 1.0
    pairs = list(combinations(range(visits), 2))
    for v, film in enumerate(films):
        write_nrrd(folder / f"visit_{v}.nrrd", film, spacing)
    for i, j in pairs:
        for name, image in draw_maps(films, motions, i, j).items():
            write_nrrd(folder / f"{name}_{i}_{j}.nrrd", image, spacing)
    result = {
        "schema": "jointquant-hand/1",
        "job": "hand",
        "created": "2026-01-05T10:00:00+00:00",
        "inputs": [
            {"path": f"film_{v}.png", "sha256": hashlib.sha256(films[v].tobytes()).hexdigest()} for v in range(visits)
        ],
        "parameters": {"spacing_mm": spacing_mm, "only": None},
        "versions": {"jointquant": "0.0.0", "python": "3.11.0", "numpy": np.__version__},
        "device": "cpu",
        "seed": 0,
        "warnings": [] if spacing_mm else ["Pixel spacing is unknown: widths and changes are given in pixels."],
        "sign_convention": "positive is wider, negative is narrowing",
        "visits": [describe_visit(v, films[v], spacing_mm) for v in range(visits)],
        "joints": [describe_joint(name, motions, pairs, spacing_mm) for name in JOINTS],
    }
    result["hands"] = describe_hands(result["joints"])
    (folder / "result.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    write_joints_csv(folder / "joints.csv", result)
    write_hands_csv(folder / "hands.csv", result)
    write_joints_json(folder / "joints.json", result)
    if views:
        write_stand_in_views(folder, result, films)
    return folder


def show_both_hands(folder: Path) -> Path:
    """Say of a result folder that the second finger is of the right hand: MCP2 and PIP2 of both hands, on each film."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for visit in result["visits"]:
        visit |= {"side": None, "hands": [visit["hands"][0] | {"side": side} for side in ("left", "right")]}
    for joint in result["joints"]:
        if joint["name"].endswith("3"):
            joint |= {"name": joint["name"][:-1] + "2", "side": "right"}
    result["joints"].sort(key=lambda joint: (joint["side"], joint["name"]))
    result["hands"] = describe_hands(result["joints"])
    (folder / "result.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    write_joints_csv(folder / "joints.csv", result)
    write_hands_csv(folder / "hands.csv", result)
    write_joints_json(folder / "joints.json", result)
    return folder


def draw_maps(films: list, motions: list, i: int, j: int) -> dict[str, np.ndarray]:
    shape = films[i].shape
    maps = {name: np.full(shape, OUTSIDE, np.float32) for name in ("loss_before", "loss_after")}
    maps |= {name: np.full(shape, np.nan, np.float32) for name in ("before", "after")}
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    for joint, (lower, upper) in JOINTS.items():
        if verdict_of(joint, j, len(films))[0] == "not_measurable":
            continue
        region = region_of(joint, i)
        to_j = {name: compose(motions[j][name], inverse(motions[i][name])) for name in (lower, upper)}
        mean = (to_j[lower] + to_j[upper]) / 2
        origin, axis = carried_frame(joint, motions[i])
        side = np.stack([x, y], axis=-1) @ axis - origin @ axis > 0
        before = warp(films[j], mean, shape)
        after = np.where(side, warp(films[j], to_j[upper], shape), warp(films[j], to_j[lower], shape))
        for name, image in (("before", before), ("after", after)):
            maps[name][region] = image[region]
            maps[f"loss_{name}"][region] = loss(films[i], np.nan_to_num(image))[region]
    return maps


def carried_frame(joint: str, motions: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    origin, axis = origin_and_axis(joint)
    lower, upper = JOINTS[joint]
    mean = (motions[lower] + motions[upper]) / 2
    turned = mean[:, :2] @ axis
    return apply(mean, origin), turned / np.linalg.norm(turned)


def verdict_of(joint: str, to_visit: int, visits: int) -> tuple[str, str]:
    if joint == "PIP3" and to_visit == visits - 1:
        return "not_measurable", f"The joint was not found at visit {to_visit + 1}."
    if joint == "PIP2":
        return "doubtful", "The two bones overlap in the film of the second visit."
    return "measured", ""


def describe_visit(v: int, film: np.ndarray, spacing_mm: float | None) -> dict:
    return {
        "index": v,
        "source": f"film_{v}.png",
        "date": DATES[v],
        "spacing_mm": spacing_mm,
        "spacing_source": "user" if spacing_mm else "unknown",
        "side": "left",
        "hands": [{"side": "left", "view": "PA", "confidence": 0.9, "finder": "classical"}],
        "film": f"visit_{v}.nrrd",
        "shape": list(film.shape),
        "display_range": [200.0, 2800.0],
    }


def describe_joint(joint: str, motions: list, pairs: list, spacing_mm: float | None) -> dict:
    lower, upper = JOINTS[joint]
    visits = []
    for v in range(len(motions)):
        if verdict_of(joint, v, len(motions))[0] == "not_measurable":
            visits.append(
                dict.fromkeys(VISIT_NUMBERS) | {"found": False, "reason": verdict_of(joint, v, len(motions))[1]}
            )
            continue
        origin, axis = carried_frame(joint, motions[v])
        width = width_px(joint, motions[v])
        visits.append(
            {
                "found": True,
                "position_px": origin.tolist(),
                "axis": axis.tolist(),
                "confidence": 0.9,
                "reason": None,
                "width_px": width,
                "width_se_px": 0.2,
                "width_mm": width * spacing_mm if spacing_mm else None,
                "width_se_mm": 0.2 * spacing_mm if spacing_mm else None,
                "upper": outline(upper, "base", motions[v][upper]).tolist(),
                "lower": outline(lower, "head", motions[v][lower]).tolist(),
                "space_line": [],
                "outlined_by": "classical",
            }
        )
    return {
        "name": joint,
        "side": "left",
        "visits": visits,
        "pairs": [describe_pair(joint, motions, i, j, spacing_mm) for i, j in pairs],
    }


VISIT_NUMBERS = (
    *("position_px", "axis", "confidence", "width_px", "width_se_px", "width_mm", "width_se_mm", "upper", "lower"),
    *("space_line", "outlined_by"),
)
PAIR_NUMBERS = (
    *("origin_px", "axis", "upper_motion", "lower_motion", "change_px", "se_px", "change_mm", "se_mm", "interval_px"),
    *(
        "interval_mm",
        "sdc_px",
        "sdc_mm",
        "beyond_sdc",
        "width_mm",
        "profile_px",
        "profile_mm",
        "profile_order",
        "profile_offsets_px",
        "tilt_deg",
    ),
    *("years", "change_per_year_mm", "change_per_year_interval_mm", "pairwise", "quality", "reading"),
    *("loss_by_bone", "registered_by"),
)


def width_px(joint: str, motions: dict[str, np.ndarray]) -> float:
    lower, upper = JOINTS[joint]
    gap = apply(motions[upper], np.array(BONES[upper].base)) - apply(motions[lower], np.array(BONES[lower].head))
    return float(gap @ carried_frame(joint, motions)[1])


def describe_pair(joint: str, motions: list, i: int, j: int, spacing_mm: float | None) -> dict:
    verdict, reason = verdict_of(joint, j, len(motions))
    head = {"from_visit": i, "to_visit": j, "verdict": verdict, "reason": reason}
    if verdict == "not_measurable":
        return head | dict.fromkeys(PAIR_NUMBERS)
    lower, upper = JOINTS[joint]
    u = compose(motions[j][upper], inverse(motions[i][upper]))
    low = compose(motions[j][lower], inverse(motions[i][lower]))
    origin, axis = carried_frame(joint, motions[i])
    mean = (u[:, :2] + low[:, :2]) / 2
    direction = mean @ axis / np.linalg.norm(mean @ axis)
    change = float(direction @ (apply(u, origin) - apply(low, origin)))
    se = 0.25 if verdict == "doubtful" else 0.08
    offsets = np.linspace(-10, 10, 5)
    across = np.array([-axis[1], axis[0]])
    profile = [float(direction @ (apply(u, origin + o * across) - apply(low, origin + o * across))) for o in offsets]
    tilt = float(np.rad2deg(np.arctan2(*(u[:, :2] @ low[:, :2].T)[[1, 0], [0, 0]])))
    years = YEARS[j] - YEARS[i]

    def mm(value: float | list[float] | None) -> float | list[float] | None:
        if spacing_mm is None or value is None:
            return None
        return [v * spacing_mm for v in value] if isinstance(value, list) else value * spacing_mm

    interval = [change - 1.96 * se, change + 1.96 * se]
    return head | {
        "origin_px": origin.tolist(),
        "axis": axis.tolist(),
        "upper_motion": u.tolist(),
        "lower_motion": low.tolist(),
        "change_px": change,
        "se_px": se,
        "change_mm": mm(change),
        "se_mm": mm(se),
        "interval_px": interval,
        "interval_mm": mm(interval),
        "sdc_px": 1.96 * se,
        "sdc_mm": mm(1.96 * se),
        "beyond_sdc": abs(change) > 1.96 * se,
        "width_mm": mm([width_px(joint, motions[i]), width_px(joint, motions[j])]),
        "profile_px": profile,
        "profile_mm": mm(profile),
        "profile_order": "radial to ulnar",
        "profile_offsets_px": offsets.tolist(),
        "tilt_deg": tilt,
        "years": years,
        "change_per_year_mm": mm(change / years),
        "change_per_year_interval_mm": mm([v / years for v in interval]),
        "pairwise": {
            "upper_motion": u.tolist(),
            "lower_motion": low.tolist(),
            "change_px": change + 0.02,
            "se_px": 1.2 * se,
            "change_mm": mm(change + 0.02),
            "se_mm": mm(1.2 * se),
        },
        "quality": {
            "similarity_upper": 0.93,
            "similarity_lower": 0.95,
            "loss_before": 0.41,
            "loss_after": 0.12,
            "forward_backward_px": 0.05,
            "relative_rotation_deg": tilt,
            "magnification": 1.0,
        },
        "registered_by": "network",
        "reading": "aligned; upper bone changed on the ulnar side at the joint surface, at the margin: erosion?",
        "loss_by_bone": {"upper": describe_bone_loss("changed", mm), "lower": describe_bone_loss("aligned", mm)},
    }


def describe_bone_loss(kind: str, mm: Callable) -> dict:
    changed = kind == "changed"
    return {
        "kind": kind,
        "side": "ulnar" if changed else None,
        "along": "joint surface" if changed else None,
        "rim": True if changed else None,
        "off_px": 0.2,
        "off_mm": mm(0.2),
        "sectors": [
            {"side": "ulnar", "along": "joint surface", "rim": True, "mean_loss": 0.12, "bright_share": 0.4 * changed}
        ],
    }


def describe_hands(joints: list) -> list:
    """The plain mean of the measured joints of each hand, with an interval of a round width."""
    hands = {}
    for joint in joints:
        hands.setdefault(joint["side"], []).append(joint)
    return [
        {"side": side, "pairs": [describe_hand_pair(own, n) for n in range(len(own[0]["pairs"]))]}
        for side, own in hands.items()
    ]


def describe_hand_pair(joints: list, number: int) -> dict:
    one = joints[0]["pairs"][number]
    counted = [joint for joint in joints if joint["pairs"][number]["verdict"] == "measured"]
    described = {"from_visit": one["from_visit"], "to_visit": one["to_visit"], "years": one["years"]}
    described |= {"joints": [joint["name"] for joint in counted], "i_squared": 0.9 if len(counted) > 2 else None}
    for unit, half in (("px", 0.4), ("mm", 0.12)):
        changes = [joint["pairs"][number][f"change_{unit}"] for joint in counted]
        known = len(changes) > 2 and None not in changes
        mean = float(np.mean(changes)) if known else None
        described[f"change_{unit}"] = mean
        described[f"interval_{unit}"] = [mean - half, mean + half] if known else None
        described[f"between_joints_sd_{unit}"] = half if known else None
    yearly = described["change_mm"] is not None and one["years"] is not None
    described["change_per_year_mm"] = described["change_mm"] / one["years"] if yearly else None
    interval = [end / one["years"] for end in described["interval_mm"]] if yearly else None
    return described | {"change_per_year_interval_mm": interval}


def write_hands_csv(path: Path, result: dict) -> None:
    columns = ("change_mm", "between_joints_sd_mm", "change_px", "i_squared", "years", "change_per_year_mm")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["side", "from_visit", "to_visit", "joints", *columns])
        for hand in result["hands"]:
            for pair in hand["pairs"]:
                numbers = ["" if pair[c] is None else pair[c] for c in columns]
                writer.writerow(
                    [hand["side"], pair["from_visit"], pair["to_visit"], " ".join(pair["joints"]), *numbers]
                )


def write_joints_csv(path: Path, result: dict) -> None:
    """One row per joint and pair; an empty cell where there is no number."""
    columns = (
        *("change_px", "se_px", "change_mm", "se_mm", "tilt_deg", "years", "change_per_year_mm", "verdict", "reason"),
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["joint", "side", "from_visit", "to_visit", *columns])
        for joint in result["joints"]:
            for pair in joint["pairs"]:
                numbers = ["" if pair[c] is None else pair[c] for c in columns]
                writer.writerow([joint["name"], joint["side"], pair["from_visit"], pair["to_visit"], *numbers])


def write_joints_json(path: Path, result: dict) -> None:
    keys = ("position_px", "axis", "upper", "lower")
    visits = [
        [
            {"name": joint["name"], "side": joint["side"]} | {key: joint["visits"][v][key] for key in keys}
            for joint in result["joints"]
            if joint["visits"][v]["found"]
        ]
        for v in range(len(result["visits"]))
    ]
    path.write_text(json.dumps({"schema": "jointquant-joints/1", "visits": visits}, indent=1), encoding="utf-8")


def write_stand_in_views(folder: Path, result: dict, films: list[np.ndarray]) -> None:
    from PIL import Image

    def save(name: str, film: np.ndarray) -> None:
        Image.fromarray(np.uint8(np.clip((film - 200) / 2600, 0, 1) * 255)).save(folder / name)

    for v, film in enumerate(films):
        save(f"view_visit_{v}.png", film)
    for i, j in combinations(range(len(films)), 2):
        save(f"view_{i}_{j}_before.png", films[i])
        save(f"view_{i}_{j}_after.png", films[i])
        for joint in result["joints"]:
            if joint["visits"][i]["found"] and joint["visits"][j]["found"]:
                x, y = (round(c) for c in joint["visits"][i]["position_px"])
                save(f"view_{joint['name']}_{i}_{j}.png", films[i][max(y - 50, 0) : y + 50, max(x - 50, 0) : x + 50])
