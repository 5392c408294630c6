"""Joints from a file: joints.json, or the control points of a Slicer markups file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.joints import CROP_JOINT, FINGER_JOINTS, JOINT_NAMES, SCHEMA, Hand, Joint, ijk_to_ras

if TYPE_CHECKING:
    from JSNRegistrationLib.radiograph import Radiograph

Finder = Callable[["Radiograph"], Sequence[Hand]]
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_LABEL = re.compile(r"\s*(?:([LR])_)?([A-Z]+\d?)(?:_(\d+))?\s*", re.IGNORECASE)
_NO_AXIS = (0.0, 0.0)  # to be filled in


def read_joints(path: Path, films: Sequence[Radiograph], find: Finder) -> list[list[Joint]]:
    """The joints of a file, one list for each film. ``find`` gives the hands that a finder sees on a film.

    joints.json (`joints.write_joints`; the bare list of lists too) gives every film its list, or the first film only.
    Slicer markups JSON (`.mrk.json`, point lists): control points labelled `MCP2`, or `MCP2_1` for the film of visit 1
    (0-based; without a number the first film), with `L_` or `R_` before it where the films show both hands, as
    `L_MCP2_1`; positions in the file's coordinateSystem (LPS unless it says RAS), turned into pixels by the inverse of
    the film's own `ijk_to_ras`.

    A joint given for the first film and absent on another is carried there by finding it on both films: its place
    relative to the found joint is kept, scaled with the bone width. Where the finder does not see it on both films it
    stays absent there. A missing axis comes from the neighbouring joints of the same finger that the file gives for
    that film, else from the finder. A joint without a side is of the one hand that its film shows.

    Raises BadInput: unreadable, not JSON, not such a file, unknown name, a joint named twice, a position outside its
    film, a zero axis, a wrong number of visits, an axis that is neither given nor found, no side where a joint has to
    be found on a film of two hands.
    """
    path = Path(path)
    given = _read_visits(path, films)
    found = _Found(path, films, find)
    visits = [[_with_axis(path, j, joints, found, v) for j in joints] for v, joints in enumerate(given)]
    for v in range(1, len(films)):
        missing = [j for j in visits[0] if j.name != CROP_JOINT and not any(_is_same(j, other) for other in visits[v])]
        carried = [_carry(j, found, v) for j in missing]
        visits[v] += [j for j in carried if j is not None]
    return visits


def _is_same(a: Joint, b: Joint) -> bool:
    """Whether two joints of a film are one by name and side; one without a side is of either."""
    return a.name == b.name and (a.side == b.side or None in (a.side, b.side))


class _Found:
    """What the finder sees on each film; it is asked only where that is needed."""

    def __init__(self, path: Path, films: Sequence[Radiograph], find: Finder):
        self._path, self._films, self._find = path, films, find
        self._hands: dict[int, Sequence[Hand]] = {}

    def __call__(self, visit: int, joint: Joint) -> Joint | None:
        hand = self._hand(visit, joint)
        return next((j for j in hand.joints if j.name == joint.name), None) if hand is not None else None

    def _hand(self, visit: int, joint: Joint) -> Hand | None:
        hands = self._hands_on(visit)
        if joint.side is None and len(hands) > 1:
            raise BadInput(
                f"{self._path}: joint {joint.name} has no side, and {self._films[visit].path} shows two hands; "
                f"give its side (in Slicer as L_{joint.name}), or --side."
            )
        if len(hands) == 1 and all(len(self._hands_on(v)) < 2 for v in range(len(self._films))):
            return hands[0]  # films of one hand: a side that was read from the picture may be wrong
        return next((hand for hand in hands if hand.side == joint.side or None in (hand.side, joint.side)), None)

    def _hands_on(self, visit: int) -> Sequence[Hand]:
        if visit not in self._hands:
            self._hands[visit] = self._find(self._films[visit])
        return self._hands[visit]

    def inside(self, visit: int, position: Sequence[float]) -> bool:
        return _is_inside(self._films[visit], position)


def _is_inside(film: Radiograph, position: Sequence[float]) -> bool:
    rows, columns = film.pixels.shape
    return -0.5 <= position[0] <= columns - 0.5 and -0.5 <= position[1] <= rows - 0.5


def _read_visits(path: Path, films: Sequence[Radiograph]) -> list[list[Joint]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path}: the joints file cannot be read ({error.strerror}); check the path.") from error
    except ValueError as error:
        raise BadInput(f"{path}: the joints file is not valid JSON; write it as joints.json or .mrk.json.") from error
    if isinstance(content, dict) and "markups" in content:
        visits = _from_markups(path, content, films)
    else:
        visits = _from_joints_json(path, content)
        if len(visits) not in (1, len(films)):
            raise BadInput(
                f"{path}: it gives joints for {len(visits)} visits, but there are {len(films)} films; "
                "give one list for each film, or one for the first film only."
            )
        visits += [[] for _ in range(len(films) - len(visits))]
    for visit, joints in enumerate(visits):
        _check(path, visit, joints, films[visit])
    return visits


def _check(path: Path, visit: int, joints: list[Joint], film: Radiograph) -> None:
    for joint in joints:
        if sum(_is_same(joint, other) for other in joints) > 1:
            raise BadInput(f"{path}: joint {joint.name} of visit {visit} is named twice; keep one of the two.")
        if not _is_inside(film, joint.position_px):
            rows, columns = film.pixels.shape
            x, y = joint.position_px
            raise BadInput(
                f"{path}: joint {joint.name} of visit {visit} at ({x:.1f}, {y:.1f}) px lies outside its film of "
                f"{columns} x {rows} px; correct its position (the film's own spacing and origin apply)."
            )


def _from_joints_json(path: Path, content: object) -> list[list[Joint]]:
    if isinstance(content, dict):
        if content.get("schema", SCHEMA) != SCHEMA:
            raise BadInput(f"{path}: its schema is {content['schema']!r}, not {SCHEMA!r}; write it in that form.")
        content = content.get("visits")
    if not isinstance(content, list) or not all(isinstance(v, list) for v in content) or not content:
        raise BadInput(f"{path}: it holds no list of joints for each visit; see joints.json in the README.")
    return [[_from_entry(path, visit, entry) for entry in joints] for visit, joints in enumerate(content)]


def _from_entry(path: Path, visit: int, entry: object) -> Joint:
    if not isinstance(entry, dict) or "name" not in entry:
        raise BadInput(f"{path}: a joint of visit {visit} has no name; every joint needs name and position_px.")
    name = _known_name(path, entry["name"])
    where = f"joint {name} of visit {visit}"
    position = _numbers(path, f"position_px of {where}", entry.get("position_px"), (2,))
    axis = _NO_AXIS
    if entry.get("axis") is not None:
        axis = _unit(path, where, _numbers(path, f"axis of {where}", entry["axis"], (2,)))
    bones = {}
    for bone in ("upper", "lower"):
        if entry.get(bone) is not None:
            bones[bone] = _numbers(path, f"{bone} of {where}", entry[bone], (None, 2))
            if len(bones[bone]) < 3:
                raise BadInput(f"{path}: {bone} of {where} has fewer than three points; give a polygon.")
    extra = {}
    for key in ("width_px", "confidence"):
        if entry.get(key) is not None:
            extra[key] = float(_numbers(path, f"{key} of {where}", entry[key], ()))
    return Joint(name, _side(path, where, entry.get("side")), tuple(position.tolist()), axis, **bones, **extra)


def _from_markups(path: Path, content: dict, films: Sequence[Radiograph]) -> list[list[Joint]]:
    visits: list[list[Joint]] = [[] for _ in films]
    markups = content["markups"]
    if not isinstance(markups, list) or not all(isinstance(m, dict) for m in markups):
        raise BadInput(f"{path}: its markups are not a list; save the points from Slicer again.")
    for markup in markups:
        system = str(markup.get("coordinateSystem", "LPS")).upper()
        # Slicer before 4.11 wrote numbers: 0 is RAS, 1 is LPS.
        system = {"0": "RAS", "1": "LPS"}.get(system, system)
        if system not in ("RAS", "LPS"):
            raise BadInput(f"{path}: its coordinate system is {system!r}; save the points in LPS or RAS.")
        points = markup.get("controlPoints") or []
        if not all(isinstance(point, dict) for point in points):
            raise BadInput(f"{path}: its control points are not as Slicer writes them; save them from Slicer again.")
        for point in points:
            if point.get("positionStatus", "defined") != "defined":
                continue  # a point that is not yet, or no longer, placed
            match = _LABEL.fullmatch(str(point.get("label", "")))
            if match is None:
                raise BadInput(
                    f"{path}: a point is labelled {point.get('label')!r}; label it MCP2, MCP2_1 for visit 1, or "
                    "L_MCP2_1 for the left hand."
                )
            name, visit = _known_name(path, match[2]), int(match[3] or 0)
            if visit >= len(films):
                raise BadInput(
                    f"{path}: point {point['label']} belongs to visit {visit}, but there are {len(films)} films "
                    f"(visits 0 to {len(films) - 1}); correct its label."
                )
            position = _numbers(path, f"position of {point['label']}", point.get("position"), (3,))
            pixel = pixels_of(position, system, films[visit])
            side = _SIDES[match[1].lower()] if match[1] else films[visit].side
            visits[visit].append(Joint(name, side, pixel, _NO_AXIS))
    if not any(visits):
        raise BadInput(f"{path}: it holds no placed point; place at least one joint, labelled like MCP2.")
    return visits


def pixels_of(position: Sequence[float], system: str, film: Radiograph) -> tuple[float, float]:
    """(x, y) pixel of a point (3,) in RAS or LPS mm, by the film's own IJK-to-RAS matrix."""
    ras = np.asarray(position, float) * ([1, 1, 1] if system == "RAS" else [-1, -1, 1])
    ijk = np.linalg.solve(ijk_to_ras(film), np.append(ras, 1.0))
    return float(ijk[0]), float(ijk[1])


def _with_axis(path: Path, joint: Joint, same_film: list[Joint], found: _Found, visit: int) -> Joint:
    if joint.axis != _NO_AXIS:
        return joint
    order = next((names for names in FINGER_JOINTS.values() if joint.name in names), ())
    same_hand = (j for j in same_film if j.side == joint.side)
    along = {order.index(j.name): np.array(j.position_px) for j in same_hand if j.name in order}
    if len(along) > 1:
        mine = order.index(joint.name)
        # The nearest given joint on either side, this one where there is none.
        before = max((k for k in along if k < mine), default=mine)
        after = min((k for k in along if k > mine), default=mine)
        return replace(joint, axis=_unit(path, f"joint {joint.name} of visit {visit}", along[after] - along[before]))
    seen = found(visit, joint) if order else None
    if seen is None:
        raise BadInput(
            f"{path}: joint {joint.name} of visit {visit} has no axis, and it cannot be told from the film; "
            "give its axis, or another joint of the same finger."
        )
    return replace(joint, axis=seen.axis, width_px=joint.width_px or seen.width_px)


def _carry(joint: Joint, found: _Found, visit: int) -> Joint | None:
    """The joint of the first film on another one; None where the finder misses it on either."""
    here, there = found(0, joint), found(visit, joint)
    if here is None or there is None:
        return None
    scale = there.width_px / here.width_px if here.width_px and there.width_px else 1.0
    turn = _rotation(here.axis, there.axis)
    position = np.array(there.position_px) + scale * turn @ (np.array(joint.position_px) - here.position_px)
    if not found.inside(visit, position):
        return None
    return Joint(
        joint.name,
        joint.side,
        (float(position[0]), float(position[1])),
        tuple(float(v) for v in turn @ joint.axis),
        width_px=there.width_px,
        confidence=min(here.confidence, there.confidence),
    )


def _rotation(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    """The 2 x 2 rotation that turns unit vector a into unit vector b."""
    cosine, sine = a[0] * b[0] + a[1] * b[1], a[0] * b[1] - a[1] * b[0]
    return np.array([[cosine, -sine], [sine, cosine]])


def _known_name(path: Path, name: object) -> str:
    known = str(name).strip().upper()
    if known not in JOINT_NAMES and known != CROP_JOINT:
        raise BadInput(
            f"{path}: {name!r} is no joint; use MCP1 to MCP5, IP1, PIP2 to PIP5, DIP2 to DIP5 or {CROP_JOINT}."
        )
    return known


def _side(path: Path, where: str, side: object) -> str | None:
    if side is None:
        return None
    if str(side).lower() not in _SIDES:
        raise BadInput(f"{path}: the side of {where} is {side!r}; use left, right or null.")
    return _SIDES[str(side).lower()]


def _numbers(path: Path, what: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.full((), np.nan)
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not np.isfinite(array).all():
        raise BadInput(f"{path}: {what} is not made of the numbers it needs; correct it.")
    return array


def _unit(path: Path, where: str, axis: np.ndarray) -> tuple[float, float]:
    length = float(np.hypot(*axis))
    if length < 1e-9:
        raise BadInput(f"{path}: the axis of {where} is zero; give the direction from the lower to the upper bone.")
    return float(axis[0] / length), float(axis[1] / length)
