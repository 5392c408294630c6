"""The scene of a result folder, written as a bundle, opened again elsewhere, node by node."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from synthetic_result import show_both_hands, write_nrrd, write_synthetic_result

from JointQuantLib.errors import BadInput
from JointQuantLib.loss_colors import STEPS, loss_ramp
from JointQuantLib.scene import build_scene, slicer_available, write_scene
from JointQuantLib.scene.colors import LOSS_TITLE
from JointQuantLib.scene.frames import ras_from_pixels, ras_points

SPACING = 0.3


@pytest.fixture(scope="module", autouse=True)
def _needs_slicer():
    available, reason = slicer_available()
    if not available:
        pytest.skip(reason)


class Reopened:
    """A bundle in a fresh scene, and the result folder that it was made from."""

    def __init__(self, folder: Path, bundle: Path, unpacked: Path):
        from JointQuantLib.scene.headless import headless_application

        self.folder = folder
        self.result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        self.application = headless_application()
        self.scene = self.application.scene
        unpacked.mkdir(exist_ok=True)
        self.scene.SetURL(self.scene.UnpackSlicerDataBundle(str(bundle), str(unpacked)))
        assert self.scene.Import()

    def node(self, name: str):
        found = self.scene.GetFirstNodeByName(name)
        assert found is not None, f"no node is named {name}"
        return found

    def joint(self, name: str) -> dict:
        return next(joint for joint in self.result["joints"] if joint["name"] == name)


@pytest.fixture(scope="module")
def reopened(tmp_path_factory) -> Reopened:
    """Written, moved to another place, the place of writing removed, opened."""
    made = write_synthetic_result(tmp_path_factory.mktemp("made") / "result", spacing_mm=SPACING)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    kept = shutil.copytree(made, elsewhere / "kept")
    bundle = Path(shutil.move(write_scene(made), elsewhere / "scene.mrb"))
    shutil.rmtree(made)
    return Reopened(kept, bundle, elsewhere / "unpacked")


@pytest.fixture(scope="module")
def without_spacing(tmp_path_factory) -> Reopened:
    folder = write_synthetic_result(tmp_path_factory.mktemp("pixels") / "result", spacing_mm=None)
    return Reopened(folder, write_scene(folder), tmp_path_factory.mktemp("unpacked"))


def read_nrrd(path: Path, shape: tuple[int, int]) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes().split(b"\n\n", 1)[1]), "<f4").reshape(shape)


def pixels_of(volume) -> np.ndarray:
    import slicer.util

    return slicer.util.arrayFromVolume(volume)[0]


FILMS = {"visit_0": ("Film visit 1 (2019-03-04)", 0), "visit_1": ("Film visit 2 (2020-03-02)", 1)}
LOSSES = {f"loss_{kind}_0_1": (f"Loss visit 1 to 2, {kind} registration", 0) for kind in ("before", "after")}
WARPED = {f"{kind}_0_1": (f"Film visit 2 on visit 1, {kind} registration", 0) for kind in ("before", "after")}


@pytest.mark.parametrize(("file", "name", "visit"), [(f, *v) for f, v in (FILMS | LOSSES | WARPED).items()])
def test_volumes_keep_every_pixel_and_lie_where_the_film_lies(reopened, file, name, visit):
    import slicer.util
    import vtk

    volume = reopened.node(name)
    written = read_nrrd(reopened.folder / f"{file}.nrrd", tuple(reopened.result["visits"][visit]["shape"]))
    inside = np.isfinite(written)
    pixels = pixels_of(volume)
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels[inside], written[inside])
    assert (pixels[~inside] == float(volume.GetAttribute("JointQuant.outside") or "nan")).all()
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    assert slicer.util.arrayFromVTKMatrix(matrix) == pytest.approx(ras_from_pixels(SPACING))
    assert volume.GetAttribute("JointQuant.spacing") == "mm"


@pytest.mark.parametrize("name", [name for name, _ in WARPED.values()])
def test_where_there_is_no_warped_film_it_is_transparent(reopened, name):
    volume = reopened.node(name)
    display, pixels = volume.GetDisplayNode(), pixels_of(volume)
    outside = float(volume.GetAttribute("JointQuant.outside"))
    assert (pixels == outside).any()
    assert display.GetApplyThreshold()
    assert outside < display.GetLowerThreshold() < pixels[pixels != outside].min()


@pytest.mark.parametrize("name", [name for name, _ in FILMS.values()])
def test_films_are_shown_in_grey_with_their_display_range(reopened, name):
    display = reopened.node(name).GetDisplayNode()
    assert not display.GetAutoWindowLevel()
    assert [display.GetWindowLevelMin(), display.GetWindowLevelMax()] == pytest.approx([200.0, 2800.0])
    assert display.GetColorNode().GetName() == "Grey"


def test_both_loss_maps_have_the_same_fixed_colours_and_are_transparent_outside(reopened):
    displays = [reopened.node(name).GetDisplayNode() for name, _ in LOSSES.values()]
    assert displays[0].GetColorNode() is displays[1].GetColorNode()
    for display in displays:
        assert [display.GetWindowLevelMin(), display.GetWindowLevelMax()] == pytest.approx([0.0, 1.0])
        assert not display.GetAutoWindowLevel()
        assert display.GetApplyThreshold()
        assert -1.0 < display.GetLowerThreshold() < 0.0
        assert display.GetUpperThreshold() >= 1.0
        assert not display.GetInterpolate()


def test_the_colour_scale_is_saved(reopened):
    colors = reopened.node("JointQuant loss")
    function = colors.GetColorTransferFunction()
    saved = [function.GetColor(value) for value in np.linspace(0, 1, STEPS + 1)]
    assert np.array(saved) == pytest.approx(loss_ramp(), abs=1e-3)
    assert function.GetRange() == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize("name", [name for name, _ in LOSSES.values()])
def test_every_loss_map_has_a_legend_that_names_what_it_is(reopened, name):
    legend = reopened.node(f"{name} legend")
    assert legend.GetTitleText() == LOSS_TITLE
    assert legend.GetPrimaryDisplayNode() is reopened.node(name).GetDisplayNode()
    assert legend.GetDisplayableNode() is reopened.node(name)
    assert legend.GetVisibility()


@pytest.mark.parametrize(
    ("joint", "bone"), [("MCP2", "upper"), ("MCP2", "lower"), ("PIP2", "upper"), ("MCP3", "lower")]
)
def test_a_transform_lays_a_bone_of_the_later_film_on_that_of_the_earlier(reopened, joint, bone):
    pair = reopened.joint(joint)["pairs"][0]
    motion = np.array(pair[f"{bone}_motion"])
    here = np.add(pair["origin_px"], (3.0, -8.0))
    there = motion[:, :2] @ here + motion[:, 2]
    transform = reopened.node(f"{joint} {bone} visit 2 to visit 1")
    moved = transform.GetTransformToParent().TransformPoint(*ras_points([there], SPACING)[0])
    assert moved == pytest.approx(ras_points([here], SPACING)[0], abs=1e-9)
    film_1, film_2 = reopened.node("Film visit 1 (2019-03-04)"), reopened.node("Film visit 2 (2020-03-02)")
    assert transform.GetNodeReference(transform.GetMovingNodeReferenceRole()) is film_2
    assert transform.GetNodeReference(transform.GetFixedNodeReferenceRole()) is film_1


def test_the_outline_of_a_bone_carried_by_its_transform_lies_on_the_earlier_one(reopened):
    transform = reopened.node("MCP2 upper visit 2 to visit 1").GetTransformToParent()
    later = control_points(reopened.node("MCP2 upper visit 2 (2020-03-02)"))
    earlier = control_points(reopened.node("MCP2 upper visit 1 (2019-03-04)"))
    carried = np.array([transform.TransformPoint(*point) for point in later])
    assert carried == pytest.approx(earlier, abs=1e-6)


def control_points(markup) -> np.ndarray:
    import slicer.util

    return slicer.util.arrayFromMarkupsControlPoints(markup, world=True)


@pytest.mark.parametrize("visit", [0, 1])
def test_the_bones_of_every_joint_are_closed_locked_curves_where_the_result_says(reopened, visit):
    date = reopened.result["visits"][visit]["date"]
    for joint in reopened.result["joints"]:
        for bone in ("upper", "lower"):
            name = f"{joint['name']} {bone} visit {visit + 1} ({date})"
            if not joint["visits"][visit]["found"]:
                assert reopened.scene.GetFirstNodeByName(name) is None
                continue
            curve = reopened.node(name)
            assert curve.IsA("vtkMRMLMarkupsClosedCurveNode")
            assert curve.GetLocked()
            assert control_points(curve) == pytest.approx(ras_points(joint["visits"][visit][bone], SPACING))


def test_the_axis_runs_from_the_lower_to_the_upper_bone_through_the_origin(reopened):
    here = reopened.joint("MCP2")["visits"][0]
    lower_end, upper_end = control_points(reopened.node("MCP2 axis visit 1 (2019-03-04)"))
    assert (lower_end + upper_end) / 2 == pytest.approx(ras_points([here["position_px"]], SPACING)[0])
    direction = (upper_end - lower_end) / np.linalg.norm(upper_end - lower_end)
    assert direction == pytest.approx([-here["axis"][0], -here["axis"][1], 0.0])


def test_the_width_is_a_locked_line_of_its_length_with_millimetres_in_its_name(reopened):
    width = reopened.joint("MCP2")["visits"][0]["width_mm"]
    line = reopened.node(f"MCP2 width {width:.2f} mm visit 1 (2019-03-04)")
    assert line.GetLocked()
    start, end = control_points(line)
    assert np.linalg.norm(end - start) == pytest.approx(width)


def test_all_markups_are_locked_and_those_of_later_visits_are_hidden(reopened):
    scene = reopened.scene
    count = scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
    markups = [scene.GetNthNodeByClass(k, "vtkMRMLMarkupsNode") for k in range(count)]
    assert len(markups) == 4 * 5 + 3 * 5 + 2 + 3  # joints of visit 1 and 2, names of visits, verdicts of the pair
    assert all(markup.GetLocked() for markup in markups)
    shown = {markup.GetName() for markup in markups if markup.GetDisplayVisibility()}
    assert {name for name in shown if "visit 2 (" in name} == set()
    assert "MCP2 upper visit 1 (2019-03-04)" in shown


def test_names_carry_their_verdict_and_their_number(reopened):
    texts = {}
    for verdict in ("Measured", "Doubtful", "Not measurable"):
        names = reopened.node(f"{verdict}, visit 1 to visit 2")
        for k in range(names.GetNumberOfControlPoints()):
            texts[names.GetNthControlPointLabel(k)] = names.GetNthControlPointDescription(k)
    assert set(texts) == {"MCP2", "MCP3", "PIP2 ?", "PIP3 x"}
    change = reopened.joint("MCP2")["pairs"][0]["change_mm"]
    assert texts["MCP2"].startswith(f"change {change:+.2f} mm")
    assert "doubtful: The two bones overlap" in texts["PIP2 ?"]
    assert texts["PIP3 x"] == "not measurable: The joint was not found at visit 2."


def test_a_joint_that_was_not_measured_has_no_transform(reopened):
    assert reopened.scene.GetFirstNodeByName("PIP3 upper visit 2 to visit 1") is None


def test_the_table_holds_the_numbers_of_the_file_with_a_unit_for_every_column(reopened):
    table = reopened.node("Joints")
    assert table.GetLocked()
    assert table.GetColumnUnitLabel("change_mm") == "mm"
    assert table.GetColumnUnitLabel("tilt_deg") == "deg"
    assert table.GetColumnUnitLabel("change_per_year_mm") == "mm/year"
    columns = {table.GetColumnName(k): k for k in range(table.GetNumberOfColumns())}
    names = [table.GetCellText(row, columns["joint"]) for row in range(table.GetNumberOfRows())]
    assert names == ["MCP2", "PIP2", "MCP3", "PIP3"]
    changes = table.GetTable().GetColumnByName("change_mm")
    assert changes.IsA("vtkDoubleArray")
    assert changes.GetValue(0) == pytest.approx(reopened.joint("MCP2")["pairs"][0]["change_mm"])
    assert math.isnan(changes.GetValue(3))


def test_the_mean_of_the_hand_is_a_table_of_its_own(reopened):
    table = reopened.node("Hands")
    assert table.GetLocked()
    assert table.GetColumnUnitLabel("change_mm") == "mm"
    assert table.GetNumberOfRows() == 1
    columns = {table.GetColumnName(k): k for k in range(table.GetNumberOfColumns())}
    assert table.GetCellText(0, columns["joints"]) == "MCP2 MCP3"


def test_the_scene_carries_the_whole_result(reopened):
    assert json.loads(reopened.node("result.json").GetText()) == reopened.result


def test_everything_lies_in_folders_by_hand_visit_pair_and_joint(reopened):
    assert folders_of(reopened, "MCP2 upper visit 1 (2019-03-04)") == [
        "JointQuant hand: 2019-03-04 to 2020-03-02",
        "Visit 1 (2019-03-04)",
        "MCP2",
    ]
    assert folders_of(reopened, "MCP2 upper visit 2 to visit 1")[1:] == ["Visit 1 to visit 2", "MCP2"]
    assert folders_of(reopened, "Loss visit 1 to 2, after registration")[1:] == ["Visit 1 to visit 2"]
    assert folders_of(reopened, "Joints")[1:] == []


def folders_of(reopened: Reopened, name: str) -> list[str]:
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(reopened.scene)
    item = hierarchy.GetItemByDataNode(reopened.node(name))
    assert item
    path = []
    while (item := hierarchy.GetItemParent(item)) not in (0, hierarchy.GetSceneItemID()):
        path.insert(0, hierarchy.GetItemName(item))
    return path


def test_the_scene_opens_with_the_film_and_the_loss_before_and_after(reopened):
    for view, kind in (("Red", "before"), ("Yellow", "after")):
        composite = reopened.scene.GetSingletonNode(view, "vtkMRMLSliceCompositeNode")
        assert composite.GetBackgroundVolumeID() == reopened.node("Film visit 1 (2019-03-04)").GetID()
        assert composite.GetForegroundVolumeID() == reopened.node(f"Loss visit 1 to 2, {kind} registration").GetID()
        assert 0 < composite.GetForegroundOpacity() < 1
        slice_node = reopened.scene.GetSingletonNode(view, "vtkMRMLSliceNode")
        assert slice_node.GetOrientation() == "Axial"
        assert min(slice_node.GetFieldOfView()[:2]) > 0.99 * SPACING * 260
    layout = reopened.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == layout.SlicerLayoutSideBySideView


def test_every_file_of_the_scene_lies_in_the_bundle(reopened):
    for k in range(reopened.scene.GetNumberOfNodesByClass("vtkMRMLStorageNode")):
        storage = reopened.scene.GetNthNodeByClass(k, "vtkMRMLStorageNode")
        if storage.GetSaveWithScene() and storage.GetFileName():
            assert "unpacked" in storage.GetFullNameFromFileName()
            assert Path(storage.GetFullNameFromFileName()).is_file()


def test_without_spacing_nothing_claims_millimetres(without_spacing):
    film = without_spacing.node("Film visit 1 (2019-03-04)")
    assert film.GetSpacing() == (1.0, 1.0, 1.0)
    assert film.GetAttribute("JointQuant.spacing") == "pixels, spacing unknown"
    legend = without_spacing.node("Loss visit 1 to 2, after registration legend")
    assert legend.GetTitleText() == f"{LOSS_TITLE}; pixels, spacing unknown"
    names = [without_spacing.scene.GetNthNode(k).GetName() for k in range(without_spacing.scene.GetNumberOfNodes())]
    assert not [name for name in names if name and " mm " in f"{name} "]
    width = without_spacing.joint("MCP2")["visits"][0]["width_px"]
    assert f"MCP2 width {width:.1f} px visit 1 (2019-03-04)" in names
    assert "px" in without_spacing.node("Measured, visit 1 to visit 2").GetNthControlPointDescription(0)


def test_no_markup_shows_a_length_of_its_own(without_spacing):
    scene = without_spacing.scene
    for k in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")):
        markup = scene.GetNthNodeByClass(k, "vtkMRMLMarkupsNode")
        lengths = [markup.GetNthMeasurement(m) for m in range(markup.GetNumberOfMeasurements())]
        assert not any(length.GetEnabled() for length in lengths)


def test_three_visits_give_three_films_and_three_pairs(tmp_path):
    from JointQuantLib.scene.headless import headless_application

    folder = write_synthetic_result(tmp_path / "result", visits=3)
    application = headless_application()
    nodes = build_scene(folder, application.scene)
    assert len(nodes.films) == 3
    assert set(nodes.pairs) == {(0, 1), (0, 2), (1, 2)}
    assert ("PIP3", "upper") in nodes.pairs[0, 1].motions
    assert ("PIP3", "upper") not in nodes.pairs[0, 2].motions
    assert ("PIP3", 2) not in nodes.joints


def test_a_scene_that_holds_something_already_keeps_it(tmp_path):
    from JointQuantLib.scene.headless import headless_application

    scene = headless_application().scene
    other = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    build_scene(write_synthetic_result(tmp_path / "result"), scene)
    assert scene.GetNodeByID(other.GetID()) is other


@pytest.mark.parametrize("break_it", ["no result", "another schema", "no film", "another grid"])
def test_a_folder_that_is_no_result_is_refused_in_one_sentence(tmp_path, break_it):
    from JointQuantLib.scene.headless import headless_application

    folder = write_synthetic_result(tmp_path / "result")
    if break_it == "no result":
        (folder / "result.json").unlink()
    elif break_it == "another schema":
        (folder / "result.json").write_text('{"schema": "jointquant-training/1"}', encoding="utf-8")
    elif break_it == "no film":
        (folder / "visit_1.nrrd").unlink()
    else:
        write_nrrd(folder / "loss_after_0_1.nrrd", np.zeros((420, 260)), 0.7)
    with pytest.raises(BadInput, match=r"jointquant hand"):
        build_scene(folder, headless_application().scene)


def test_nodes_of_both_hands_are_told_by_their_side(tmp_path):
    folder = show_both_hands(write_synthetic_result(tmp_path / "result", spacing_mm=SPACING))
    both = Reopened(folder, write_scene(folder), tmp_path / "unpacked")
    joints = [joint for joint in both.result["joints"] if joint["name"] == "MCP2"]
    assert [joint["side"] for joint in joints] == ["left", "right"]
    for joint in joints:
        curve = both.node(f"{joint['side']} MCP2 upper visit 1 (2019-03-04)")
        assert control_points(curve) == pytest.approx(ras_points(joint["visits"][0]["upper"], SPACING))
        assert folders_of(both, f"{joint['side']} MCP2 lower visit 2 to visit 1")[1:] == [
            "Visit 1 to visit 2",
            f"{joint['side']} MCP2",
        ]
    names = both.node("Measured, visit 1 to visit 2")
    texts = {names.GetNthControlPointLabel(k) for k in range(names.GetNumberOfControlPoints())}
    assert texts == {"L MCP2", "R MCP2"}
