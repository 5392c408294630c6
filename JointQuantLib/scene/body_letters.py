"""Letters at the edges of a picture that say where in the body it points: R, L, A, P, S, I."""

from __future__ import annotations

import numpy as np

LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))  # along + and - of each axis of RAS
FONT_SIZE = 20
INSET = 8  # pixels from the edge


def letter_of(direction_ras: np.ndarray) -> str:
    """The letter of the body axis that lies nearest to a direction in RAS."""
    axis = int(np.argmax(np.abs(direction_ras)))
    return LETTERS[axis][0 if direction_ras[axis] > 0 else 1]


class BodyLetters:
    """Four letters in a renderer, at its left, right, top and bottom."""

    def __init__(self, renderer):
        import vtk

        self.actors = {}
        for edge in ("left", "right", "top", "bottom"):
            actor = vtk.vtkTextActor()
            style = actor.GetTextProperty()
            style.SetFontFamilyToArial()
            style.SetFontSize(FONT_SIZE)
            style.SetBold(True)
            style.SetShadow(True)
            style.SetColor(1.0, 1.0, 0.6)
            getattr(style, f"SetJustificationTo{_ALONG[edge]}")()
            getattr(style, f"SetVerticalJustificationTo{_UP[edge]}")()
            renderer.AddViewProp(actor)
            self.actors[edge] = actor

    def show(self, right_ras: np.ndarray, up_ras: np.ndarray, size: tuple[int, int]) -> None:
        """Write the letters of a view with these directions, of this width and height in pixels."""
        width, height = size
        for edge, direction, place in (
            ("left", -np.asarray(right_ras), (INSET, height / 2)),
            ("right", np.asarray(right_ras), (width - INSET, height / 2)),
            ("top", np.asarray(up_ras), (width / 2, height - INSET)),
            ("bottom", -np.asarray(up_ras), (width / 2, INSET)),
        ):
            self.actors[edge].SetInput(letter_of(direction))
            self.actors[edge].SetPosition(*place)


_ALONG = {"left": "Left", "right": "Right", "top": "Centered", "bottom": "Centered"}
_UP = {"left": "Centered", "right": "Centered", "top": "Top", "bottom": "Bottom"}
