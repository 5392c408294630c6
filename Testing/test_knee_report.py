"""The page of a knee result: its numbers, its maps and pictures, what is missing, and nothing from elsewhere."""

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
from PIL import Image
from synthetic_knee import COARSE, CUT_FEMUR, write_synthetic_knee

from JointQuantLib.errors import BadInput
from JointQuantLib.knee_colors import BONES as BONE_COLORS
from JointQuantLib.knee_colors import SUBREGIONS
from JointQuantLib.report import write_report
from JointQuantLib.report.knee_refusals import merged, refusals_of
from JointQuantLib.report.knee_slices import LABEL_SHARE, nearest_axes, turned
from JointQuantLib.report.knee_wording import confidence_words, narrowest, width_words

ROWS = (
    "Bones",
    "Compartments and sub-regions",
    "Depth bands",
    "Thickness of the subchondral plate",
    "Joint space width",
)


class Page(HTMLParser):
    """Text of the page by section, rows of its tables, its maps with their words at (x, y), and all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.maps: dict[str, list[dict]] = {}
        self._section, self._silent, self._in_cell, self._text = "outside", False, False, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = {key: value or "" for key, value in attrs}
        self.tags.append((tag, values))
        self._silent = tag == "style"
        if tag == "section":
            self._section = values["id"]
        rows, maps = self.rows.setdefault(self._section, []), self.maps.setdefault(self._section, [])
        if tag == "tr":
            rows.append([])
        if tag in ("td", "th"):
            rows[-1].append("")
            self._in_cell = True
        if tag == "svg" and values.get("class") == "schematic":
            maps.append({"name": values["aria-label"], "words": [], "titles": [], "fills": []})
        if tag == "rect" and "clip-path" in values:
            maps[-1]["fills"].append(values["fill"])
        if tag in ("text", "title") and maps:
            self._text = maps[-1]["words" if tag == "text" else "titles"]
            self._text.append([float(values.get("x", 0)), float(values.get("y", 0)), ""])

    def handle_endtag(self, tag):
        self._silent = False
        if tag in ("td", "th"):
            self._in_cell = False
        if tag in ("text", "title"):
            self._text = None
        if tag == "section":
            self._section = "outside"

    def handle_data(self, data):
        if self._silent:
            return
        self.sections[self._section] = self.sections.get(self._section, "") + data
        if self._in_cell:
            self.rows[self._section][-1][-1] += data
        if self._text is not None:
            self._text[-1][2] += data

    def text(self, section: str) -> str:
        return re.sub(r"\s+", " ", self.sections[section]).strip()

    def cells(self, section: str, *begin: str) -> list[list[str]]:
        """The rows of a section that begin with these cells."""
        return [row for row in self.rows[section] if tuple(row[: len(begin)]) == begin]

    def map(self, section: str, name: str) -> dict:
        return next(shown for shown in self.maps[section] if shown["name"] == name)

    def images(self) -> dict[str, Image.Image]:
        return {values["alt"]: decoded(values["src"]) for tag, values in self.tags if tag == "img"}


def decoded(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def content_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> Path:
    return write_synthetic_knee(tmp_path_factory.mktemp("right") / "result")


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    return write_synthetic_knee(tmp_path_factory.mktemp("both") / "result", ("right", "left"))


@pytest.fixture
def folder(right, tmp_path) -> Path:
    """A copy that the test may change."""
    return Path(shutil.copytree(right, tmp_path / "result"))


def test_the_page_begins_with_the_knee_the_file_and_what_it_is_not(right):
    header = page_of(right).text("outside")
    assert "Right knee: bone and joint space in CT knee_07.nrrd" in header
    assert "not a medical device. This page says what was measured and makes no diagnosis" in header


def test_warnings_stand_before_all_numbers(folder):
    text = "The patella: cut by the anterior border of the volume."
    page = write_report(changed(folder, lambda content: content["warnings"].append(text))).read_text(encoding="utf-8")
    assert page.index("<h3>Warnings</h3>") < page.index(text) < page.index("<main>")


def test_what_the_image_allows_is_said_once(right):
    page = page_of(right)
    image = page.text("image")
    for words in (
        "48 × 40 × 40 voxels",
        "1.6 × 1.8 × 1.8 mm along i, j, k",
        "SD 20 HU in soft tissue",
        "1.63 mm (FWHM; 95 % interval 1.59 to 1.67 mm), from 688 profiles across skin",
        f"Texture, in all 72 regions: {COARSE}.",
        "Plate thickness: mean, SD, median, smallest, in 2 of 12 sub-regions (tibia lateral posterior; ",
        "femur lateral posterior): 62 % of the area is thinner than the 0.90 mm that the image resolves.",
        "Tb.Th, Tb.Sp, Tb.N: a clinical CT does not show single trabeculae",
    ):
        assert words in image
    assert image.count(COARSE) == 1
    assert COARSE not in page.text("knee-right")


def test_every_region_has_its_row(right):
    page, content = page_of(right), content_of(right)
    rows = [row for row in page.rows["knee-right"] if len(row) == 10 and row[0] in ("medial", "lateral")]
    regions = {(row["number"], row["from_surface"]): row for row in content["knees"][0]["regions"]}
    assert len(rows) == len(regions) == 72
    titles = [row[0] for row in page.rows["knee-right"] if len(row) == 1]
    surfaces = [title for title in titles if "below" in title]
    for place, row in enumerate(rows):
        start = "plate" if "plate" in surfaces[place // 18] else "bone"
        region = regions[int(row[3]), start]
        assert row[:3] == [
            region["compartment"],
            region["subregion"],
            f"{region['depth_from_mm']:g}–{region['depth_to_mm']:g} mm",
        ]
        shown = [float(cell) for cell in row[4:9]]
        wanted = [region[key] for key in ("volume_mm3", "voxels", "hu_mean", "hu_sd", "bv_tv")]
        assert shown == pytest.approx(wanted, abs=0.5)
        assert float(row[8]) == pytest.approx(region["bv_tv"], abs=5e-4)
        assert row[9] == f"{region['bv_tv_low']:.3f} to {region['bv_tv_high']:.3f}"


def test_every_sub_region_has_its_widths(right):
    page = page_of(right)
    rows = [row for row in page.rows["knee-right"] if len(row) == 13 and row[0] in ("medial", "lateral")]
    surfaces = content_of(right)["knees"][0]["surfaces"]
    for row, bone in zip(rows, 6 * ["femur"] + 6 * ["tibia"], strict=True):
        surface = next(s for s in surfaces if [s["bone"], s["compartment"], s["subregion"]] == [bone, *row[:2]])
        wanted = [
            surface[f"{what}_{name}_mm"]
            for what in ("plate", "joint_space")
            for name in ("mean", "sd", "median", "smallest")
        ]
        shown = row[3:7] + row[8:12]
        for cell, value in zip(shown, wanted, strict=True):
            assert cell == ("–" if value is None else f"{value:.2f}")


def test_the_columns_of_the_texture_are_there_where_any_region_has_it(folder):
    def texture(content):
        region = content["knees"][0]["regions"][0]
        region |= {"texture_sd_hu": 43.0, "texture_skewness": -0.41, "texture_grain_mm": 1.27, "not_measured": {}}

    page = page_of(changed(folder, texture))
    (row,) = [row for row in page.rows["knee-right"] if "43" in row]
    assert row[-3:] == ["43", "−0.41", "1.27"]
    assert "Texture, in 71 of 72 regions:" in page.text("image")


@pytest.mark.parametrize(("side", "medial_on_the_right"), [("right", True), ("left", False)])
def test_a_map_lies_as_an_axial_slice_of_that_knee(tmp_path, side, medial_on_the_right):
    folder = write_synthetic_knee(tmp_path / "result", (side,))
    page, regions = page_of(folder), content_of(folder)["knees"][0]["regions"]
    shown = page.map(f"knee-{side}", "tibia: 2.5–5 mm below the surface of the bone")
    words = {text: (x, y) for x, y, text in shown["words"]}
    middle = 120
    assert (words["medial"][0] > middle) == medial_on_the_right
    assert (words["lateral"][0] < middle) == medial_on_the_right
    heights = {}
    for region in regions:
        if (region["bone"], region["depth_from_mm"], region["from_surface"]) == ("tibia", 2.5, "bone"):
            x, y = words[f"{region['hu_mean']:.0f}"]
            assert (x > middle) == ((region["compartment"] == "medial") == medial_on_the_right)
            heights.setdefault(region["subregion"], set()).add(y)
    assert max(heights["anterior"]) < min(heights["central"])
    assert max(heights["central"]) < min(heights["posterior"])


def test_a_denser_cell_is_darker_and_one_that_is_not_measured_hatched(tmp_path):
    folder = write_synthetic_knee(tmp_path / "result", metal=True)
    page = page_of(folder)
    bands = [f"tibia: {band} mm below the surface of the bone" for band in ("0–2.5", "2.5–5", "5–10")]
    maps = [page.map("knee-right", name) for name in bands]
    for shown in maps:
        assert shown["fills"][:3] == 3 * ["url(#not-measured)"]  # medial, where the metal is
    light = [np.mean([int(shown["fills"][3][at : at + 2], 16) for at in (1, 3, 5)]) for shown in maps]
    assert light == sorted(light)
    assert "100 % of the region lie around metal" in page.text("image")
    assert "It holds metal" in page.text("outside")


def test_a_width_that_is_not_resolved_is_less_than_the_limit():
    row = {"plate_median_mm": None, "plate_mean_mm": None, "plate_unresolved": 0.62, "plate_limit_mm": 0.9}
    assert width_words(row, "plate", "median") == "< 0.90"
    assert width_words(row, "plate", "mean") == "–"
    assert width_words(row | {"plate_unresolved": 0.4}, "plate", "median") == "–"
    assert width_words(row | {"plate_limit_mm": None}, "plate", "median") == "–"
    assert width_words(row | {"plate_median_mm": 1.234}, "plate", "median") == "1.23"


def test_what_is_not_resolved_is_narrower_than_what_is():
    def row(subregion, smallest, unresolved):
        return {
            "subregion": subregion,
            "joint_space_smallest_mm": smallest,
            "joint_space_unresolved": unresolved,
            "joint_space_limit_mm": 0.8,
        }

    rows = [row("anterior", 2.5, 0.0), row("central", None, 0.1), row("posterior", 3.0, 0.0)]
    assert narrowest(rows, "joint_space") == ("< 0.80", "central")
    assert narrowest(rows[::2], "joint_space") == ("2.50", "anterior")
    assert narrowest([], "joint_space") is None


def test_where_bones_nearly_touch_the_median_stands_for_the_mean_and_says_so(folder):
    def narrow(content):
        why = "12 % of the area is thinner than the 1.80 mm that the image resolves"
        row = next(row for row in content["knees"][0]["surfaces"] if row["bone"] == "tibia")
        names = ("joint_space_mean_mm", "joint_space_sd_mm", "joint_space_smallest_mm")
        row |= dict.fromkeys(names) | {"joint_space_unresolved": 0.12, "joint_space_median_mm": 2.71}
        row["not_measured"] = dict.fromkeys(names, why)

    assert "* median" not in page_of(folder).text("knee-right")
    page = page_of(changed(folder, narrow))
    words = [text for _, _, text in page.map("knee-right", "tibia: joint space width over the tibia")["words"]]
    assert {"2.71*", "min < 1.80"} < set(words)
    assert "* median" in page.text("knee-right")
    assert "Joint space, medial< 1.80 mm" in page.text("knee-right")
    assert "Joint space width: mean, SD, smallest, in 1 of 6 sub-regions (tibia medial anterior)" in page.text("image")


def test_reasons_that_differ_in_their_numbers_are_read_as_one():
    reasons = [f"{share} % of the area is thinner than the 0.43 mm that the image resolves" for share in (7, 100, 28)]
    assert merged(reasons) == "7 to 100 % of the area is thinner than the 0.43 mm that the image resolves"


def test_numbers_below_zero_keep_their_sign_where_reasons_are_read_as_one():
    assert merged([f"a mean of {hu} HU" for hu in (-50, -120, 1900)]) == "a mean of -120 to 1900 HU"


def test_a_refusal_names_the_knee_where_there_are_two(both):
    (thin,) = [of for of in refusals_of(content_of(both)["knees"]) if of.what.startswith("Plate")]
    assert thin.where == "in 4 of 24 sub-regions"
    knees = content_of(both)["knees"]
    for knee in knees:
        knee["surfaces"] = [row for row in knee["surfaces"] if row["bone"] == "tibia"]
    (thin,) = [of for of in refusals_of(knees) if of.what.startswith("Plate")]
    assert thin.where.endswith("(right tibia lateral posterior; left tibia lateral posterior)")


def test_a_femur_without_regions_is_explained_in_place_of_its_maps(tmp_path):
    page = page_of(write_synthetic_knee(tmp_path / "result", femur=False))
    assert f"No regions of the femur: {CUT_FEMUR}." in page.text("outside")
    assert f"The femur has no regions: {CUT_FEMUR}." in page.text("knee-right")
    assert {shown["name"].partition(":")[0] for shown in page.maps["knee-right"]} == {"tibia"}
    assert "All 36 regions" in page.text("knee-right")
    (femur,) = page.cells("knee-right", "femur")
    assert femur[1:] == ["yes", femur[2], "low (62 %)", "by the superior border", "only 14 mm of it are in the volume"]


def test_two_knees_have_a_section_each_with_their_own_numbers(both):
    page, content = page_of(both), content_of(both)
    assert "Right and left knee: bone and joint space in CT" in page.text("outside")
    assert [name for name in page.sections if name.startswith("knee-")] == ["knee-right", "knee-left"]
    for knee in content["knees"]:
        section = f"knee-{knee['side']}"
        for row in knee["surfaces"]:
            if row["bone"] == "tibia":
                assert f"{row['joint_space_mean_mm']:.2f}" in page.text(section)
        numbers = {int(row[3]) for row in page.rows[section] if len(row) == 10 and row[0] in ("medial", "lateral")}
        assert numbers == {row["number"] for row in knee["regions"]}
    assert len({clip["id"] for tag, clip in page.tags if "id" in clip}) == len([1 for _, v in page.tags if "id" in v])
    assert "Right knee: 12 patches of the tibia, 19 patches of the femur. Left knee:" in page.text("patches")


def test_bones_stand_with_volume_and_confidence_in_words(right):
    page = page_of(right)
    for bone in content_of(right)["knees"][0]["bones"]:
        (row,) = page.cells("knee-right", bone["name"])
        assert row[1:] == ["yes", f"{bone['volume_mm3'] / 1000:.1f}", "high (97 %)", "no", ""]
    assert confidence_words(0.8) == "fair (80 %)"
    assert confidence_words(None) == "drawn elsewhere"


def test_without_slicer_the_slices_are_drawn_over_the_ct(right):
    page = page_of(right)
    images = page.images()
    for row in ROWS:
        assert len([name for name in images if name.startswith(row)]) == (4 if row == "Bones" else 3)
    coronal = np.asarray(images["Compartments and sub-regions, coronal"].convert("RGB")).astype(float)
    shown = coronal.reshape(-1, 3) / 255
    for name in ("medial central", "lateral central"):
        tint = shown - LABEL_SHARE * np.array(SUBREGIONS[name])
        grey = np.ptp(tint, axis=1) < 0.04  # what is left is a share of the grey CT
        assert grey.sum() > 30
        at = np.flatnonzero(grey & (np.ptp(shown, axis=1) > 0.1)) % coronal.shape[1]
        # A right knee has its lateral side on the left of the picture.
        assert (at.mean() < coronal.shape[1] / 2) == name.startswith("lateral")
    bones = np.asarray(images["Bones, sagittal, through the patella"].convert("RGB")).astype(float) / 255
    tint = bones - LABEL_SHARE * np.array(BONE_COLORS["patella"])
    columns = np.nonzero((np.ptp(tint, axis=-1) < 0.04) & (np.ptp(bones, axis=-1) > 0.1))[1]
    assert columns.mean() < bones.shape[1] / 2  # in front, which is on the left


@pytest.mark.parametrize(
    "direction",
    [
        (1, 0, 0, 0, 1, 0, 0, 0, 1),
        (-1, 0, 0, 0, -1, 0, 0, 0, 1),
        (0, 0, 1, 0, -1, 0, 1, 0, 0),
        (0.9, 0.1, 0.42, -0.2, 0.97, 0.2, -0.4, -0.2, 0.9),
    ],
)
def test_slices_are_turned_so_that_left_posterior_and_superior_grow(direction):
    matrix = np.array(direction, float).reshape(3, 3)
    k, j, i = np.meshgrid(*(np.arange(4.0),) * 3, indexing="ij")
    places = np.einsum("cx,kjix->kjic", matrix, np.stack([i, j, k], axis=-1))
    order, letters = nearest_axes(list(direction))
    for axis, coordinate in enumerate((2, 1, 0)):
        assert np.diff(turned(places[..., coordinate], order), axis=axis).min() > 0
        assert letters[axis][0] == "SPL"[axis]


def test_pictures_of_slicer_take_the_place_of_drawn_ones(folder):
    for name in ("view_bands_coronal_right.png", "view_bands_other_place_right.png", "view_models_anterior_right.png"):
        Image.new("RGB", (300, 100), (10, 200, 30)).save(folder / name)
    page = page_of(folder)
    images = page.images()
    bands = [name for name in images if name.startswith("Depth bands")]
    assert bands == [
        "Depth bands below the surface of the bone, coronal",
        "Depth bands below the surface of the bone, other place",
    ]
    assert images[bands[0]].size == (300, 100)
    assert "Surfaces of the bones, from the front" in images
    assert "Compartments and sub-regions, coronal" in images


def test_a_picture_of_one_knee_is_not_shown_with_the_other(both, tmp_path):
    folder = Path(shutil.copytree(both, tmp_path / "result"))
    Image.new("RGB", (300, 100)).save(folder / "view_models_anterior_left.png")
    page = page_of(folder)
    assert "Surfaces of the bones" in page.text("knee-left")
    assert "Surfaces of the bones" not in page.text("knee-right")


@pytest.mark.parametrize("missing", ["ct.nrrd", "bones.nrrd", "compartments.nrrd", "bands.nrrd", "joint_space_mm.nrrd"])
def test_a_missing_volume_leaves_the_rest_of_the_page(folder, missing):
    (folder / missing).unlink()
    page = page_of(folder)
    left = {name.partition(",")[0] for name in page.images()}
    assert len(left) == {"ct.nrrd": 0, "bones.nrrd": 0}.get(missing, 4)
    assert "All 72 regions" in page.text("knee-right")
    assert f"{missing} " not in page.text("files")


def test_a_volume_on_another_grid_is_refused(folder):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.uint8)), str(folder / "bands.nrrd"))
    with pytest.raises(BadInput, match=r"bands\.nrrd does not lie on the grid"):
        write_report(folder)


def test_what_the_image_does_not_tell_is_said_so(folder):
    def unknown(content):
        content["ct"] |= {"noise_sd_hu": None, "blur_in_plane": None, "blur_axial": None}

    page = page_of(changed(folder, unknown))
    assert page.text("image").count("not known") == 3


def test_definitions_name_their_literature_and_the_assumption(right):
    words = page_of(right).text("definitions")
    for source in ("MOAKS", "Eckstein", "Johnston", "Treece"):
        assert source in words
    assert "no phantom was scanned" in words


def test_files_versions_and_hashes_are_on_the_page(right):
    page, content = page_of(right), content_of(right)
    for file in right.iterdir():
        if file.name != "report.html":
            assert file.name in page.text("files")
    assert content["inputs"][0]["sha256"] in page.text("files")
    assert content["versions"]["numpy"] in page.text("files")
    assert "patch_rule.edge_mm" in page.text("files")


def test_text_of_the_result_is_shown_as_text_and_nothing_is_loaded_from_elsewhere(tmp_path):
    nasty = '<script src="https://example.org/x.js">\'&amp;</script><img src=x onerror="alert(1)">'
    folder = write_synthetic_knee(tmp_path / "result", ct_name=nasty.replace("/", ""), femur=False)

    def poison(content):
        content["warnings"].append(nasty)
        knee = content["knees"][0]
        knee["side_from"] = knee["missing"]["femur"] = knee["bones"][0]["reason"] = nasty
        knee["regions"][0]["not_measured"]["texture_sd_hu"] = nasty
        content["definitions"]["density"] = content["ct"]["series"] = nasty

    page = page_of(changed(folder, poison))
    assert page.text("outside").count(nasty) == 2  # the series and the warning
    assert nasty.replace("/", "") in page.text("outside")
    assert page.text("knee-right").count(nasty) == 3
    assert nasty in page.text("image")
    assert nasty in page.text("definitions")
    for tag, values in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert "onerror" not in values
        assert values.get("src", "data:").startswith("data:")
        assert values.get("href", "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import", (folder / "report.html").read_text(encoding="utf-8"))
