"""Films of a whole hand at several visits, with exactly known motion of every bone and change of every joint space."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from JSNRegistrationLib.motion import angle_of, apply, compose, inverse, motion_about
from JSNRegistrationLib.narrowing import space_change_px

from . import anatomy
from .bone_layer import BoneLayer, make_layer
from .bone_shapes import forearm_bone, long_bone, short_bone
from .scanner import Exposure, detected, presented, transmission, with_noise
from .soft_tissue import Segment, thickness_map

OVERSAMPLING = 2
LEAD_MM = 60.0  # as much bone as stops the beam like a lead marker
CANVAS_MM = (180.0, 256.0)  # width, height
ORIGIN_MM = (72.0, 206.0)  # the hand frame's origin from the top left corner, hand of a left side


@dataclass(frozen=True)
class TrueJoint:
    """A joint in one film. Pixels (x, y), centres at integers; axis from the lower to the upper bone."""

    name: str
    side: str
    position_px: tuple[float, float]
    axis: tuple[float, float]
    joint_space_mm: float
    upper_bone: str
    lower_bone: str


@dataclass(frozen=True)
class SimulatedHand:
    """Films of one hand and the truth."""

    films: tuple[np.ndarray, ...]  # float32 grey values [row, column], bone bright, whole numbers of 8 bits
    joints: tuple[tuple[TrueJoint, ...], ...]  # for every visit
    motions: dict[str, tuple[np.ndarray, ...]]  # bone -> 2x3 from film 0 pixels to film k pixels
    spacing_mm: float
    dates: tuple[date, ...]
    side: str
    seed: int

    def true_change(
        self,
        name: str,
        from_film: int,
        to_film: int,
        origin_px: tuple[float, float] | None = None,
        axis: tuple[float, float] | None = None,
    ) -> float:
        """Change of a joint space in mm, positive is wider; origin and axis of the *from* film default to the true."""
        joint = next(joint for joint in self.joints[from_film] if joint.name == name)
        upper, lower = self.joint_motions(name, from_film, to_film)
        origin = joint.position_px if origin_px is None else origin_px
        direction = joint.axis if axis is None else axis
        return space_change_px(upper, lower, np.asarray(origin), np.asarray(direction)) * self.spacing_mm

    def joint_motions(self, name: str, from_film: int, to_film: int) -> tuple[np.ndarray, np.ndarray]:
        """(upper, lower) motion of the two bones of a joint from one film to another."""
        joint = next(joint for joint in self.joints[0] if joint.name == name)
        upper, lower = (self.motions[bone] for bone in (joint.upper_bone, joint.lower_bone))
        return (
            compose(upper[to_film], inverse(upper[from_film])),
            compose(lower[to_film], inverse(lower[from_film])),
        )


def simulate_hand(
    seed: int,
    *,
    spacing_mm: float = 0.2,
    visits: int = 2,
    side: str = "left",
    changes_mm: dict[str, tuple[float, ...]] | None = None,
    noise: bool = True,
    exposure: Exposure | None = None,
) -> SimulatedHand:
    """Simulate `visits` posteroanterior films of one hand, seen from its back, fingers up.

    side: "left" (thumb on the right of the picture) or "right". changes_mm: for joints by name, the true change of the
    joint space from film 0 to every later film; joints left out do not change. With None, four joints narrow by
    0.3 to 0.5 mm until the last film and the others do not change. Bones move in the film plane only.
    Raises ValueError on an unknown side or joint name.
    """
    if side not in ("left", "right"):
        raise ValueError(f'side is "left" or "right", not {side!r}')
    unknown = set(changes_mm or ()) - {name for names in anatomy.JOINT_NAMES.values() for name in names}
    if unknown:
        raise ValueError(f"no joint is called {', '.join(sorted(unknown))}")
    shape_rng, place_rng, change_rng, film_rng, date_rng = np.random.default_rng([seed, 19]).spawn(5)
    skeleton = _Skeleton.draw(shape_rng, place_rng, spacing_mm, side)
    changes = _draw_changes(change_rng, skeleton, visits) if changes_mm is None else changes_mm
    motions = _draw_motions(place_rng, skeleton, visits, changes)
    films = []
    for visit in range(visits):
        taken = exposure or _draw_exposure(film_rng)
        films.append(
            _film(
                skeleton, {name: motion[visit] for name, motion in motions.items()}, taken, film_rng if noise else None
            )
        )
    joints = tuple(
        tuple(skeleton.joint_in_film(name, motions, visit) for name in skeleton.joints) for visit in range(visits)
    )
    first = date(2019, 3, 4) + timedelta(days=int(date_rng.integers(0, 700)))
    dates = tuple(first + timedelta(days=365 * k + int(date_rng.integers(0, 20)) * (k > 0)) for k in range(visits))
    return SimulatedHand(tuple(films), joints, motions, spacing_mm, dates, side, seed)


def write_simulated_hand(out: Path, seed: int, visits: int = 2) -> None:
    """Write visit_1.png, visit_2.png ... (8 bit) and truth.json into the folder `out`, which is made if absent."""
    hand = simulate_hand(seed, visits=visits)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    names = [f"visit_{visit + 1}.png" for visit in range(visits)]
    for name, film in zip(names, hand.films, strict=True):
        Image.fromarray(film.astype(np.uint8)).save(out / name, optimize=True)
    (out / "truth.json").write_text(json.dumps(truth_of(hand, names), indent=1) + "\n", encoding="utf-8")


def truth_of(hand: SimulatedHand, film_names: list[str]) -> dict:
    """The truth of a simulated hand as it is written to truth.json. `visits` has the form of joints.json."""
    visits = [
        [
            {
                "name": joint.name,
                "side": joint.side,
                "position_px": [round(c, 4) for c in joint.position_px],
                "axis": [round(c, 6) for c in joint.axis],
                "joint_space_mm": round(joint.joint_space_mm, 4),
            }
            for joint in joints
        ]
        for joints in hand.joints
    ]
    changes = []
    for joint in hand.joints[0]:
        for k in range(1, len(hand.films)):
            upper, lower = hand.joint_motions(joint.name, 0, k)
            changes.append(
                {
                    "name": joint.name,
                    "from_visit": 0,
                    "to_visit": k,
                    "change_mm": round(hand.true_change(joint.name, 0, k), 6) + 0.0,
                    "upper_motion": upper.round(9).tolist(),
                    "lower_motion": lower.round(9).tolist(),
                }
            )
    return {
        "schema": "jointquant-truth/1",
        "seed": hand.seed,
        "spacing_mm": hand.spacing_mm,
        "side": hand.side,
        "films": film_names,
        "dates": [day.isoformat() for day in hand.dates],
        "sign_convention": "positive is wider, negative is narrowing",
        "visits": visits,
        "changes": changes,
    }


@dataclass(frozen=True)
class _Link:
    """A joint between two bones in film 0."""

    lower: str
    upper: str
    position_px: np.ndarray
    axis: np.ndarray
    gap_mm: float


@dataclass(frozen=True)
class _Skeleton:
    """All bones with their places in film 0 (2x3, bone millimetres to pixels), and the joints between them."""

    layers: dict[str, BoneLayer]
    places: dict[str, np.ndarray]
    lengths_mm: dict[str, float]
    joints: dict[str, _Link]
    spacing_mm: float
    side: str
    size_factor: float

    @property
    def shape(self) -> tuple[int, int]:
        width, height = (round(c / self.spacing_mm / 2) * 2 for c in CANVAS_MM)
        return height, width

    @staticmethod
    def draw(rng, place_rng, spacing_mm: float, side: str) -> _Skeleton:
        factor = rng.uniform(0.93, 1.03)
        frame = _hand_frame(spacing_mm, side, np.radians(place_rng.uniform(-4, 4)))
        layers, places, lengths, joints = {}, {}, {}, {}

        def add(name: str, solid, at_mm, direction_deg: float, length: float = 0.0) -> None:
            layers[name] = make_layer(
                solid,
                rng,
                pitch_mm=spacing_mm / 4,
                slabs=4,
                solid_pitch_mm=min(max(0.8 * spacing_mm, 0.12), 0.3),
                texture_contrast=1.0,
                strut_spacing_mm=0.85,
            ).flattened()
            places[name] = compose(frame, _bone_place(at_mm, direction_deg))
            lengths[name] = length

        add("radius", forearm_bone(14.0, 6.2, 60.0, 0.34), (6.0, -0.5), 2.0)
        add("ulna", forearm_bone(8.2, 5.4, 60.0, 0.05), (-15.5, -1.5), -1.0)
        for bone in anatomy.CARPALS:
            half = tuple(factor * h * rng.uniform(0.97, 1.03) for h in bone.half_mm)
            add(bone.name, short_bone(half), factor * np.array(bone.centre_mm), bone.direction_deg)
        for finger, names in anatomy.BONE_NAMES.items():
            kinds = ("metacarpal", "proximal", *(("middle", "distal") if finger > 1 else ("distal",)))
            spread = place_rng.normal(0, 1.0)
            at = factor * np.array(anatomy.METACARPAL_BASE_MM[finger])
            previous, angle_before = None, 0.0
            for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
                angle = anatomy.DIRECTIONS_DEG[finger][index] + spread + (place_rng.normal(0, 1.5) if index else 0.0)
                length = factor * anatomy.LENGTHS_MM[finger][index] * rng.uniform(0.98, 1.02)
                widths = tuple(factor * w for w in anatomy.WIDTHS_MM[finger][index])
                if previous is not None:
                    joint_name = anatomy.JOINT_NAMES[finger][index - 1]
                    gap = anatomy.JOINT_SPACE_MM[joint_name[:-1]] * rng.uniform(0.9, 1.12)
                    middle = _direction(0.5 * (angle + angle_before))
                    axis = apply(frame, middle) - apply(frame, np.zeros(2))
                    joints[joint_name] = _Link(
                        previous, name, apply(frame, at + 0.5 * gap * middle), axis / np.linalg.norm(axis), gap
                    )
                    at = at + gap * middle
                add(name, long_bone(rng, length, widths, kind, last=index == len(names) - 1), at, angle, length)
                at = at + length * _direction(angle)
                previous, angle_before = name, angle
        for number, (metacarpal, before, across, half) in enumerate(anatomy.SESAMOIDS):
            name = f"sesamoid{number + 1}"
            add(name, short_bone(tuple(factor * h for h in half)), (0.0, 0.0), 0.0)
            local = np.array([lengths[metacarpal] - factor * before, factor * across])
            places[name] = np.column_stack([places[metacarpal][:, :2], apply(places[metacarpal], local)])
        return _Skeleton(layers, places, lengths, joints, spacing_mm, side, factor)

    def joint_in_film(self, name: str, motions: dict[str, tuple[np.ndarray, ...]], visit: int) -> TrueJoint:
        """The joint carried to a film by the mean of its bones' motions."""
        link = self.joints[name]
        upper, lower = motions[link.upper][visit], motions[link.lower][visit]
        position = 0.5 * (apply(upper, link.position_px) + apply(lower, link.position_px))
        half = 0.5 * np.angle(np.exp(1j * (angle_of(upper) - angle_of(lower))))
        axis = motion_about(np.zeros(2), angle_of(lower) + half, 1.0, np.zeros(2))[:, :2] @ link.axis
        change = space_change_px(upper, lower, link.position_px, link.axis) * self.spacing_mm
        return TrueJoint(
            name,
            self.side,
            (float(position[0]), float(position[1])),
            (float(axis[0]), float(axis[1])),
            float(link.gap_mm + change),
            link.upper,
            link.lower,
        )


def _hand_frame(spacing_mm: float, side: str, tilt: float) -> np.ndarray:
    """2x3 from the hand frame in mm (x to the thumb, y to the tips) to film pixels."""
    mirror = 1.0 if side == "left" else -1.0
    middle = np.array([ORIGIN_MM[0] if side == "left" else CANVAS_MM[0] - ORIGIN_MM[0], ORIGIN_MM[1]]) / spacing_mm
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    pivot = np.array(CANVAS_MM) / 2 / spacing_mm
    linear = turn @ np.array([[mirror, 0.0], [0.0, -1.0]]) / spacing_mm
    return np.column_stack([linear, pivot + turn @ (middle - pivot)])


def _direction(angle_deg: float) -> np.ndarray:
    """Unit vector in the hand frame, degrees from y towards the thumb."""
    return np.array([np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))])


def _bone_place(at_mm, direction_deg: float) -> np.ndarray:
    """2x3 from bone millimetres (u, v) to the hand frame; v is across, towards the thumb."""
    along = _direction(direction_deg)
    return np.column_stack([along, [along[1], -along[0]], np.asarray(at_mm, float)])


def _draw_changes(rng, skeleton: _Skeleton, visits: int) -> dict[str, tuple[float, ...]]:
    wide = [name for name in skeleton.joints if name[:3] in ("MCP", "PIP")]
    chosen = rng.choice(wide, size=4, replace=False)
    return {
        str(name): tuple(-rng.uniform(0.3, 0.5) * k / max(visits - 1, 1) for k in range(1, visits)) for name in chosen
    }


def _draw_motions(rng, skeleton: _Skeleton, visits: int, changes) -> dict[str, tuple[np.ndarray, ...]]:
    """Motion of every bone from film 0 to every film: the hand as a whole, then finger by finger from the palm out."""
    motions: dict[str, list[np.ndarray]] = {name: [np.eye(2, 3)] for name in skeleton.layers}
    centre = np.array(skeleton.shape[::-1]) / 2
    for visit in range(1, visits):
        hand = motion_about(
            centre,
            np.radians(rng.uniform(-3, 3)),
            1 + rng.uniform(-0.01, 0.01),
            rng.uniform(-3, 3, 2) / skeleton.spacing_mm,
        )
        for motion in motions.values():
            motion.append(hand)
        for names in anatomy.BONE_NAMES.values():
            root = skeleton.places[names[0]][:, 2]
            fan = np.radians(rng.normal(0, 0.5))
            motions[names[0]][visit] = compose(hand, motion_about(root, fan, 1.0, np.zeros(2)))
        for name, link in skeleton.joints.items():
            change = changes.get(name, (0.0,) * visits)[visit - 1] / skeleton.spacing_mm
            bend = np.radians(rng.normal(0, 1.2))
            slip = rng.normal(0, 0.05) / skeleton.spacing_mm
            along = motion_about(np.zeros(2), bend / 2, 1.0, np.zeros(2))[:, :2] @ link.axis
            step = change * along + slip * np.array([-along[1], along[0]])
            relative = motion_about(link.position_px, bend, 1.0, step)
            motions[link.upper][visit] = compose(motions[link.lower][visit], relative)
    for number, (metacarpal, *_) in enumerate(anatomy.SESAMOIDS):
        motions[f"sesamoid{number + 1}"] = motions[metacarpal]
    return {name: tuple(motion) for name, motion in motions.items()}


def _draw_exposure(rng) -> Exposure:
    return Exposure(
        photons=120000 * np.exp(rng.normal(0, 0.15)),
        electronic=8.0,
        scatter_fraction=rng.uniform(0.1, 0.16),
        blur_mm=rng.uniform(0.09, 0.11),
        gamma=rng.uniform(0.78, 0.88),
        window=(rng.uniform(28, 36), 99.9),
    )


def _film(skeleton: _Skeleton, motions: dict[str, np.ndarray], exposure: Exposure, rng) -> np.ndarray:
    """One film of the posed skeleton: paths, beam, detector, marker and collimation, presentation."""
    rows, columns = skeleton.shape
    bone = np.zeros((rows * OVERSAMPLING, columns * OVERSAMPLING))
    for name, layer in skeleton.layers.items():
        _add_bone(bone, layer, compose(motions[name], skeleton.places[name]))
    soft = thickness_map(_soft_segments(skeleton, motions), (rows, columns), 1.5 / skeleton.spacing_mm)
    soft = _enlarged(soft * skeleton.spacing_mm)
    lead = _enlarged(_marker(skeleton)) * LEAD_MM
    beam = transmission(bone + lead, np.maximum(soft, bone) + lead)
    open_field = _collimation(skeleton)
    signal = detected(beam * np.maximum(_enlarged(open_field), 0.002), skeleton.spacing_mm, exposure, OVERSAMPLING)
    if rng is not None:
        signal = with_noise(signal, skeleton.spacing_mm, exposure, rng)
    inside = open_field > 0.5
    return presented(signal, skeleton.spacing_mm, exposure, inside) * inside


def _add_bone(bone: np.ndarray, layer: BoneLayer, place: np.ndarray) -> None:
    """Add a bone's mineral path to the oversampled film, inside its bounding box only."""
    rows, columns = layer.outline.shape
    corners = np.array(
        [
            [u, v]
            for u in (layer.u0_mm, layer.u0_mm + rows * layer.pitch_mm)
            for v in (layer.v0_mm, layer.v0_mm + columns * layer.pitch_mm)
        ]
    )
    points = (apply(place, corners) + 0.5) * OVERSAMPLING
    x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int), 0, None)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, bone.shape[::-1])
    if x0 >= x1 or y0 >= y1:
        return
    x, y = np.meshgrid((np.arange(x0, x1) + 0.5) / OVERSAMPLING - 0.5, (np.arange(y0, y1) + 0.5) / OVERSAMPLING - 0.5)
    uv = apply(inverse(place), np.stack([x, y], axis=-1))
    bone[y0:y1, x0:x1] += np.maximum(layer.mineral_at(uv[..., 0], uv[..., 1]), 0)


def _soft_segments(skeleton: _Skeleton, motions: dict[str, np.ndarray]) -> list[Segment]:
    """Flesh around the posed bones."""
    px = skeleton.size_factor / skeleton.spacing_mm

    def at(name: str, u: float, v: float = 0.0) -> np.ndarray:
        return apply(compose(motions[name], skeleton.places[name]), np.array([u, v]))

    parts = [
        Segment(at("radius", -70.0, -9.0), at("radius", -18.0, -9.5), (27 * px, 27 * px), 40 * px),
        Segment(at("radius", -18.0, -9.5), at("capitate", 2.0, 0.0), (27 * px, 26 * px), 36 * px),
    ]
    for finger, names in anatomy.BONE_NAMES.items():
        scale = anatomy.FINGER_FACTOR[finger] * px
        length = skeleton.lengths_mm[names[0]]
        wide = 15.5 if finger > 1 else 17.0
        parts.append(
            Segment(
                at(names[0], -2.0), at(names[0], length), (wide * px, 12.5 * scale), (27 if finger > 1 else 25) * px
            )
        )
        for index, name in enumerate(names[1:]):
            length = skeleton.lengths_mm[name]
            r0, r1 = (anatomy.FINGER_RADIUS_MM[index + k] * scale for k in range(2))
            last = index == len(names) - 2
            end = at(name, length - (2.5 if last else 0.0))
            parts.append(Segment(at(name, -1.0), end, (r0, r1), 1.75 * r0))
    parts.append(Segment(at("MC5", 8.0), at("ulna", -16.0), (15 * px, 13.5 * px), 24 * px))
    parts.append(Segment(at("MC1", 4.0), at("radius", -14.0), (14 * px, 13.5 * px), 24 * px))
    # the web between the metacarpal heads, and the ball of the thumb
    for a, b in ((2, 3), (3, 4), (4, 5)):
        for u, radius in ((6.0, 9.5), (11.0, 7.5), (15.0, 5.0)):
            parts.append(Segment(at(f"PP{a}", u), at(f"PP{b}", u), (radius * px, radius * px), (11 + radius / 2) * px))
    parts.append(Segment(at("MC1", 22.0, -6.0), at("MC2", 30.0, 4.0), (15 * px, 13 * px), 22 * px))
    return parts


def _marker(skeleton: _Skeleton) -> np.ndarray:
    """The lead letter on the film, 0..1: on the thumb's side of the forearm."""
    rows, columns = skeleton.shape
    mm = 1 / skeleton.spacing_mm
    picture = Image.new("L", (columns, rows))
    pen = ImageDraw.Draw(picture)
    x = columns - 42 * mm if skeleton.side == "left" else 33 * mm
    y = rows - 40 * mm
    strokes = [[(0, 0), (0, 10)], [(0, 10), (5.5, 10)]]
    if skeleton.side == "right":
        strokes = [[(0, 0), (0, 10)], [(0, 0), (4.5, 0), (5.5, 2.5), (4.5, 5), (0, 5)], [(2.5, 5), (5.5, 10)]]
    for stroke in strokes:
        pen.line([(x + a * mm, y + b * mm) for a, b in stroke], fill=255, width=round(1.8 * mm), joint="curve")
    return np.asarray(picture, dtype=float) / 255


def _collimation(skeleton: _Skeleton) -> np.ndarray:
    """Open part of the field, 0..1, with a border a few millimetres wide and rounded corners."""
    rows, columns = skeleton.shape
    border, corner = 3.0 / skeleton.spacing_mm, 5.0 / skeleton.spacing_mm
    x = np.abs(np.arange(columns) - (columns - 1) / 2) - ((columns - 1) / 2 - border - corner)
    y = np.abs(np.arange(rows) - (rows - 1) / 2) - ((rows - 1) / 2 - border - corner)
    distance = np.hypot(np.maximum(x[None, :], 0), np.maximum(y[:, None], 0))
    return np.clip(corner - distance + 0.5, 0, 1)


def _enlarged(image: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(image, OVERSAMPLING, axis=0), OVERSAMPLING, axis=1)
