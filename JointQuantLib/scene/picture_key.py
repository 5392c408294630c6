"""What is written beside a picture: coloured squares with names, a bar of known length, and a line of text."""

from __future__ import annotations

from collections.abc import Sequence

FONT_SIZE = 15
LINE = 26  # pixels from one entry to the next
SQUARE = 16
LENGTHS_MM = (100.0, 50.0, 30.0, 20.0, 10.0, 5.0, 2.0, 1.0)  # of the bar: the longest that fits
BAR = 3  # pixels, thickness of the bar


class PictureKey:
    """Coloured squares with names from the top, a bar of known length at the bottom; in pixels of a renderer."""

    def __init__(self, renderer):
        self.renderer = renderer
        self.actors: list = []

    def clear(self) -> None:
        for actor in self.actors:
            self.renderer.RemoveViewProp(actor)
        self.actors = []

    def add_colors(self, entries: Sequence[tuple[str, tuple[float, float, float]]], left: int, top: int) -> None:
        """Names with their RGB colours below each other, from this corner on."""
        for row, (name, color) in enumerate(entries):
            middle = top - (row + 0.5) * LINE
            self._add_box(left, middle - SQUARE / 2, SQUARE, SQUARE, color)
            self.add_text(name, left + SQUARE + 8, middle)

    def add_bar(self, mm_per_pixel: float, left: int, bottom: int, width: int) -> None:
        """A bar of a round length that is not wider than `width`, with its length below."""
        length = next((mm for mm in LENGTHS_MM if mm / mm_per_pixel <= width), LENGTHS_MM[-1])
        pixels, y = length / mm_per_pixel, bottom + 22
        self._add_box(left, y, pixels, BAR, (1.0, 1.0, 1.0))
        for x in (left, left + pixels - BAR):
            self._add_box(x, y - 5, BAR, BAR + 10, (1.0, 1.0, 1.0))
        self.add_text(f"{length:g} mm", left, bottom + 4)

    def add_text(self, text: str, left: float, middle: float) -> None:
        import vtk

        actor = vtk.vtkTextActor()
        actor.SetInput(text)
        actor.SetPosition(left, middle)
        style = actor.GetTextProperty()
        style.SetFontFamilyToArial()
        style.SetFontSize(FONT_SIZE)
        style.SetColor(1.0, 1.0, 1.0)
        style.SetVerticalJustificationToCentered()
        self._add(actor)

    def _add_box(self, x: float, y: float, width: float, height: float, color: tuple[float, float, float]) -> None:
        import vtk

        plane = vtk.vtkPlaneSource()
        plane.SetOrigin(x, y, 0)
        plane.SetPoint1(x + width, y, 0)
        plane.SetPoint2(x, y + height, 0)
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputConnection(plane.GetOutputPort())
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*color)
        self._add(actor)

    def _add(self, actor) -> None:
        self.renderer.AddViewProp(actor)
        self.actors.append(actor)
