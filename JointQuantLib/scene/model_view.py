"""One Slicer 3-D view that draws the models of a scene off screen."""

from __future__ import annotations

import numpy as np

from JointQuantLib.scene.headless import HeadlessApplication
from JointQuantLib.scene.offscreen_view import OffscreenView

MANAGERS = ("vtkMRMLModelDisplayableManager", "vtkMRMLColorLegendDisplayableManager")


class ModelView(OffscreenView):
    """A 3-D view with parallel projection on black, so that lengths can be compared."""

    def __init__(self, application: HeadlessApplication, name: str):
        import slicer
        import vtk

        super().__init__()
        for azimuth, elevation, strength in ((-30, 35, 0.60), (35, 10, 0.35), (0, 0, 0.25)):
            light = vtk.vtkLight()
            light.SetLightTypeToCameraLight()
            light.SetPosition(*_on_sphere(azimuth, elevation))
            light.SetIntensity(strength)
            self.renderer.AddLight(light)

        self.node = application.scene.AddNewNodeByClass("vtkMRMLViewNode", name)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self.node.SetBackgroundColor(0, 0, 0)
        self.node.SetBackgroundColor2(0, 0, 0)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self.show_node(application, factory, MANAGERS)

    def look(self, right_ras: np.ndarray, up_ras: np.ndarray, centre_ras: np.ndarray, mm_per_pixel: float) -> None:
        """Look so that these directions are to the right and upward, with this place in the middle."""
        toward_viewer = np.cross(right_ras, up_ras)
        camera = self.renderer.GetActiveCamera()
        camera.ParallelProjectionOn()
        camera.SetFocalPoint(*centre_ras)
        camera.SetPosition(*(centre_ras + 1000.0 * toward_viewer))
        camera.SetViewUp(*up_ras)
        camera.SetParallelScale(0.5 * self.size[1] * mm_per_pixel)
        self.renderer.ResetCameraClippingRange()


def _on_sphere(azimuth_deg: float, elevation_deg: float) -> tuple[float, float, float]:
    """A direction as seen from the camera: to the right, upward, toward the camera."""
    azimuth, elevation = np.deg2rad((azimuth_deg, elevation_deg))
    return (
        float(np.sin(azimuth) * np.cos(elevation)),
        float(np.sin(elevation)),
        float(np.cos(azimuth) * np.cos(elevation)),
    )
