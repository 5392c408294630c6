"""What stands around a view of a body: title, letters of its directions, names of colours, a bar of known length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from JointQuantLib.scene.body_letters import BodyLetters
from JointQuantLib.scene.offscreen_view import OffscreenView
from JointQuantLib.scene.picture_key import PictureKey

SIZE = 560  # pixels of a view
HEADER = 52  # pixels above it, for two lines of text
MARGIN = 190  # pixels beside it, for the names of the colours
INSET = 14  # pixels between the view and what is written beside it
LEGEND_SIZE = (84, 310)
FONT_SIZE = 16


class PictureFrame:
    """The margins of one view."""

    def __init__(self, view: OffscreenView):
        self.view = view
        self.view.title.GetTextProperty().SetLineSpacing(1.3)
        self.letters = BodyLetters(view.renderer)
        self.key = PictureKey(view.margin)
        self.view.resize((SIZE, SIZE), right=MARGIN, top=HEADER)

    def label(self, title: str, right_ras: np.ndarray, up_ras: np.ndarray, mm_per_pixel: float, note: str = "") -> None:
        """Title (two lines), letters for what is to the right and upward, the bar, and a note above the bar."""
        self.view.set_title(title, FONT_SIZE)
        self.letters.show(right_ras, up_ras, (SIZE, SIZE))
        self.key.clear()
        self.key.add_bar(mm_per_pixel, SIZE + INSET, 16, MARGIN - 2 * INSET)
        if note:
            self.key.add_text(note, SIZE + INSET, 76)

    def show_colors(self, entries: Sequence[tuple[str, tuple[float, float, float]]]) -> None:
        """The names of the colours, beside the top of the view; after `label`."""
        self.key.add_colors(entries, SIZE + INSET, SIZE - 10)

    def show_legend(self, legend, others: Sequence) -> None:
        """The legend of a map, beside the view (None: no legend); the others are hidden."""
        for other in others:
            other.SetVisibility(other is legend)
        if legend is not None:
            width, height = self.view.picture_size
            legend.SetSize(LEGEND_SIZE[0] / width, LEGEND_SIZE[1] / height)
            legend.SetPosition((SIZE + MARGIN - 2 * INSET) / width, 0.55)
