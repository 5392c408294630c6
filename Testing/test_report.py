"""The report says what the result folder says: every joint, number, unit, interval and reason, and nothing more."""

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
from job_runs import changed
from PIL import Image
from synthetic_result import show_both_hands, write_nrrd, write_synthetic_result

from JointQuantLib.errors import BadInput
from JointQuantLib.loss_colors import loss_colors
from JointQuantLib.report import write_report
from JointQuantLib.report.frame import JointFrame, sample
from JointQuantLib.report.labels import place_labels
from JointQuantLib.report.pictures import LOSS_STEPS, fusion, grey, grey_range
from JointQuantLib.report.plots import forest_scale
from JointQuantLib.report.wording import Finding, Quantity, finding_of, interval_between

VOID = {"img", "meta", "br", "link", "input"}
MINUS = "\N{MINUS SIGN}"


class Page(HTMLParser):
    """Text of the page by section, and all tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        values = {key: value or "" for key, value in attrs}
        self.tags.append((tag, values))
        if tag not in VOID:
            self._open.append((tag, values.get("id") if tag == "section" else None))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag):
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data):
        if any(tag in ("style", "script") for tag, _ in self._open):
            return
        for name in [name for _, name in self._open if name] or ["outside"]:
            self.sections[name] = self.sections.get(name, "") + " " + data.strip()

    @property
    def text(self) -> str:
        return squeezed(" ".join(self.sections.values()))

    def joint(self, name: str) -> str:
        """Text of the section of a joint."""
        found = [
            text for key, text in self.sections.items() if key.startswith("joint-") and squeezed(text).startswith(name)
        ]
        assert len(found) == 1, f"{name} has {len(found)} sections"
        return squeezed(found[0])

    def pictures(self, words: str) -> list[Image.Image]:
        """Decoded pictures whose description holds these words."""
        return [
            Image.open(io.BytesIO(base64.b64decode(values["src"].partition("base64,")[2])))
            for tag, values in self.tags
            if tag == "img" and words in values["alt"]
        ]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def signed(value: float) -> str:
    text = f"{abs(value):.2f}"
    return text if text == "0.00" else (MINUS if value < 0 else "+") + text


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    return write_synthetic_result(tmp_path_factory.mktemp("two") / "result", views=True)


@pytest.fixture(scope="module")
def page(template) -> Page:
    return page_of(template)


@pytest.fixture
def folder(template, tmp_path) -> Path:
    """A copy that the test may change."""
    return Path(shutil.copytree(template, tmp_path / "result"))


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_every_joint_has_its_number_with_unit_interval_verdict_and_reason(template, page):
    for joint in result_of(template)["joints"]:
        pair = joint["pairs"][0]
        section, table = page.joint(joint["name"]), squeezed(page.sections["summary"])
        assert pair["verdict"].replace("_", " ") in section
        assert pair["reason"] in section
        assert pair["reason"] in table
        assert joint["name"] in table
        if pair["verdict"] == "not_measurable":
            continue
        low, high = (signed(bound) for bound in pair["interval_mm"])
        assert f"{signed(pair['change_mm'])} mm 95 % interval {low} to {high} mm" in section
        assert f"{signed(pair['change_mm'])} ({low} to {high})" in table
        assert f"{signed(pair['change_per_year_mm'])} mm/year" in section
        for width in pair["width_mm"]:
            assert f"{width:.2f} ± 0.12" in table  # 1.96 times the standard error of 0.06 mm


def test_the_table_says_unit_and_sign_once_and_names_both_films(page):
    summary = squeezed(page.sections["summary"])
    assert summary.count("Negative = narrowing.") == 1
    for title in ("Change, mm", "Per year, mm/year", "Width visit 1, mm", "Width visit 2, mm"):
        assert title in summary
    header = squeezed(page.sections["outside"])
    for words in ("2019-03-04", "2020-03-02", "12 months", "film_0.png", "0.3 mm per pixel, given by the user", "left"):
        assert words in header


def test_a_joint_that_is_not_measurable_shows_its_film_and_the_reason_and_no_number(page):
    section = page.joint("PIP3")
    assert "The joint was not found at visit 2." in section
    assert "No number" in section
    assert len(page.pictures("PIP3 in the film of")) == 1  # it was found in the first film only
    without_names = re.sub(r"PIP3|[Vv]isit \d( \([\d-]+\))?|5 mm", "", section)  # 5 mm: the bar in the picture
    assert not re.search(r"\d", without_names), without_names


def test_a_number_that_slipped_into_a_joint_that_is_not_measurable_is_not_shown(folder):
    def slip(content):
        donor = content["joints"][0]["pairs"][0]
        content["joints"][0]["pairs"][0] = donor | {"verdict": "not_measurable", "reason": "The bones overlap."}

    name = result_of(folder)["joints"][0]["name"]
    page = page_of(changed(folder, slip))
    without_names = re.sub(
        rf"{name}|Visit \d \([\d-]+\)|5 mm|loss, mm: films differ|0.0 0.2 0.4 0.6 0.8 ≥ 1.0", "", page.joint(name)
    )
    assert not re.search(r"\d", without_names), without_names


def test_without_spacing_no_length_is_in_millimetres_and_the_page_says_so(tmp_path):
    folder = write_synthetic_result(tmp_path / "result", spacing_mm=None)
    page = page_of(folder)
    assert "Pixel spacing is unknown." in page.text
    assert not re.search(r"\bmm\b", page.text)
    pair = result_of(folder)["joints"][0]["pairs"][0]
    low, high = (signed(bound) for bound in pair["interval_px"])
    assert f"{signed(pair['change_px'])} px 95 % interval {low} to {high} px" in page.joint("MCP2")
    assert "Change, px" in page.text
    labels = " ".join(values.get("aria-label", "") for _, values in page.tags)
    assert not re.search(r"\bmm\b", labels)


def test_where_only_one_film_has_a_spacing_every_length_carries_its_own_unit(folder):
    def forget(content):
        content["visits"][1] |= {"spacing_mm": None, "spacing_source": "unknown"}
        for joint in content["joints"]:
            joint["visits"][1] |= {"width_mm": None, "width_se_mm": None}

    page = page_of(changed(folder, forget))
    summary = squeezed(page.sections["summary"])
    assert "Pixel spacing is unknown for visit 2." in page.text
    assert "Width visit 2, mm" not in summary
    width = result_of(folder)["joints"][0]["visits"][1]["width_px"]
    assert f"{width:.2f} ± 0.39 px" in summary


def test_without_dates_there_is_no_change_per_year(folder):
    def forget(content):
        for visit in content["visits"]:
            visit["date"] = None
        for joint in content["joints"]:
            for pair in joint["pairs"]:
                pair |= {"years": None, "change_per_year_mm": None, "change_per_year_interval_mm": None}

    page = page_of(changed(folder, forget))
    assert "year" not in page.text.lower()
    assert "unknown" in squeezed(page.sections["outside"])


def test_what_was_learned_from_simulated_images_is_said_and_only_where_it_was_used(folder):
    def found_by_network(content):
        content["parameters"]["method"] = "registration, joints found by networks trained on simulated images"

    assert "trained on simulated images" not in page_of(folder).sections["method"]
    assert "trained on simulated images" in page_of(changed(folder, found_by_network)).sections["method"]


def test_text_of_the_result_is_shown_as_text_and_never_runs(folder):
    nasty = '<script>alert(1)</script><img src=x onerror="alert(2)">" onmouseover="alert(3)'

    def poison(content):
        content["warnings"].append(nasty)
        content["parameters"][nasty] = {nasty: nasty}
        content["versions"][nasty] = nasty
        content["inputs"][0]["path"] = nasty
        content["visits"][0] |= {"source": nasty, "spacing_source": nasty, "side": nasty}
        content["joints"][0]["name"] = nasty
        content["joints"][1]["pairs"][0]["reason"] = nasty
        content["joints"][1]["pairs"][0]["quality"][nasty] = nasty
        content["joints"][3]["visits"][1]["reason"] = nasty

    page = page_of(changed(folder, poison))
    assert page.text.count("<script>alert(1)</script>") > 8
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [key for _, values in page.tags for key in values if key.startswith("on")]
    assert all(values["src"].startswith("data:") for tag, values in page.tags if tag == "img")


def test_the_page_loads_nothing_from_elsewhere(template, page):
    text = (template / "report.html").read_text(encoding="utf-8")
    for tag, values in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert values.get("src", "data:").startswith("data:")
        assert values.get("href", "#").startswith(("#", "data:"))
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_every_link_leads_to_a_section_and_no_name_is_given_twice(page):
    ids = [values["id"] for _, values in page.tags if "id" in values]
    assert len(ids) == len(set(ids))
    targets = {values["href"][1:] for tag, values in page.tags if tag == "a"}
    assert targets
    assert targets <= set(ids)


def test_pictures_are_large_enough_and_the_page_small_enough(template, page):
    sizes = [picture.size for words in ("in the film of", "fusion", "loss map") for picture in page.pictures(words)]
    assert len(sizes) == 7 + 3 * 4  # films of four joints, one not found once; four pictures of three measured joints
    assert min(min(size) for size in sizes) >= 220
    assert (template / "report.html").stat().st_size < 8e6 * 4 / 14


def test_the_slice_views_are_shown_where_the_folder_has_them(folder, page):
    assert len(page.pictures("whole film")) == 2
    for view in folder.glob("view_*.png"):
        view.unlink()
    assert not page_of(folder).pictures("whole film")


def test_three_visits_show_all_pairs_and_the_change_over_the_visits(tmp_path):
    folder = write_synthetic_result(tmp_path / "result", visits=3)
    page = page_of(folder)
    section = page.joint("MCP2")
    for pair in result_of(folder)["joints"][0]["pairs"]:
        assert f"{signed(pair['change_mm'])} mm 95 % interval" in section
    for dates in ("2019-03-04) to Visit 2", "2019-03-04) to Visit 3", "2020-03-02) to Visit 3"):
        assert dates in section
    assert "Change since visit 1, mm" in section
    assert "Visit 1 (2019-03-04) to Visit 3 (2021-03-08). Negative" in squeezed(page.sections["summary"])
    assert len(page.pictures("MCP2: red-cyan")) == 6


def test_the_fusion_of_a_film_with_itself_is_grey(folder, template):
    film = np.random.default_rng(0).uniform(0, 4000, (64, 64))
    limits = grey_range(film)
    alike = fusion(grey(film, limits), film, limits)
    assert np.array_equal(alike[..., 0], alike[..., 1])
    assert np.array_equal(alike[..., 1], alike[..., 2])

    def stay(content):
        for joint in content["joints"]:
            joint["pairs"][0] |= {"upper_motion": [[1, 0, 0], [0, 1, 0]], "lower_motion": [[1, 0, 0], [0, 1, 0]]}

    shutil.copy(template / "visit_0.nrrd", folder / "visit_1.nrrd")
    shutil.copy(template / "visit_0.nrrd", folder / "after_0_1.nrrd")
    shutil.copy(template / "visit_0.nrrd", folder / "before_0_1.nrrd")
    pictures = page_of(changed(folder, stay)).pictures("MCP2: red-cyan fusion after")
    colours = np.asarray(pictures[0].convert("RGB")).astype(int)
    assert np.ptp(colours) > 150  # there is a joint in it
    assert np.ptp(colours, axis=-1).max() <= 2


def test_the_fusion_is_red_where_only_the_earlier_film_is_bright_and_cyan_where_only_the_later_one_is():
    earlier, later = np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, np.nan]])
    red, cyan, unknown = fusion(earlier, later, (0.0, 1.0))[0]
    assert np.array_equal(red, [1, 0, 0])
    assert np.array_equal(cyan, [0, 1, 1])
    assert unknown[0] == unknown[1] == unknown[2] < 0.5


@pytest.mark.parametrize("loss", [0.1, 1.0])
def test_the_colour_of_a_loss_is_the_same_in_every_map(folder, loss):
    shape = result_of(folder)["visits"][0]["shape"]
    write_nrrd(folder / "loss_after_0_1.nrrd", np.full(shape, loss, np.float32), 0.3)
    picture = page_of(folder).pictures("MCP2: loss map after")[0].convert("RGB")
    expected = np.round(255 * loss_colors(np.array(loss)))
    assert np.abs(np.asarray(picture).astype(int) - expected).max() <= 3


def test_the_reading_of_the_loss_map_stands_with_the_pictures_of_its_joint(folder):
    def read(content):
        content["joints"][0]["pairs"][0]["reading"] = "lower bone not aligned on the ulnar side"
        content["joints"][1]["pairs"][0]["reading"] = None

    page = page_of(changed(folder, read))
    names = [joint["name"] for joint in result_of(folder)["joints"]]
    assert "Loss map: lower bone not aligned on the ulnar side." in page.joint(names[0])
    assert "Loss map:" not in page.joint(names[1])


def test_the_colour_bar_has_the_colours_of_the_maps_from_0_to_1(page):
    stops = [values for tag, values in page.tags if tag == "stop"]
    assert [stops[0]["offset"], stops[-1]["offset"]] == ["0.0%", "100.0%"]
    for stop in stops:
        colour = [int(stop["stop-color"][k : k + 2], 16) for k in (1, 3, 5)]
        expected = 255 * loss_colors(np.array(float(stop["offset"][:-1]) / 100))
        assert np.abs(colour - expected).max() < 255 / LOSS_STEPS * 3
    assert "loss, mm: films differ as if the bone lay this far off itself" in page.joint("MCP2")


def test_lightness_of_the_loss_colours_rises_all_the_way():
    colours = loss_colors(np.linspace(0, 1, 65))
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    assert np.all(np.diff(linear @ [0.2126, 0.7152, 0.0722]) > 0)


def test_outside_its_regions_the_loss_map_shows_the_film_in_grey(page):
    picture = np.asarray(page.pictures("MCP2: loss map before")[0].convert("RGB")).astype(int)
    corner = picture[:8, :8].reshape(-1, 3)
    assert np.ptp(corner, axis=-1).max() == 0


def test_the_window_shows_the_finger_pointing_up_and_not_mirrored():
    axis = np.array([0.6, -0.8])  # towards the finger tip
    points = JointFrame((100.0, 80.0), tuple(axis), 50.0).film_points(51)
    up = points[0, 25] - points[50, 25]
    right = points[25, 50] - points[25, 0]
    assert np.allclose(points[25, 25], (100.0, 80.0))
    assert np.allclose(up / np.linalg.norm(up), axis)
    assert right[0] * up[1] - right[1] * up[0] < 0  # y points down: right and up of an upright picture
    assert np.isclose(np.linalg.norm(right), 49.0196, atol=1e-3)


def test_all_films_show_the_same_piece_of_the_hand():
    angle, scale = np.deg2rad(25.0), 1.15
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    motion = np.column_stack([turn, [30.0, -12.0]])

    def scene(points):
        return 100 * np.sin(points[..., 0] / 9) + 80 * np.cos(points[..., 1] / 7)

    pixels = np.stack(np.meshgrid(np.arange(260.0), np.arange(240.0)), axis=-1)
    first, later = scene(pixels), scene((pixels - motion[:, 2]) @ np.linalg.inv(turn).T)
    frame = JointFrame((110.0, 90.0), (0.0, -1.0), 60.0)
    here = sample(first, frame.film_points(120))
    there = sample(later, frame.carried(motion, motion).film_points(120))
    assert np.abs(here - there).max() < 0.5  # of 360 from darkest to brightest


def test_a_film_seen_coarser_than_it_is_does_not_alias():
    stripes = np.tile([0.0, 100.0], (200, 100))
    picture = sample(stripes, JointFrame((100.0, 100.0), (0.0, -1.0), 180.0).film_points(45))
    assert np.ptp(picture) < 10


def test_beyond_the_film_nothing_is_made_up():
    picture = sample(np.full((40, 40), 7.0), JointFrame((0.0, 20.0), (0.0, -1.0), 20.0).film_points(40))
    assert np.isnan(picture[:, :18]).all()
    assert np.allclose(picture[:, 21:], 7.0)


def pair_with(change: float, interval: tuple[float, float], verdict: str = "measured") -> dict:
    return {"verdict": verdict, "change_mm": change, "interval_mm": list(interval), "change_px": change / 0.15}


@pytest.mark.parametrize(
    ("pair", "finding"),
    [
        (pair_with(-0.3, (-0.4, -0.2)), Finding.NARROWED),
        (pair_with(0.3, (0.2, 0.4)), Finding.WIDENED),
        (pair_with(-0.3, (-0.7, 0.1)), Finding.UNCHANGED),
        (pair_with(-0.3, (-0.4, -0.2), "doubtful"), Finding.DOUBTFUL),
        (pair_with(-0.3, (-0.4, -0.2), "not_measurable"), Finding.NOT_MEASURABLE),
    ],
)
def test_only_a_measured_change_whose_interval_leaves_out_zero_is_called_a_change(pair, finding):
    assert finding_of(pair) is finding


def test_rounding_never_hides_on_which_side_of_zero_an_interval_ends():
    assert Quantity(-0.05, (-0.098, -0.002), "mm").range == f"{MINUS}0.098 to {MINUS}0.002"
    assert Quantity(-0.05, (-0.11, 0.01), "mm").range == f"{MINUS}0.11 to +0.01"
    assert Quantity(-0.001, (-0.01, 0.01), "mm").number == "0.00"


def test_the_bars_of_narrowing_lie_left_of_zero_and_doubtful_intervals_do_not_stretch_the_scale():
    narrowed, doubtful = Quantity(-0.3, (-0.4, -0.2), "mm"), Quantity(0.1, (-9.0, 9.0), "mm")
    scale = forest_scale([(narrowed, Finding.NARROWED), (doubtful, Finding.DOUBTFUL)], "mm")
    bar = scale.bar(narrowed, Finding.NARROWED)
    assert bar.low < bar.x < bar.high < scale.zero
    assert scale.high - scale.low < 1.0
    wide = scale.bar(doubtful, Finding.DOUBTFUL)
    assert wide.cut_left
    assert wide.cut_right


def test_names_on_the_hand_hide_neither_each_other_nor_a_mark():
    marks, radius, font = [(60.0, 100.0), (110.0, 104.0), (160.0, 98.0), (210.0, 103.0)], 10.0, 14.0
    texts = ["MCP5 x", "MCP4 x", "MCP3 x", "MCP2 x"]
    corners = place_labels(marks, texts, radius, font, (290.0, 200.0))
    boxes = [(x, y - 0.8 * font, x + 0.62 * font * 6, y + 0.2 * font) for x, y in corners]
    boxes += [(x - radius, y - radius, x + radius, y + radius) for x, y in marks]
    for a in range(len(boxes)):
        for b in range(a):
            apart = boxes[a][2] <= boxes[b][0] or boxes[b][2] <= boxes[a][0]
            assert apart or boxes[a][3] <= boxes[b][1] or boxes[b][3] <= boxes[a][1], (a, b)


def test_the_time_between_films_is_said_in_words():
    assert interval_between("2020-01-01", "2020-01-15") == "14 days"
    assert interval_between("2011-01-31", "2012-02-24") == "13 months (389 days)"
    assert interval_between("2011-01-31", "2015-01-31") == "4.0 years"
    assert interval_between(None, "2015-01-31") is None


def test_a_crop_of_one_joint_has_a_page_of_its_own(folder):
    def keep_one(content):
        content["joints"] = content["joints"][:1]
        content["joints"][0] |= {"name": "JOINT", "side": None}

    page = page_of(changed(folder, keep_one))
    assert "Joint space change of one joint" in page.text
    assert "No number" not in page.joint("JOINT")


def test_a_result_without_maps_still_gives_all_numbers(folder):
    for path in folder.glob("*_0_1.nrrd"):
        path.unlink()
    page = page_of(folder)
    assert not page.pictures("fusion")
    change = result_of(folder)["joints"][0]["pairs"][0]["change_mm"]
    assert f"{signed(change)} mm 95 % interval" in page.joint("MCP2")


def test_a_folder_that_is_no_hand_result_is_refused_with_its_name(tmp_path):
    with pytest.raises(BadInput, match=re.escape(str(tmp_path / "result.json"))):
        write_report(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": "something-else/1"}')
    with pytest.raises(BadInput, match="jointquant-hand/1"):
        write_report(tmp_path)


# --------------------------------------------------------------------------------------------------------- both hands


@pytest.fixture(scope="module")
def of_both(tmp_path_factory) -> Page:
    return page_of(show_both_hands(write_synthetic_result(tmp_path_factory.mktemp("both") / "result")))


def test_both_hands_have_a_section_each_with_their_own_joints(of_both):
    for side, other in (("left", "right"), ("right", "left")):
        section = squeezed(of_both.sections[f"hand-{side}"])
        assert section.startswith(f"{side.capitalize()} hand")
        assert section.index(f"{side} MCP2") < section.index(f"{side} PIP2")
        assert f"{other} MCP2" not in section
        assert "95 % interval" in of_both.joint(f"{side} MCP2")
    assert "Joint space change of both hands" in of_both.text


def test_the_table_of_both_hands_is_divided_by_hand(of_both):
    summary = squeezed(of_both.sections["summary"])
    assert summary.index("Left hand MCP2") < summary.index("Right hand MCP2")
    assert {"left MCP2", "right MCP2", "left PIP2", "right PIP2"} <= set(re.findall(r"(?:left|right) \w+", summary))
    assert "L MCP2" in summary  # on the hand picture
    assert "left and right" in of_both.text


def test_links_and_names_of_both_hands_are_unique(of_both):
    ids = [values["id"] for _, values in of_both.tags if "id" in values]
    assert len(ids) == len(set(ids))
    assert {values["href"][1:] for tag, values in of_both.tags if tag == "a"} <= set(ids)
    assert len(of_both.pictures("left MCP2: red-cyan fusion")) == 2


def test_one_hand_is_not_named_at_every_joint(page):
    assert "left MCP2" not in page.text
    assert "hand-left" not in page.sections


def test_a_hand_that_is_turned_is_said_so_beside_its_film(folder):
    def turn(content):
        content["visits"][1]["hands"][0]["view"] = "oblique"

    header = squeezed(page_of(changed(folder, turn)).sections["outside"])
    assert header.count("oblique view") == 1


def mean_is_known(content: dict) -> None:
    """All joints of the hand count, and change alike."""
    content["hands"][0]["pairs"][0] |= {
        "joints": ["MCP2", "MCP3", "PIP2", "PIP3"],
        "change_mm": -0.05,
        "interval_mm": [-0.09, -0.01],
        "between_joints_sd_mm": 0.0,
        "change_per_year_mm": -0.025,
        "change_per_year_interval_mm": [-0.045, -0.004],
    }


def test_the_mean_change_of_the_hand_is_one_line(folder):
    summary = squeezed(page_of(changed(folder, mean_is_known)).sections["summary"])
    assert f"Mean change of 4 measured joints: {MINUS}0.05 mm (95 % {MINUS}0.09 to {MINUS}0.01)" in summary
    assert f"per year {MINUS}0.025 mm (95 % {MINUS}0.045 to {MINUS}0.004)" in summary
    assert "The joints differ by no more than their errors." in summary


def test_joints_that_differ_are_said_to(folder):
    def differ(content):
        mean_is_known(content)
        content["hands"][0]["pairs"][0]["between_joints_sd_mm"] = 0.12

    assert "SD between them 0.12 mm" in squeezed(page_of(changed(folder, differ)).sections["summary"])


def test_where_too_few_joints_are_measured_there_is_no_mean_and_it_is_said(page):
    assert "No mean change is given" in squeezed(page.sections["summary"])


def test_both_hands_have_a_mean_each(tmp_path):
    def third_joint(content):
        content["joints"] += [joint | {"name": "MCP4"} for joint in content["joints"] if joint["name"] == "MCP2"]
        for hand, change in zip(content["hands"], (-0.1, 0.2), strict=True):
            hand["pairs"][0] |= {"joints": ["MCP2", "PIP2", "MCP4"], "change_mm": change}
            hand["pairs"][0] |= {"interval_mm": [change - 0.05, change + 0.05], "between_joints_sd_mm": 0.0}

    folder = show_both_hands(write_synthetic_result(tmp_path / "result"))
    summary = squeezed(page_of(changed(folder, third_joint)).sections["summary"])
    assert f"Left hand, mean change of 3 measured joints: {MINUS}0.10 mm" in summary
    assert "Right hand, mean change of 3 measured joints: +0.20 mm" in summary


def test_every_measured_joint_says_its_smallest_detectable_change(template, page):
    for joint in result_of(template)["joints"]:
        pair, section = joint["pairs"][0], page.joint(joint["name"])
        if pair["verdict"] == "not_measurable":
            assert "Smallest detectable" not in section
            continue
        exceeded = "exceeded" if pair["beyond_sdc"] else "not exceeded"
        assert f"Smallest detectable {pair['sdc_mm']:.3f} mm, {exceeded}" in section
