"""The page of a morphometry result: its numbers, its pictures pixel by pixel, and nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from job_runs import changed
from jsonschema import Draft202012Validator
from PIL import Image
from synthetic_morphometry import TILTED, draw_sample, write_synthetic_morphometry

from JointQuantLib.errors import BadInput
from JointQuantLib.even_colors import mixed
from JointQuantLib.morphometry_parameters import GROUPS
from JointQuantLib.report import write_report
from JointQuantLib.report.histogram import shares_of
from JointQuantLib.report.map_pictures import outlines_of, round_length
from JointQuantLib.report.morphometry_wording import number, voxel_words
from JointQuantLib.thickness_colors import scale_top, tb_sp_ramp, tb_th_ramp
from JointQuantLib.volume_planes import PLANES, axis_letters, middle_of

FLAT = {"shape": (24, 72, 60), "spacing_mm": (0.12, 0.06, 0.05), "direction_lps": TILTED, "region": True}


class Page(HTMLParser):
    """Text of the page by section and table row, and all tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self._section, self._silent = "outside", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = {key: value or "" for key, value in attrs}
        self.tags.append((tag, values))
        self._silent = tag == "style"
        if tag == "section":
            self._section = values["id"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._silent = False
        if tag == "section":
            self._section = "outside"

    def handle_data(self, data):
        if self._silent:
            return
        self.sections[self._section] = self.sections.get(self._section, "") + data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def row(self, title: str) -> list[str]:
        """Cells of the row of the parameters that begins with this title."""
        found = [[squeezed(cell) for cell in row] for row in self.rows if row and squeezed(row[0]).startswith(title)]
        assert len(found) == 1, f"{title}: {found}"
        return found[0]

    def text(self, section: str) -> str:
        return squeezed(self.sections[section])

    def slices(self) -> list[Image.Image]:
        return [
            decoded(values["src"]) for tag, values in self.tags if tag == "img" and values["alt"].startswith("Slice ")
        ]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def decoded(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cube(tmp_path_factory) -> Path:
    return write_synthetic_morphometry(tmp_path_factory.mktemp("cube") / "result")


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> Path:
    return write_synthetic_morphometry(tmp_path_factory.mktemp("flat") / "result", **FLAT)


@pytest.fixture
def folder(flat, tmp_path) -> Path:
    """A copy that the test may change."""
    return Path(shutil.copytree(flat, tmp_path / "result"))


def measures_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))["morphometry"]


def test_every_parameter_has_its_number_unit_meaning_and_source(cube):
    page, measures = page_of(cube), measures_of(cube)
    for parameter in (parameter for group in GROUPS for parameter in group.parameters):
        cells = page.row(f"{parameter.name} {parameter.words}")
        value = measures[parameter.key]
        assert float(cells[1].removesuffix(" corrected").replace("−", "-")) == pytest.approx(value, rel=1e-3)
        assert cells[5] == parameter.unit
        for words in (parameter.meaning, parameter.source, parameter.formula):
            assert words in cells[6]


@pytest.mark.parametrize("name", ["Tb.Th", "Tb.Sp"])
def test_raw_and_corrected_values_stand_side_by_side(cube, name):
    words = {"Tb.Th": "trabecular thickness", "Tb.Sp": "trabecular separation"}[name]
    measures, key = measures_of(cube), name.lower().replace(".", "_")
    cells = page_of(cube).row(f"{name} {words}")
    assert cells[1].endswith(" corrected")
    shown = [float(cell.removesuffix(" corrected")) for cell in cells[1:5]]
    assert shown == pytest.approx([measures[f"{key}_{kind}mm"] for kind in ("", "raw_", "sd_", "max_")], abs=1e-4)
    assert shown[1] - shown[0] == pytest.approx(0.025, abs=1e-4)


def test_the_three_numbers_of_trabeculae_are_told_apart_by_their_formula(cube):
    page = page_of(cube)
    formulas = {"Parfitt": "(BV/TV) / Tb.Th ", "plate": "1 / (Tb.Th + Tb.Sp) ", "direct": "1 / mean mid-axis distance "}
    for kind, formula in formulas.items():
        assert page.row(f"Tb.N ({kind})")[6].startswith(formula)
    assert "Tb.N (direct)" in page.text("summary")


def test_what_was_measured_is_said_first(flat, cube):
    header = page_of(flat).text("outside")
    for words in (
        "specimen_07.nrrd, 60 × 72 × 24 voxels along i, j, k",
        "0.05 × 0.06 × 0.12 mm along i, j, k",
        "The region in condyle.nrrd",
        "used as context and is not measured",
        "which Otsu's method chose from the grey values",
    ):
        assert words in header
    header = page_of(cube).text("outside")
    assert "50 µm in all directions" in header
    assert "The whole volume (110.6 mm³, 884736 voxels)." in header


def test_a_slice_shows_every_voxel_in_the_colour_of_its_value(flat):
    sample = draw_sample(FLAT["shape"], FLAT["spacing_mm"], region=True)
    middle = middle_of(FLAT["shape"], sample.region)
    pictures = page_of(flat).slices()
    assert len(pictures) == 6
    for (values, ramp), drawn in zip(
        ((sample.tb_th, tb_th_ramp()), (sample.tb_sp, tb_sp_ramp())), (pictures[:3], pictures[3:]), strict=True
    ):
        for plane, picture in zip(PLANES, drawn, strict=True):
            shown, bone, inside = (
                plane.cut(array, middle[plane.across]) for array in (values, sample.bone, sample.region)
            )
            pixels = np.asarray(picture.convert("RGB")).astype(float)
            assert pixels.shape[:2] == shown.shape
            measured = shown > 0
            assert measured.any()
            expected = 255 * mixed(ramp, np.clip(shown[measured] / scale_top(values), 0, 1))
            assert np.abs(pixels[measured] - expected).max() < 3
            spread = pixels.max(axis=-1) - pixels.min(axis=-1)
            assert spread[~measured].max() == 0  # grey: the structure
            outside = pixels[(bone > 0) & ~measured & (inside == 0)]
            assert len(outside) == 0 or outside.max() < 120
            assert pixels[(bone == 0) & ~measured].max() < 40


def test_a_slice_is_as_wide_and_high_as_its_millimetres(flat, cube):
    for folder, extent in ((flat, (24 * 0.12, 72 * 0.06, 60 * 0.05)), (cube, (4.8, 4.8, 4.8))):
        styles = [v["style"] for _, v in page_of(folder).tags if v.get("class") == "sliceframe"][:3]
        ratios = [[float(x) for x in style.partition("aspect-ratio:")[2].split("/")] for style in styles]
        for plane, (width, height) in zip(PLANES, ratios, strict=True):
            assert width / height == pytest.approx(extent[plane.right] / extent[plane.vertical], rel=1e-3)
        assert (
            len({round(width / extent[plane.right], 1) for plane, (width, _) in zip(PLANES, ratios, strict=True)}) == 1
        )


def test_letters_of_the_body_are_shown_only_where_the_file_knows_it(flat, cube):
    edges = [values for _, values in page_of(flat).tags if values.get("class", "").startswith("edge")]
    assert len(edges) == 24
    assert not [values for _, values in page_of(cube).tags if values.get("class", "").startswith("edge")]
    assert "i, j and k" in page_of(cube).text("maps")
    assert "i to the right, j downward" in page_of(cube).text("maps")


def test_axes_point_where_the_columns_of_the_direction_matrix_say():
    assert axis_letters([1, 0, 0, 0, 1, 0, 0, 0, 1]) is None
    assert axis_letters([-1, 0, 0, 0, -1, 0, 0, 0, 1]) == ("S", "A", "R")
    assert axis_letters(list(TILTED)) == ("L", "SP", "PI")


def test_the_histogram_holds_all_values_and_marks_their_mean(cube):
    sample = draw_sample((96, 96, 96), (0.05, 0.05, 0.05), region=False)
    shares = shares_of(sample.tb_th, 0.025)
    assert shares.sum() == pytest.approx(100)
    rods = (sample.tb_th > 0.25).sum() / (sample.tb_th > 0).sum()
    assert shares[[8, 12]] == pytest.approx([100 * (1 - rods), 100 * rods])
    maps = page_of(cube).text("maps")
    assert f"mean Tb.Th (raw) {measures_of(cube)['tb_th_raw_mm']:.4g} mm" in maps
    assert f"mean Tb.Sp (raw) {measures_of(cube)['tb_sp_raw_mm']:.4g} mm" in maps


def test_the_scale_ends_at_a_round_length_that_nearly_all_values_lie_below():
    values = np.full((10, 10, 10), 0.23, np.float32)
    assert scale_top(values) == pytest.approx(0.25)
    values[0, 0, :3] = 9.0
    assert scale_top(values) == pytest.approx(0.25)
    assert scale_top(np.zeros((2, 2, 2), np.float32)) == 1.0


def test_the_outline_of_a_region_follows_the_edges_of_its_voxels():
    inside = np.zeros((10, 20))
    inside[2:5, 4:10] = 1
    (line,) = outlines_of(inside)
    points = np.array([[float(x) for x in point.split(",")] for point in line.split()])
    assert points.min(axis=0) == pytest.approx([20, 20], abs=3)
    assert points.max(axis=0) == pytest.approx([50, 50], abs=3)


def test_the_srrd_set_stands_apart_under_its_name_only(cube):
    page = page_of(cube)
    assert "Not comparable with anything else on this page." in page.text("srrd")
    for value in ("0.1876", "0.1123", "0.4862", "1.671"):
        assert value in page.text("srrd")
        assert value not in page.text("parameters") + page.text("summary")


def test_without_an_srrd_set_there_is_no_box_of_it(folder):
    page = page_of(changed(folder, lambda content: content.update(srrd_compatible=None)))
    assert "srrd" not in page.sections


ALWAYS = [p.key for group in GROUPS for p in group.parameters if not p.on_request]


@pytest.mark.parametrize("key", [*ALWAYS, "half_voxel_mm", "mil_mm"])
def test_a_number_that_cannot_be_given_is_a_dash(folder, key):
    page = page_of(changed(folder, lambda content: content["morphometry"].update({key: None})))
    named = [p for group in GROUPS for p in group.parameters if p.key == key]
    for parameter in named:
        assert page.row(f"{parameter.name} {parameter.words}")[1].startswith("–")


def test_what_was_not_asked_for_has_no_row(folder):
    assert "Tb.Th (fine)" in page_of(folder).text("parameters")
    page = page_of(changed(folder, lambda content: content["morphometry"].update({"tb_th_fine_mm": None})))
    assert "Tb.Th (fine)" not in page.text("parameters")


@pytest.mark.parametrize("missing", ["tb_th_mm.nrrd", "tb_sp_mm.nrrd", "structure.nrrd", "region.nrrd"])
def test_a_missing_volume_leaves_the_rest_of_the_page(folder, missing):
    (folder / missing).unlink()
    page = page_of(folder)
    assert len(page.slices()) == (3 if missing.startswith("tb_") else 6)
    assert ("The result folder holds no map" in page.text("maps")) == missing.startswith("tb_")


def test_a_map_of_another_size_is_refused(folder):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.float32)), str(folder / "tb_th_mm.nrrd"))
    with pytest.raises(BadInput, match=r"tb_th_mm\.nrrd does not lie on the grid"):
        write_report(folder)


def test_slice_views_are_embedded_where_they_exist(folder):
    assert "views" not in page_of(folder).sections
    Image.new("RGB", (300, 100), (10, 200, 30)).save(folder / "view_tb_th.png")
    page = page_of(folder)
    (view,) = [values for tag, values in page.tags if tag == "img" and "slice views" in values["alt"]]
    assert decoded(view["src"]).size == (300, 100)


def test_warnings_parameters_versions_and_hashes_are_on_the_page(folder):
    page = page_of(changed(folder, lambda content: content["warnings"].append("The region reaches the border.")))
    assert "The region reaches the border." in page.text("summary")
    content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for entry in content["inputs"]:
        assert entry["sha256"] in page.text("method")
    for words in ("keep_largest", content["versions"]["numpy"], "412.5"):
        assert words in page.text("method")
    assert "3.1 % of the bone" in page.text("parameters")


def test_text_of_the_result_is_shown_as_text_and_nothing_is_loaded_from_elsewhere(folder):
    nasty = '<script src="https://example.org/x.js"></script><img src="https://example.org/x.png">'

    def poison(content):
        content["warnings"].append(nasty)
        content["inputs"][0]["path"] = nasty.replace("/", "")
        content["segmentation"]["description"] = nasty
        content["region"]["source"] = nasty

    page = page_of(changed(folder, poison))
    assert nasty in page.text("summary")
    for tag, values in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert values.get("src", "data:").startswith("data:")
        assert values.get("href", "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import", (folder / "report.html").read_text(encoding="utf-8"))


def test_a_folder_of_another_job_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="not found"):
        write_report(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": "jointquant-simulation/1"}', encoding="utf-8")
    with pytest.raises(
        BadInput, match=r"jointquant-simulation/1.*jointquant-morphometry/1.*give the folder"
    ) as refused:
        write_report(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [
        (0.190412, None, "0.1904"),
        (0.0360577, 0.190412, "0.0361"),
        (110.592, None, "110.6"),
        (-301, None, "−301"),
        (-0.4321, None, "−0.4321"),
        (0.0, None, "0"),
        (None, None, "–"),
        (1234567.0, None, "1234567"),
    ],
)
def test_numbers_are_written_with_four_digits(value, like, text):
    assert number(value, like) == text


def test_voxels_are_written_in_the_unit_that_suits_them():
    assert voxel_words((0.0205, 0.0205, 0.0205)) == "20.5 µm in all directions"
    assert voxel_words((0.061, 0.06, 0.06)) == "60 × 60 × 61 µm along i, j, k"
    assert voxel_words((0.5, 0.3, 0.3)) == "0.3 × 0.3 × 0.5 mm along i, j, k"
    assert round_length(1.44) == 1.0
    assert round_length(0.2) == 0.2


def test_the_folder_of_these_tests_is_one_that_the_job_could_write(repository, cube, flat):
    path = repository / "SubchondralBoneAnalysis/SubchondralBoneAnalysisLib/morphometry_result.schema.json"
    validator = Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
    for folder in (cube, flat):
        validator.validate(json.loads((folder / "result.json").read_text(encoding="utf-8")))
