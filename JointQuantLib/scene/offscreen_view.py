"""A view that draws off screen, with a title and black margins around what it shows."""

from __future__ import annotations

import numpy as np

from JointQuantLib.scene.headless import HeadlessApplication, render_window


class OffscreenView:
    """What slice views and 3-D views have in common: a renderer, the margins behind it and the picture of both."""

    def __init__(self):
        import vtk

        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.margin = vtk.vtkRenderer()  # behind the view: black margins with the title
        self.window = render_window()
        self.window.AddRenderer(self.margin)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()  # one that asks for no X server
        self.interactor.SetRenderWindow(self.window)
        self.title = vtk.vtkTextActor()
        self.title.GetTextProperty().SetFontFamilyToArial()
        self.title.GetTextProperty().SetColor(1.0, 1.0, 1.0)
        self.title.GetTextProperty().SetVerticalJustificationToTop()
        self.margin.AddViewProp(self.title)

    def show_node(self, application: HeadlessApplication, factory, managers: tuple[str, ...]) -> None:
        """Let displayable managers of these classes draw what the scene shows in `self.node`, the node of the view."""
        import slicer

        factory.SetMRMLApplicationLogic(application.logic)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.managers.SetRenderer(self.renderer)
        self.managers.Initialize(factory, self.renderer)
        self.managers.SetMRMLDisplayableNode(self.node)

    def resize(self, size: tuple[int, int], right: int = 0, top: int = 0) -> None:
        """Width and height of the view, and the black margins at its right and top; all in pixels of the picture."""
        self.size = size
        self.picture_size = (size[0] + right, size[1] + top)
        self.window.SetSize(*self.picture_size)
        self.renderer.SetViewport(0, 0, size[0] / self.picture_size[0], size[1] / self.picture_size[1])

    def set_title(self, text: str, font_size: int) -> None:
        self.title.SetInput(text)
        self.title.GetTextProperty().SetFontSize(font_size)
        self.title.SetPosition(8, self.picture_size[1] - 6)

    def draw(self) -> np.ndarray:
        """The picture, uint8 [row, column, RGB]."""
        import vtk
        from vtk.util.numpy_support import vtk_to_numpy

        self.window.Render()
        pixels = vtk.vtkUnsignedCharArray()
        width, height = self.picture_size
        self.window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        return vtk_to_numpy(pixels).reshape(height, width, 3)[::-1].copy()
