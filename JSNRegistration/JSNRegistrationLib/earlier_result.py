"""An earlier result of the same films, from which all that is not asked for again is taken (`--from`)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_maps import FilmMaps
from JSNRegistrationLib.joint_measurement import SeenJoint
from JSNRegistrationLib.joints import JointKey
from JSNRegistrationLib.radiograph import Radiograph

ADDED = {"space_line": None, "outlined_by": None}  # what results of version 0.1.0 lack
ADDED_TO_PAIR = {"reading": None, "loss_by_bone": None, "registered_by": None}


@dataclass
class EarlierResult:
    """A result folder, and the joints in it (entries of result.json) that stay and that are measured again.

    ``other_loss``: its loss is 1 - correlation (version 0.1.0), which must not stand beside the present one.
    """

    folder: Path
    joints: list[dict]
    again: list[dict] = field(default_factory=list)
    other_loss: bool = False

    @classmethod
    def read(cls, folder: Path, films: Sequence[Radiograph]) -> EarlierResult:
        """Read a result folder. Raises BadInput where its films, their spacings or their dates are not these."""
        try:
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            inputs = [entry["sha256"] for entry in result["inputs"]]
            known = [(visit["spacing_mm"], visit["date"]) for visit in result["visits"]]
            joints = [_as_now(joint) for joint in result["joints"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"--from {folder} is not a result of the hand job: give the --out of an earlier one."
            ) from error
        same_films = inputs == [film.sha256 for film in films]
        if not same_films or known != [(film.spacing_mm, film.date and film.date.isoformat()) for film in films]:
            raise BadInput(
                f"--from {folder} has other {'spacings or dates' if same_films else 'films'}: give the same films in "
                "the same order, with the same --spacing and --dates."
            )
        other_loss = any("reading" not in pair for joint in result["joints"] for pair in joint["pairs"])
        return cls(folder, joints, other_loss=other_loss)

    def without_known(
        self, joints: dict[JointKey, list[SeenJoint]], asked: Collection[JointKey]
    ) -> dict[JointKey, list[SeenJoint]]:
        """The joints that are to be measured: those asked for, and those that the earlier result lacks.

        Raises BadInput where both are of one hand, but not of the same side.
        """
        self._agree_on_side({key.side for key in joints})
        known = {_key(joint) for joint in self.joints}
        again = {key: seen for key, seen in joints.items() if key in asked or key not in known}
        self.again = [joint for joint in self.joints if _key(joint) in again]
        self.joints = [joint for joint in self.joints if _key(joint) not in again]
        return again

    def _agree_on_side(self, sides: set[str | None]) -> None:
        before = {joint["side"] for joint in self.joints}
        if len(sides) != 1 or len(before) != 1 or sides == before:
            return
        if before == {None}:  # what was not known then is known now
            self.joints = [joint | {"side": next(iter(sides))} for joint in self.joints]
            return
        raise BadInput(
            f"--from {self.folder} is of the {before.pop()} hand, which these films do not show as they are asked for: "
            "give the same --side, or leave --from out."
        )

    def places(self, visit: int) -> dict[JointKey, np.ndarray]:
        """Film positions (x, y) of the joints that stay."""
        return _places(self.joints, visit)

    def maps(self, from_visit: int, to_visit: int) -> FilmMaps:
        """The maps of a pair, without what they show of the joints that are measured again."""
        maps = FilmMaps.read(self.folder, from_visit, to_visit)
        if self.other_loss:
            maps.clear_losses()
        maps.clear(_places(self.again, from_visit).values(), self.places(from_visit).values())
        return maps


def _as_now(joint: dict) -> dict:
    """A joint of result.json with all that results of earlier versions lack."""
    pairs = [pair if "reading" in pair else _without_loss(pair | ADDED_TO_PAIR) for pair in joint["pairs"]]
    return joint | {"visits": [ADDED | visit for visit in joint["visits"]], "pairs": pairs}


def _without_loss(pair: dict) -> dict:
    return pair | {"quality": pair["quality"] and pair["quality"] | {"loss_before": None, "loss_after": None}}


def _places(joints: Sequence[dict], visit: int) -> dict[JointKey, np.ndarray]:
    found = [joint for joint in joints if joint["visits"][visit]["found"]]
    return {_key(joint): np.asarray(joint["visits"][visit]["position_px"]) for joint in found}


def _key(joint: dict) -> JointKey:
    return JointKey(joint["side"], joint["name"])
