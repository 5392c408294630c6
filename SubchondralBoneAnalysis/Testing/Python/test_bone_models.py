"""Surfaces of bones as files that VTK, and with it Slicer, reads."""

from __future__ import annotations

import numpy as np
import pytest

from SubchondralBoneAnalysisLib.bone_models import write_bone_model
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.volume import Volume

vtk = pytest.importorskip("vtk", reason="VTK comes with slicer-core")
numpy_support = pytest.importorskip("vtk.util.numpy_support")


def test_vtk_reads_what_was_written(tmp_path):
    k, j, i = np.indices((30, 32, 34))
    ball = ((k - 15) ** 2 + (j - 16) ** 2 + (i - 17) ** 2 < 100).astype(np.uint8)
    surface = bone_surface(Volume(ball, (1.0, 1.0, 1.0), (-20.0, 5.0, 100.0)), 1)
    thickness = np.where(surface.points_lps[:, 2] > 115, 1.5, np.nan)
    path = tmp_path / "ball.vtk"
    write_bone_model(path, surface, "left tibia", {"plate_thickness_mm": thickness})

    reader = vtk.vtkPolyDataReader()
    reader.SetFileName(str(path))
    reader.ReadAllScalarsOn()
    reader.Update()
    model = reader.GetOutput()
    assert reader.GetHeader() == "left tibia;SPACE=LPS"
    points = numpy_support.vtk_to_numpy(model.GetPoints().GetData())
    assert np.allclose(points, surface.points_lps, atol=1e-4)
    cells = numpy_support.vtk_to_numpy(model.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    assert np.array_equal(cells, surface.triangles)
    values = numpy_support.vtk_to_numpy(model.GetPointData().GetArray("plate_thickness_mm"))
    assert np.allclose(values, thickness, equal_nan=True)
    # The middle of the ball is at (-3, 21, 115), and its normals point out of it.
    normals = numpy_support.vtk_to_numpy(model.GetPointData().GetNormals())
    outward = points - np.array([-3.0, 21.0, 115.0])
    assert (np.einsum("nc,nc->n", normals, outward) > 0).all()
    mass = vtk.vtkMassProperties()
    mass.SetInputData(model)
    mass.Update()
    assert mass.GetVolume() == pytest.approx(ball.sum(), rel=0.05)
