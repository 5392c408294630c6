"""`write_report`: one self-contained HTML page beside the `result.json` that it shows."""

from __future__ import annotations

from pathlib import Path

from JointQuantLib.result_kind import HAND, KNEE, MORPHOMETRY, kind_of

from .hand_page import render_hand
from .knee_page import render_knee
from .morphometry_page import render_morphometry

PAGES = {HAND: render_hand, KNEE: render_knee, MORPHOMETRY: render_morphometry}


def write_report(folder: Path) -> Path:
    """Write `report.html` into the result folder of a job and return its path.

    Reads only `result.json` and the maps and views in the folder. Pictures and styles are embedded, nothing is loaded
    from elsewhere. Raises BadInput where the folder is not the result of a job that has a page.
    """
    page = PAGES[kind_of(folder)](Path(folder))
    path = Path(folder) / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
