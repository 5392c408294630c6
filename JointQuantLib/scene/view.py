"""One Slicer slice view that draws off screen."""

from __future__ import annotations

import numpy as np

from JointQuantLib.scene.frames import ras_points
from JointQuantLib.scene.headless import HeadlessApplication
from JointQuantLib.scene.offscreen_view import OffscreenView

MANAGERS = (
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)


class SliceView(OffscreenView):
    """A slice view of a scene with the markups, segmentations and colour legends of what it shows."""

    def __init__(self, application: HeadlessApplication, name: str):
        import slicer
        import vtk

        super().__init__()
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application.logic)
        application.logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(application.scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation("Axial")
        self.resize((256, 256))

        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self.show_node(application, factory, MANAGERS)

        self.mapper = vtk.vtkImageMapper()  # the slice logic gives RGBA, 0 to 255
        self.mapper.SetColorWindow(255)
        self.mapper.SetColorLevel(127.5)
        image = vtk.vtkActor2D()
        image.SetMapper(self.mapper)
        image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(image)

    def resize(self, size: tuple[int, int], right: int = 0, top: int = 0) -> None:
        """Width and height of the slice, and the black margins at its right and top; all in pixels of the picture."""
        super().resize(size, right, top)
        self.node.SetDimensions(*size, 1)

    def show(self, background, foreground=None, opacity: float = 0.5) -> None:
        """A film or a structure as background, a map as foreground."""
        composite = self.logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetForegroundOpacity(opacity)

    def look_at(self, centre_px, spacing: float, pixels_per_view: float) -> None:
        """Put a film pixel (x, y) at the middle of the slice.

        :param pixels_per_view: how many film pixels one pixel of the view spans.
        """
        width, height = self.size
        scale = pixels_per_view * spacing
        self.node.SetFieldOfView(width * scale, height * scale, 1.0)
        position = ras_points([centre_px], spacing)[0]
        matrix = self.node.GetSliceToRAS()
        for k in range(3):
            matrix.SetElement(k, 3, float(position[k]))
        self.node.UpdateMatrices()

    def look_along(self, slice_to_ras: np.ndarray, mm_per_pixel: float) -> None:
        """Show the slice with this 4 x 4 matrix: to the right, upward, across and middle of the view, in RAS and mm."""
        width, height = self.size
        self.node.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, 1.0)
        self.node.GetSliceToRAS().DeepCopy([float(x) for x in np.asarray(slice_to_ras).ravel()])
        self.node.UpdateMatrices()

    def draw(self) -> np.ndarray:
        """The picture, uint8 [row, column, RGB]."""
        self.mapper.SetInputConnection(self.logic.GetImageDataConnection())  # another one for each set of layers
        return super().draw()
