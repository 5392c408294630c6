"""The whole hand analysis: films in, result folder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from JointQuantLib.job import Progress
from JSNRegistrationLib.earlier_result import EarlierResult
from JSNRegistrationLib.film_maps import FilmMaps, nearest_joint, write_volume
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.hand_result import hand_result, write_hand_result
from JSNRegistrationLib.hands_on_films import FollowedHand, HandsOnFilms, hands_on_films
from JSNRegistrationLib.joint_measurement import JointMeasurement, PairMeasurement, measure_joint
from JSNRegistrationLib.joints import JointKey
from JSNRegistrationLib.joints_on_films import joints_on_films
from JSNRegistrationLib.loss_reading import JointLoss, read_loss
from JSNRegistrationLib.misalignment import MisalignmentMap, film_spline, misalignment
from JSNRegistrationLib.motion import between_pieces
from JSNRegistrationLib.patient_registration import register_patient
from JSNRegistrationLib.radiograph import Radiograph, check_same_hand, read_radiograph

__all__ = ["HandRequest", "analyse_hand"]


def analyse_hand(request: HandRequest, folder: Path, progress: Progress) -> dict:
    """Measure the change of every joint space between all visits and write numbers, maps and films into `folder`.

    Returns the content of result.json (``hand_result.schema.json``; pixels, millimetres and degrees by the field's
    name). Raises BadInput for films, masks or joints that cannot be used, Cancelled when the user stops the job.
    """
    progress.step(0.0, "Reading the films")
    films = read_films(request)
    warnings = check_same_hand(films)
    earlier = EarlierResult.read(request.reuse, films) if request.reuse else None

    progress.step(0.05, "Finding the joints")
    found = HandsOnFilms((), None) if request.joint_crop else hands_on_films(request, films)
    films, contradicted = with_side(films, request.side)
    warnings += [*contradicted, *found.warnings]
    joints = joints_on_films(request, films, found.hands)
    if earlier:
        joints = earlier.without_known(joints, asked_again(request, found.hands))

    spacings = [film.spacing_mm for film in films]
    crops = [[visit.crop for visit in seen] for seen in joints.values()]
    registered = register_patient(crops, spacings, request.device, progress.part(0.15, 0.6))

    progress.step(0.6, "Measuring the joint spaces")
    measured = [
        measure_joint(key.name, key.side, seen, spacings, pairs)
        for (key, seen), pairs in zip(joints.items(), registered, strict=True)
    ]

    progress.step(0.7, "Drawing the maps")
    losses = write_maps(folder, films, measured, earlier, progress.part(0.7, 0.95))

    progress.step(0.95, "Writing the numbers")
    result = hand_result(request, films, found, measured, losses, warnings, earlier)
    write_hand_result(folder, result)
    return result


def read_films(request: HandRequest) -> list[Radiograph]:
    """The films of a request, in the order of the visits, with the spacings and dates that the user gave."""
    count = len(request.films)
    spacings = request.spacing_mm or (None,)
    spacings = spacings * count if len(spacings) == 1 else spacings
    dates = request.dates or (None,) * count
    return [read_radiograph(*film) for film in zip(request.films, spacings, dates, strict=True)]


def with_side(films: list[Radiograph], side: str | None) -> tuple[list[Radiograph], list[str]]:
    """The films with the side that the user gave, and a warning for each that says the other one by itself."""
    if side is None:
        return films, []
    warnings = [
        f"{film.path.name} is of the {film.side} side by its Laterality; the side that was given, {side}, is used."
        for film in films
        if film.side not in (None, side)
    ]
    return [replace(film, side=side) for film in films], warnings


def asked_again(request: HandRequest, hands: Sequence[FollowedHand]) -> set[JointKey]:
    """The joints that are measured although an earlier result has them: named by the user, or given by the file."""
    return {JointKey(hand.side, name) for hand in hands for name in request.only or hand.given}


def write_maps(
    folder: Path,
    films: list[Radiograph],
    measured: list[JointMeasurement],
    earlier: EarlierResult | None,
    progress: Progress,
) -> dict[tuple[JointKey, int, int], JointLoss]:
    """Write the films and the maps of every pair; returns the losses and what they say by joint and pair."""
    losses = {}
    for visit, film in enumerate(films):
        write_volume(folder / f"visit_{visit}.nrrd", film.pixels, film.spacing_mm)
    splines = [film_spline(film.pixels) for film in films]
    pairs = list(combinations(range(len(films)), 2))
    for number, (a, b) in enumerate(pairs):
        progress.step(number / len(pairs), f"Drawing the maps of visits {a + 1} and {b + 1}")
        maps = earlier.maps(a, b) if earlier else FilmMaps.empty(films[a].pixels.shape)
        places = {joint.key: joint.frames[a].origin_px for joint in measured if joint.frames[a] is not None}
        places |= earlier.places(a) if earlier else {}
        for joint in measured:
            pair = next(pair for pair in joint.pairs if (pair.from_visit, pair.to_visit) == (a, b))
            if pair.frames_matched is None:
                continue
            before, after = pair_maps(joint, pair, splines[b])
            crop = joint.seen[a].crop
            own = nearest_joint(crop, [place for key, place in places.items() if key != joint.key])
            maps.paste(crop, own, before, after)
            losses[joint.key, a, b] = JointLoss(
                before.mean_loss,
                after.mean_loss if after else np.nan,
                read_loss(crop, after, joint.side) if after else None,
            )
        maps.write(folder, a, b, films[a].spacing_mm)
    return losses


def pair_maps(
    joint: JointMeasurement, pair: PairMeasurement, other_spline: np.ndarray
) -> tuple[MisalignmentMap, MisalignmentMap | None]:
    """The maps of one joint before and after its bones were registered (no map after where that failed)."""
    crop = joint.seen[pair.from_visit].crop
    film_of_crop = (-crop.offset_px[0], -crop.offset_px[1])
    start = between_pieces(pair.frames_matched, film_of_crop, (0, 0))
    before = misalignment(crop, other_spline, start, start)
    if pair.upper is None:
        return before, None
    upper, lower = (between_pieces(motion, film_of_crop, (0, 0)) for motion in (pair.upper, pair.lower))
    return before, misalignment(crop, other_spline, upper, lower)
