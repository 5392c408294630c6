"""Other programs that register two pictures, called as well as we know for one bone each.

Every peer gets two joint crops with the regions of both bones and answers with two motions (2 x 3, crop pixels of the
first to the second film). Each starts from the same place: the joint frames laid on each other or, where its name says
so, where our own coarse level ended. Each sees the bone by a mask where it takes one, by a template cut out with a soft
edge where it does not. How each is called was chosen on joints kept for development (peer_settings.csv).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from itk_peers import elastix_similarity, simpleitk_correlation, simpleitk_mutual_information
from peer_task import PeerSettings, PeerTask, coarse_start, frames_start, peer_tasks
from phase_peers import phase_only_correlation, two_region_phase_correlation
from template_peers import opencv_ecc, pystackreg_rigid

from JSNRegistrationLib.bones import JointCrop

SETTINGS = Path(__file__).with_name("peer_settings.csv")
Starts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Peer:
    """Another program: what it does for one bone, where it starts, and the settings that are tried for it."""

    name: str
    one_bone: Callable[[PeerTask, PeerSettings], np.ndarray]
    start: Callable[[JointCrop, JointCrop], Starts]
    grid: tuple[PeerSettings, ...]
    detail_means: str

    def __call__(self, first: JointCrop, second: JointCrop, settings: PeerSettings | None = None) -> Starts:
        """Motions of the upper and of the lower bone; by default with the settings that were chosen."""
        settings = chosen_settings()[self.name] if settings is None else settings
        tasks = peer_tasks(first, second, self.start(first, second), settings)
        return tuple(self.one_bone(task, settings) for task in tasks)


def _grid(blurs_mm: tuple[float, ...], details: tuple[float, ...]) -> tuple[PeerSettings, ...]:
    return tuple(PeerSettings(*chosen) for chosen in product((False, True), blurs_mm, details))


_SITK, _STEP = _grid((0.1, 0.2), (1.0,)), "longest step, pixels"
_BAND = "share of the spectrum"
COARSE = ", our coarse start"
PEERS = (
    Peer("SimpleITK similarity, Mattes MI", simpleitk_mutual_information, frames_start, _SITK, _STEP),
    Peer("SimpleITK similarity, Mattes MI" + COARSE, simpleitk_mutual_information, coarse_start, _SITK, _STEP),
    Peer("SimpleITK similarity, correlation", simpleitk_correlation, frames_start, _SITK, _STEP),
    Peer("SimpleITK similarity, correlation" + COARSE, simpleitk_correlation, coarse_start, _SITK, _STEP),
    Peer(
        "itk-elastix similarity",
        elastix_similarity,
        frames_start,
        _grid((0.1,), (0.0, 1.0)),
        "0 Mattes MI, 1 normalised correlation",
    ),
    Peer("OpenCV ECC, Euclidean", opencv_ecc, frames_start, _grid((0.0, 0.2), (3.0, 7.0)), "its own filter, pixels"),
    Peer("pystackreg", pystackreg_rigid, frames_start, _grid((0.0, 0.2), (0.0, 1.0)), "0 rigid, 1 scaled rotation"),
    Peer("phase-only correlation", phase_only_correlation, frames_start, _grid((0.0, 0.2), (0.25, 0.5, 1.0)), _BAND),
    Peer(
        "two-region phase-only correlation (PIPOC)",
        two_region_phase_correlation,
        frames_start,
        _grid((0.0, 0.2), (0.25, 0.5, 1.0)),
        _BAND,
    ),
)


@cache
def chosen_settings() -> dict[str, PeerSettings]:
    """The settings of every peer that ``peer_settings.py`` chose."""
    with SETTINGS.open(newline="", encoding="utf-8") as file:
        return {
            row["program"]: PeerSettings(row["normalised"] == "True", float(row["blur, mm"]), float(row["detail"]))
            for row in csv.DictReader(file)
        }
