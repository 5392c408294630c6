"""The numbers of the hand job as result.json, joints.csv and joints.json say them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import find_contours

from JointQuantLib import devices
from JointQuantLib.job import plain, versions
from JointQuantLib.statistics import smallest_detectable_change
from JointQuantLib.weights import TRAINED_ON_SIMULATED
from JSNRegistrationLib.bones import JointCrop, typical_width_mm
from JSNRegistrationLib.earlier_result import EarlierResult
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.hands_on_films import HandsOnFilms
from JSNRegistrationLib.joint_finding.joint_finder import NETWORK
from JSNRegistrationLib.joint_measurement import JointMeasurement, PairMeasurement, SeenJoint
from JSNRegistrationLib.joint_space import space_line
from JSNRegistrationLib.joints import JOINT_NAMES, SIDES, Joint, JointKey, write_joints
from JSNRegistrationLib.loss_reading import BoneReading, JointLoss
from JSNRegistrationLib.mismatch import mismatch_probability
from JSNRegistrationLib.narrowing import CONFIDENCE_Z, JointSpaceChange
from JSNRegistrationLib.pooled_change import mean_of_hands
from JSNRegistrationLib.radiograph import Radiograph

SCHEMA = "jointquant-hand/1"
SIGN_CONVENTION = "positive is wider, negative is narrowing"
DAYS_A_YEAR = 365.25
CHANGE_FIELDS = (
    "change_px",
    "se_px",
    "change_mm",
    "se_mm",
    "interval_px",
    "interval_mm",
    "profile_px",
    "profile_mm",
    "profile_order",
    "profile_offsets_px",
    "tilt_deg",
    "change_per_year_mm",
    "change_per_year_interval_mm",
)
QUALITY_COLUMNS = (
    "similarity_upper",
    "similarity_lower",
    "texture",
    "mismatch_probability",
    "loss_before",
    "loss_after",
    "forward_backward_px",
    "magnification",
)
GUIDED_METHOD = f"registration of each bone, guided by a network {TRAINED_ON_SIMULATED}"
CLASSICAL_METHOD = "classical registration of each bone"
WITHOUT_NETWORK = (
    "The bones were registered without the network (PyTorch is not installed here, or its weights are not): their "
    "motions are less exact where a finger is turned or bones overlap."
)


def hand_result(
    request: HandRequest,
    films: Sequence[Radiograph],
    found: HandsOnFilms,
    measured: Sequence[JointMeasurement],
    losses: dict[tuple[JointKey, int, int], JointLoss],
    warnings: Sequence[str],
    earlier: EarlierResult | None,
) -> dict[str, Any]:
    """The content of result.json; every number has its unit in its name, what is not known is None."""
    joints = [_joint(joint, films, losses) for joint in measured] + (earlier.joints if earlier else [])
    joints = [joint | {"pairs": [pair | _detectable(pair) for pair in joint["pairs"]]} for joint in joints]
    joints.sort(key=_place_in_table)
    warnings = list(warnings)
    if any(film.spacing_mm is None for film in films):
        warnings.append("The pixel spacing of a film is unknown, so its results are in pixels: give it with --spacing.")
    learned = _learned(found, measured)
    ways = {pair.registered_by for joint in measured for pair in joint.pairs} - {None}
    guided = NETWORK in ways
    if ways and not guided:
        warnings.append(WITHOUT_NETWORK)
    if request.device not in ("auto", "cpu") and not (learned or guided):
        warnings.append(f"The classical registration runs on the CPU; --device {request.device} was not used.")
    return plain(
        {
            "schema": SCHEMA,
            "job": "hand",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs": [{"path": film.path.name, "sha256": film.sha256} for film in films],
            "parameters": request.parameters() | {"method": _method(learned, guided)},
            "versions": versions(),
            "device": devices.choose(request.device) if learned or guided else devices.CPU,
            "seed": request.seed,
            "warnings": warnings,
            "sign_convention": SIGN_CONVENTION,
            "visits": [_visit(index, film, found) for index, film in enumerate(films)],
            "joints": joints,
            "hands": mean_of_hands(joints),
        }
    )


def _method(learned: Sequence[str], guided: bool) -> str:
    method = GUIDED_METHOD if guided else CLASSICAL_METHOD
    if learned:
        return f"{method}; {' and '.join(learned)} found by networks {TRAINED_ON_SIMULATED}"
    return method if guided else f"{method}, no learned model"


def _learned(found: HandsOnFilms, measured: Sequence[JointMeasurement]) -> list[str]:
    """What networks found: joints, bones."""
    crops = [seen.crop for joint in measured for seen in joint.seen if seen.crop is not None]
    by_network = {"joints": found.finder == NETWORK, "bones": any(crop.outlined_by == NETWORK for crop in crops)}
    return [what for what, learned in by_network.items() if learned]


def write_hand_result(folder: Path, result: dict[str, Any]) -> None:
    """Write result.json, joints.json, and joints.csv and hands.csv (a row per joint or hand and pair of visits)."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")
    visits = result["visits"]
    of_joints = [_row(joint, pair, visits) for joint in result["joints"] for pair in joint["pairs"]]
    of_hands = [_hand_row(hand, pair, visits) for hand in result["hands"] for pair in hand["pairs"]]
    _write_table(folder / "joints.csv", of_joints, "name")
    _write_table(folder / "hands.csv", of_hands, "side")
    write_joints(folder / "joints.json", [_joints_used(result, v) for v in range(len(result["visits"]))])


def _write_table(path: Path, rows: Sequence[dict], first_title: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [first_title])
        writer.writeheader()
        writer.writerows(rows)


def _place_in_table(joint: dict) -> tuple[int, int]:
    """Left before right hand, then by name."""
    name = JOINT_NAMES.index(joint["name"]) if joint["name"] in JOINT_NAMES else -1
    return (None, *SIDES).index(joint["side"]), name


def _visit(index: int, film: Radiograph, found: HandsOnFilms) -> dict:
    return {
        "index": index,
        "source": film.path.name,
        "date": film.date.isoformat() if film.date else None,
        "spacing_mm": film.spacing_mm,
        "spacing_source": film.spacing_source,
        "side": film.side,
        "hands": [
            {"side": hand.side, "view": seen.view, "confidence": seen.confidence, "finder": found.finder}
            for hand in found.hands
            for seen in [hand.found[index]]
            if seen is not None
        ],
        "film": f"visit_{index}.nrrd",
        "shape": list(film.pixels.shape),
        "display_range": list(film.display_range),
    }


def _joint(joint: JointMeasurement, films: Sequence[Radiograph], losses) -> dict:
    return {
        "name": joint.name,
        "side": joint.side,
        "visits": [_seen(joint, visit, film.spacing_mm) for visit, film in enumerate(films)],
        "pairs": [
            _pair(joint, pair, films, losses.get((joint.key, pair.from_visit, pair.to_visit))) for pair in joint.pairs
        ],
    }


def _seen(joint: JointMeasurement, visit: int, spacing_mm: float | None) -> dict:
    crop, frame, width = joint.seen[visit].crop, joint.frames[visit], joint.widths[visit]
    width_px, se_px = width or (None, None)
    return {
        "found": crop is not None,
        "position_px": None if frame is None else frame.origin_px,
        "axis": None if frame is None else frame.axis,
        "confidence": None if crop is None else crop.confidence,
        "outlined_by": None if crop is None else crop.outlined_by,
        "reason": _reason(joint.seen[visit]),
        "width_px": width_px,
        "width_se_px": se_px,
        "width_mm": _mm(width_px, spacing_mm),
        "width_se_mm": _mm(se_px, spacing_mm),
        "upper": None if crop is None else _outline(crop, crop.upper),
        "lower": None if crop is None else _outline(crop, crop.lower),
        "space_line": None if crop is None else _space_line(crop),
    }


def _reason(seen: SeenJoint) -> str | None:
    if seen.crop is None:
        return seen.reason
    return "; ".join(reason for reason in (seen.doubt, seen.crop.reason) if reason) or None


def _pair(joint: JointMeasurement, pair: PairMeasurement, films: Sequence[Radiograph], losses) -> dict:
    spacing = films[pair.from_visit].spacing_mm
    if films[pair.to_visit].spacing_mm is None:
        spacing = None  # the scale between the films is then a guess
    years = _years(films[pair.from_visit], films[pair.to_visit])
    widths = [
        joint.widths[v] and _mm(joint.widths[v][0], films[v].spacing_mm) for v in (pair.from_visit, pair.to_visit)
    ]
    return {
        "from_visit": pair.from_visit,
        "to_visit": pair.to_visit,
        "origin_px": None if pair.frame is None else pair.frame.origin_px,
        "axis": None if pair.frame is None else pair.frame.axis,
        "upper_motion": pair.upper,
        "lower_motion": pair.lower,
        **_change(pair.change, spacing, years),
        "width_mm": None if spacing is None else widths,
        "verdict": pair.verdict.status,
        "reason": pair.verdict.reason,
        "registered_by": pair.registered_by,
        "years": years,
        "pairwise": _pairwise(pair, spacing),
        "quality": _quality(pair, losses),
        **_reading(losses, spacing),
    }


def _change(change: JointSpaceChange | None, spacing: float | None, years: float | None) -> dict:
    if change is None:
        return dict.fromkeys(CHANGE_FIELDS)
    change_mm, se_mm = _mm(change.change_px, spacing), _mm(change.se_px, spacing)
    yearly = None if change_mm is None or years is None else change_mm / years
    return {
        "change_px": change.change_px,
        "se_px": change.se_px,
        "change_mm": change_mm,
        "se_mm": se_mm,
        "interval_px": change.interval_px,
        "interval_mm": None if spacing is None else [limit * spacing for limit in change.interval_px],
        "profile_px": change.profile_px,
        "profile_mm": None if spacing is None else change.profile_px * spacing,
        "profile_order": change.profile_order,
        "profile_offsets_px": change.profile_offsets_px,
        "tilt_deg": change.tilt_deg,
        "change_per_year_mm": yearly,
        "change_per_year_interval_mm": None
        if yearly is None
        else [yearly - CONFIDENCE_Z * se_mm / years, yearly + CONFIDENCE_Z * se_mm / years],
    }


def _detectable(pair: dict) -> dict:
    """The smallest detectable change of a joint between two visits, and whether its change is larger."""
    sdc = {
        unit: None if (se := pair[f"se_{unit}"]) is None else smallest_detectable_change(se) for unit in ("px", "mm")
    }
    beyond = None if sdc["px"] is None else abs(pair["change_px"]) > sdc["px"]
    return {"sdc_px": sdc["px"], "sdc_mm": sdc["mm"], "beyond_sdc": beyond}


def _pairwise(pair: PairMeasurement, spacing: float | None) -> dict | None:
    if pair.pairwise is None:
        return None
    return {
        "upper_motion": pair.pairwise_upper,
        "lower_motion": pair.pairwise_lower,
        "change_px": pair.pairwise.change_px,
        "se_px": pair.pairwise.se_px,
        "change_mm": _mm(pair.pairwise.change_px, spacing),
        "se_mm": _mm(pair.pairwise.se_px, spacing),
    }


def _reading(loss: JointLoss | None, spacing: float | None) -> dict:
    """What the loss map after registration says: a sentence, and each bone by itself."""
    if loss is None or loss.reading is None:
        return {"reading": None, "loss_by_bone": None}
    upper, lower = (_bone_loss(bone, spacing) for bone in (loss.reading.upper, loss.reading.lower))
    return {"reading": loss.reading.sentence, "loss_by_bone": {"upper": upper, "lower": lower}}


def _bone_loss(bone: BoneReading, spacing: float | None) -> dict:
    return {
        "kind": bone.kind.replace(" ", "_"),
        "side": bone.side,
        "along": bone.along,
        "rim": bone.rim,
        "off_px": bone.off_px,
        "off_mm": _mm(bone.off_px, spacing),
        "sectors": [asdict(sector) for sector in bone.sectors],
    }


def _quality(pair: PairMeasurement, losses: JointLoss | None) -> dict | None:
    if pair.evidence is None:
        return None
    before, after = (losses.before, losses.after) if losses else (None, None)
    return {
        "similarity_upper": pair.similarity[0],
        "similarity_lower": pair.similarity[1],
        "loss_before": before,
        "loss_after": after,
        "forward_backward_px": pair.ways_apart_px,
        "relative_rotation_deg": pair.evidence.relative_turn_deg,
        "magnification": pair.evidence.magnification,
        "cover": pair.evidence.cover,
        "texture": pair.evidence.texture,
        "mismatch_probability": mismatch_probability(pair.evidence),
    }


def _years(first: Radiograph, second: Radiograph) -> float | None:
    """Time between two dated visits in years; None without dates, and where the dates are out of order."""
    if first.date is None or second.date is None or second.date <= first.date:
        return None
    return (second.date - first.date).days / DAYS_A_YEAR


def _mm(pixels: float | None, spacing_mm: float | None) -> float | None:
    return None if pixels is None or spacing_mm is None else pixels * spacing_mm


def _outline(crop: JointCrop, region: np.ndarray) -> list[list[float]]:
    """The outer border of a bone's region as a polygon in film pixels, to a tenth of a pixel."""
    borders = find_contours(np.pad(region, 1).astype(float), 0.5)
    longest = max(borders, key=len)
    points = longest[::2, ::-1] - 1.0 + np.asarray(crop.offset_px, float)
    return np.round(points, 1).tolist()


def _space_line(crop: JointCrop) -> list[list[float]]:
    """The line through the joint space in film pixels, to a tenth of a pixel."""
    half_width = 0.5 * typical_width_mm(crop.name) / crop.nominal_spacing_mm
    line = space_line(crop.upper, crop.lower, crop.origin_px, crop.axis, half_width)
    return np.round(line + np.asarray(crop.offset_px, float), 1).tolist()


def _joints_used(result: dict, visit: int) -> list[Joint]:
    return [
        Joint(
            joint["name"],
            joint["side"],
            tuple(seen["position_px"]),
            tuple(seen["axis"]),
            upper=np.asarray(seen["upper"]),
            lower=np.asarray(seen["lower"]),
            confidence=seen["confidence"],
        )
        for joint in result["joints"]
        for seen in [joint["visits"][visit]]
        if seen["found"]
    ]


def _row(joint: dict, pair: dict, visits: Sequence[dict]) -> dict:
    """One row of joints.csv."""
    seen = [joint["visits"][pair[end]] for end in ("from_visit", "to_visit")]
    row = {
        "name": joint["name"],
        "side": joint["side"],
        **_when(pair, visits),
        "verdict": pair["verdict"],
        "reason": pair["reason"],
        "reading": pair["reading"],
    }
    for key in ("change_mm", "se_mm", "change_px", "se_px", "tilt_deg", "years", "change_per_year_mm", "profile_order"):
        row[key] = pair[key]
    row |= _intervals(pair)
    for key in ("sdc_mm", "sdc_px", "beyond_sdc"):
        row[key] = pair[key]
    for place in range(5):
        row[f"profile_{place + 1}_mm"] = pair["profile_mm"] and pair["profile_mm"][place]
        row[f"profile_{place + 1}_px"] = pair["profile_px"] and pair["profile_px"][place]
    for end, at in zip(("from", "to"), seen, strict=True):
        for key in ("width_mm", "width_se_mm", "width_px", "width_se_px"):
            stem, unit = key.rsplit("_", 1)
            row[f"{stem}_{end}_{unit}"] = at[key]
    for axis, values in (("origin", pair["origin_px"]), ("axis", pair["axis"])):
        for letter, value in zip("xy", values or (None, None), strict=True):
            row[f"{axis}_{letter}_px" if axis == "origin" else f"{axis}_{letter}"] = value
    pairwise = pair["pairwise"] or {}
    for key in ("change_mm", "se_mm", "change_px", "se_px"):
        row[f"pairwise_{key}"] = pairwise.get(key)
    quality = pair["quality"] or {}
    for key in QUALITY_COLUMNS:
        row[key] = quality.get(key)
    return row


def _hand_row(hand: dict, pair: dict, visits: Sequence[dict]) -> dict:
    """One row of hands.csv."""
    row = {"side": hand["side"], **_when(pair, visits), "joints": " ".join(pair["joints"])}
    for key in ("change_mm", "between_joints_sd_mm", "change_px", "between_joints_sd_px", "i_squared", "years"):
        row[key] = pair[key]
    return row | {"change_per_year_mm": pair["change_per_year_mm"]} | _intervals(pair)


def _when(pair: dict, visits: Sequence[dict]) -> dict:
    """The columns that name a pair of visits."""
    ends = ("from_visit", "to_visit")
    return {end: pair[end] for end in ends} | {end.replace("visit", "date"): visits[pair[end]]["date"] for end in ends}


def _intervals(pair: dict) -> dict:
    """Both ends of the intervals, each in a column of its own, as interval_low_mm."""
    row = {}
    for key in ("interval_mm", "interval_px", "change_per_year_interval_mm"):
        stem, unit = key.rsplit("_", 1)
        for end, value in zip(("low", "high"), pair[key] or (None, None), strict=True):
            row[f"{stem}_{end}_{unit}"] = value
    return row
