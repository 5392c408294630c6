"""The scene of a morphometry result, written, opened again node by node, and its pictures pixel by pixel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scene_bundles import ijk_to_ras, node, opened_bundle
from synthetic_morphometry import TILTED, draw_sample, write_synthetic_morphometry

from JointQuantLib.errors import BadInput
from JointQuantLib.even_colors import mixed
from JointQuantLib.morphometry_parameters import GROUPS
from JointQuantLib.scene import build_scene, rendering_available, slicer_available, write_scene, write_views
from JointQuantLib.scene.slice_planes import ras_from_ijk, slice_to_ras
from JointQuantLib.thickness_colors import scale_top, tb_sp_ramp, tb_th_ramp
from JointQuantLib.volume_planes import PLANES, middle_of

SHAPE, SPACING, ORIGIN = (24, 72, 60), (0.12, 0.06, 0.05), (10.0, -20.0, 30.0)
HEADER, GAP, LEAST_WIDTH, LARGEST = 52, 14, 350, 520
RAMPS = {"Tb.Th": tb_th_ramp(), "Tb.Sp": tb_sp_ramp()}


@pytest.fixture(scope="module", autouse=True)
def _needs_slicer():
    available, reason = slicer_available()
    if not available:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("made") / "result"
    return write_synthetic_morphometry(where, SHAPE, SPACING, ORIGIN, TILTED, region=True)


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy that the test may change."""
    return Path(shutil.copytree(made, tmp_path / "result"))


@pytest.fixture(scope="module")
def sample():
    return draw_sample(SHAPE, SPACING, region=True)


@pytest.fixture(scope="module")
def opened(made, tmp_path_factory):
    """An application with the bundle, moved elsewhere and opened there."""
    return opened_bundle(made, tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize(("name", "layer"), [("Structure", "bone"), ("Tb.Th (mm)", "tb_th"), ("Tb.Sp (mm)", "tb_sp")])
def test_volumes_keep_every_voxel_and_lie_where_the_file_says(opened, made, sample, name, layer):
    import slicer.util

    volume = node(opened, name)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), getattr(sample, layer))
    image = sitk.ReadImage(str(made / "structure.nrrd"))
    for index in ((0, 0, 0), (59, 0, 0), (0, 71, 0), (0, 0, 23), (13, 40, 7)):
        lps = image.TransformIndexToPhysicalPoint(index)
        assert (ijk_to_ras(volume) @ [*index, 1.0])[:3] == pytest.approx([-lps[0], -lps[1], lps[2]], abs=1e-5)


@pytest.mark.parametrize("name", ["Tb.Th", "Tb.Sp"])
def test_maps_are_coloured_from_zero_to_a_round_length_and_transparent_where_they_have_no_value(opened, sample, name):
    volume = node(opened, f"{name} (mm)")
    values = {"Tb.Th": sample.tb_th, "Tb.Sp": sample.tb_sp}[name]
    display = volume.GetDisplayNode()
    assert [display.GetWindowLevelMin(), display.GetWindowLevelMax()] == pytest.approx([0.0, scale_top(values)])
    assert display.GetApplyThreshold()
    assert 0.0 < display.GetLowerThreshold() < values[values > 0].min()
    assert display.GetUpperThreshold() > values.max()
    assert not display.GetInterpolate()
    assert volume.GetVoxelValueUnits().GetCodeValue() == "mm"
    function = display.GetColorNode().GetColorTransferFunction()
    steps = np.linspace(0, 1, len(RAMPS[name]))
    assert np.array([function.GetColor(step) for step in steps]) == pytest.approx(RAMPS[name], abs=1e-3)


@pytest.mark.parametrize("name", ["Tb.Th", "Tb.Sp"])
def test_legends_name_the_map_and_its_unit(opened, name):
    legend = node(opened, f"{name} (mm) legend")
    assert legend.GetTitleText() == f"{name}\n(mm)"
    assert legend.GetPrimaryDisplayNode() is node(opened, f"{name} (mm)").GetDisplayNode()


def test_bone_and_region_are_segments_on_the_same_voxels(opened, sample):
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    segmentation = node(opened, "Segmentation")
    segments = segmentation.GetSegmentation()
    assert [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())] == ["Bone", "Region"]
    for name, expected in (("Bone", sample.bone), ("Region", sample.region)):
        labels = slicer.vtkOrientedImageData()
        segmentation.GetBinaryLabelmapRepresentation(segments.GetSegmentIdBySegmentName(name), labels)
        assert (vtk_to_numpy(labels.GetPointData().GetScalars()) > 0).sum() == expected.sum()
        low = [int(taken.min()) for taken in np.nonzero(expected)][::-1]
        corner = labels.GetExtent()[::2]
        matrix = vtk.vtkMatrix4x4()
        labels.GetImageToWorldMatrix(matrix)
        here = matrix.MultiplyPoint([float(x) for x in corner] + [1.0])
        assert here[:3] == pytest.approx((ijk_to_ras(node(opened, "Structure")) @ [*low, 1.0])[:3], abs=1e-4)
    display = segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility2DFill("Bone")  # it would cover the maps
    assert display.GetSegmentVisibility2DOutline("Region")


def test_the_table_holds_every_parameter_with_value_and_unit(opened, made):
    table = node(opened, "Parameters")
    measures = json.loads((made / "result.json").read_text(encoding="utf-8"))["morphometry"]
    parameters = [parameter for group in GROUPS for parameter in group.parameters]
    assert table.GetNumberOfRows() == len(parameters)
    columns = {table.GetColumnName(n): n for n in range(table.GetNumberOfColumns())}
    for row, parameter in enumerate(parameters):
        cells = {title: table.GetCellText(row, column) for title, column in columns.items()}
        assert cells["Parameter"] == parameter.name
        assert cells["Unit"] == parameter.unit
        assert float(cells["Value"]) == pytest.approx(measures[parameter.key], rel=1e-5)
        if parameter.raw_key:
            assert float(cells["Raw value"]) == pytest.approx(measures[parameter.raw_key], rel=1e-5)
        assert parameter.formula in cells["Definition"]


def test_the_scene_carries_the_result_and_one_folder(opened, made):
    import slicer

    assert node(opened, "result.json").GetText() == (made / "result.json").read_text(encoding="utf-8")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(opened.scene)
    folder = hierarchy.GetItemByName("JointQuant morphometry: specimen_07.nrrd")
    for name in ("Structure", "Segmentation", "Tb.Th (mm)", "Tb.Sp (mm)", "Parameters", "result.json"):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node(opened, name))) == folder


def test_it_opens_with_both_maps_over_the_structure_in_three_slices(opened, sample):
    import slicer

    layout = opened.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == layout.SlicerLayoutThreeOverThreeView
    middle = middle_of(SHAPE, sample.region)
    to_ijk = np.linalg.inv(ijk_to_ras(node(opened, "Structure")))
    for ending, name in (("", "Tb.Th (mm)"), ("+", "Tb.Sp (mm)")):
        for plane, color in zip(PLANES, ("Red", "Green", "Yellow"), strict=True):
            composite = opened.scene.GetSingletonNode(color + ending, "vtkMRMLSliceCompositeNode")
            assert opened.scene.GetNodeByID(composite.GetBackgroundVolumeID()).GetName() == "Structure"
            assert opened.scene.GetNodeByID(composite.GetForegroundVolumeID()).GetName() == name
            view = opened.scene.GetSingletonNode(color + ending, "vtkMRMLSliceNode")
            matrix = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
            ijk = (to_ijk @ matrix[:, 3])[:3]
            assert ijk[2 - plane.across] == pytest.approx(middle[plane.across], abs=1e-3)
            across = (to_ijk @ matrix[:, 2])[:3]
            assert np.abs(np.delete(across, 2 - plane.across)).max() < 1e-4


def test_the_layout_has_the_views_that_slicer_gives_it():
    import slicer

    from JointQuantLib.scene.headless import headless_application
    from JointQuantLib.scene.morphometry_layout import ROWS, VIEW_NAMES

    application = headless_application()
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(application.scene)
    layout = logic.GetLayoutNode()
    own = layout.GetLayoutDescription(layout.SlicerLayoutThreeOverThreeView)
    tags = [part.split('"')[1] for part in own.split("singletontag=")[1:]]
    assert tags == [name + ending for ending, _ in ROWS for name in VIEW_NAMES]


def test_slices_of_an_identity_are_those_of_slicer():
    import slicer
    import slicer.util

    from JointQuantLib.scene.headless import headless_application

    application = headless_application()
    about = {"spacing_mm_kji": [0.3, 0.2, 0.1], "direction_lps": list(np.eye(3).ravel()), "origin_lps": [0, 0, 0]}
    for plane, name in zip(PLANES, ("Axial", "Coronal", "Sagittal"), strict=True):
        view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        view.SetOrientation(name)
        expected = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, :2]
        assert slice_to_ras(ras_from_ijk(about), plane, 3, (9, 9, 9))[:3, :2] == pytest.approx(expected)


@pytest.fixture(scope="module")
def drawn(made) -> dict[str, np.ndarray]:
    available, reason = rendering_available()
    if not available:
        pytest.skip(reason)
    called = []
    paths = write_views(made, lambda: called.append(1))
    assert [path.name for path in paths] == ["view_tb_th.png", "view_tb_sp.png"]
    assert len(called) == 2
    return {
        name: np.asarray(Image.open(path).convert("RGB")).astype(float)
        for name, path in zip(("Tb.Th", "Tb.Sp"), paths, strict=True)
    }


def panels(picture: np.ndarray) -> list[np.ndarray]:
    """The three slices of a picture, without the black around them."""
    extent = np.array(SHAPE) * SPACING
    scale = LARGEST / extent.max()
    left, found = 0, []
    for plane in PLANES:
        width, height = round(extent[plane.right] * scale), round(extent[plane.vertical] * scale)
        found.append(picture[len(picture) - height :, left : left + width])
        left += width + max(GAP, LEAST_WIDTH - width)
    return found


@pytest.mark.parametrize("name", ["Tb.Th", "Tb.Sp"])
def test_every_voxel_is_drawn_in_the_colour_of_its_value_at_its_place(drawn, sample, name):
    values = {"Tb.Th": sample.tb_th, "Tb.Sp": sample.tb_sp}[name]
    middle, top = middle_of(SHAPE, sample.region), scale_top(values)
    for plane, panel in zip(PLANES, panels(drawn[name]), strict=True):
        shown, bone = plane.cut(values, middle[plane.across]), plane.cut(sample.bone, middle[plane.across])
        rows, columns = shown.shape
        y = ((np.arange(rows) + 0.5) / rows * panel.shape[0]).astype(int)
        x = ((np.arange(columns) + 0.5) / columns * panel.shape[1]).astype(int)
        pixels = panel[y][:, x]
        expected = np.where(bone[..., None] > 0, 219.0, 23.0) * np.ones(3)
        expected[shown > 0] = 255 * mixed(RAMPS[name], np.clip(shown[shown > 0] / top, 0, 1))
        wrong = np.abs(pixels - expected).max(axis=-1) > 6
        assert (shown > 0).sum() > 50
        assert wrong.mean() < 0.01  # under the outline of the region


def test_the_outline_of_the_region_is_drawn(drawn):
    for panel in panels(drawn["Tb.Th"]):
        assert (panel.min(axis=-1) > 245).sum() > 200


def test_the_legend_and_the_titles_are_beside_the_slices_and_not_over_them(drawn):
    for name, picture in drawn.items():
        strip = picture[:, -125:]
        for color in RAMPS[name][1:-1]:
            assert np.abs(strip - 255 * color).max(axis=2).min() < 14
        assert ((strip > 200).all(axis=2)).any(axis=1).sum() > 100  # a title and eleven numbers
        assert (picture[: HEADER - 4, :300] > 150).all(axis=2).sum() > 300


def test_a_missing_map_is_left_out(folder):
    (folder / "tb_sp_mm.nrrd").unlink()
    assert write_scene(folder).is_file()
    if rendering_available()[0]:
        assert [path.name for path in write_views(folder)] == ["view_tb_th.png"]


def test_a_whole_volume_has_no_region_segment(tmp_path):
    from JointQuantLib.scene.headless import headless_application

    folder = write_synthetic_morphometry(tmp_path / "result", (12, 24, 24))
    application = headless_application()
    nodes = build_scene(folder, application.scene)
    assert nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    assert set(nodes.maps) == {"Tb.Th", "Tb.Sp"}


def test_a_missing_structure_is_said_in_one_sentence(folder):
    (folder / "structure.nrrd").unlink()
    with pytest.raises(BadInput, match=r"structure\.nrrd is missing: run `jointquant morphometry` again\."):
        write_scene(folder)


@pytest.mark.parametrize("key", ["spacing_mm_kji", "origin_lps", "size_kji"])
def test_a_volume_that_lies_elsewhere_is_refused(folder, key):
    path = folder / "result.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["volume"][key][0] += 1
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadInput, match=r"structure\.nrrd does not lie on the grid"):
        write_scene(folder)
    assert not (folder / "scene.mrb").exists()


@pytest.mark.parametrize("write", [write_scene, write_views])
def test_a_folder_of_another_job_is_refused_in_one_sentence(tmp_path, write):
    (tmp_path / "result.json").write_text('{"schema": "jointquant-training/1"}', encoding="utf-8")
    with pytest.raises(BadInput, match=r"jointquant-training/1.*jointquant-morphometry/1") as refused:
        write(tmp_path)
    assert "\n" not in str(refused.value)


def test_nothing_is_said_on_the_terminal(folder):
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from JointQuantLib.scene import write_scene, write_views\n"
        "write_scene(sys.argv[1])\n"
        "if sys.argv[2] == 'True': write_views(sys.argv[1])"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(rendering_available()[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout + child.stderr == ""
