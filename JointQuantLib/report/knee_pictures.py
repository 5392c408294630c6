"""Pictures of a knee's bones, regions and maps over its CT: Slicer's views, else slices that are drawn here."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from JointQuantLib.knee_colors import BONES as BONE_COLORS
from JointQuantLib.knee_colors import PLATE_TOP_MM, SUBREGIONS, band_colors, plate_ramp
from JointQuantLib.knee_folder import BANDS, BONES, COMPARTMENTS, JOINT_SPACE, PLATE, KneeFolder

from .knee_schematic import Scale, even_scale, joint_space_scale
from .knee_slices import JointSlices, Picture
from .knee_wording import band_words
from .pictures import shrunk

FEW_VIEWS, LARGE_PX, SMALL_PX = 40, 620, 460  # so that the page stays small where there are many

LAYERS = {
    "bones": ("Bones", BONES),
    "compartments": ("Compartments and sub-regions", COMPARTMENTS),
    "bands": ("Depth bands below the surface of the bone", BANDS),
    "plate": ("Thickness of the subchondral plate", PLATE),
    "joint_space": ("Joint space width", JOINT_SPACE),
}
MODELS = "Surfaces of the bones"
PLACES = {
    "coronal": "coronal",
    "sagittal_medial": "sagittal, medial compartment",
    "sagittal_lateral": "sagittal, lateral compartment",
    "axial_tibia": "axial, tibia",
    "axial_femur": "axial, femur",
    "axial": "axial, through the joint",
    "axial_patella": "axial, patella",
    "axial_fibula": "axial, fibula",
}
MODEL_PLACES = {
    "anterior": "from the front",
    "posterior": "from behind",
    "tibia_from_above": "tibia from above",
    "femur_from_below": "femur from below",
}


@dataclass(frozen=True)
class PictureRow:
    """Pictures of one thing with what their colours mean: swatches for labels, a scale for a map."""

    title: str
    pictures: list[Picture]
    swatches: list[tuple[str, str]] = field(default_factory=list)
    scale: Scale | None = None


def pictures_of(result: KneeFolder, knee: dict) -> list[PictureRow]:
    """The rows of pictures of one knee: what Slicer drew, and of what it did not draw our own slices."""
    drawn = None
    rows = []
    for what, (title, file) in LAYERS.items():
        pictures = views_of(result, what, knee)
        if not pictures:
            drawn = drawn or JointSlices.of(result, knee)
            pictures = [] if drawn is None else drawn.pictures(result, what, file)
        if pictures:
            rows.append(PictureRow(title, pictures, *legend(result, what, file)))
    models = views_of(result, "models", knee)
    if models:
        rows.append(PictureRow(MODELS, models))
    return rows


def views_of(result: KneeFolder, what: str, knee: dict) -> list[Picture]:
    """The pictures that Slicer drew of one thing: `view_<what>_<place>_<side>.png`, in the order of `PLACES`."""
    longest = LARGE_PX if len(list(result.path.glob("view_*.png"))) <= FEW_VIEWS else SMALL_PX
    begin, end = f"view_{what}_", f"_{knee['side']}.png"
    found = {
        path.name.removeprefix(begin).removesuffix(end): path for path in sorted(result.path.glob(f"{begin}*{end}"))
    }
    known = [place for place in places_of(what) if place in found]
    order = [*known, *(place for place in found if place not in known)]
    words = places_of(what)
    return [Picture(words.get(place, place.replace("_", " ")), *shrunk(found[place], longest)) for place in order]


def places_of(what: str) -> dict[str, str]:
    """The places in the names of the views of one thing, with their captions."""
    if what != "models":
        return PLACES
    places = dict(MODEL_PLACES)
    for colour in ("compartments", "plate", "joint_space"):
        words = LAYERS[colour][0].lower()
        places |= {f"{colour}_{place}": f"{where}: {words}" for place, where in MODEL_PLACES.items()}
    return places


def legend(result: KneeFolder, what: str, file: str) -> tuple[list[tuple[str, str]], Scale | None]:
    """Swatches (colour, words), or the scale of a map."""
    if what == "bones":
        return [(css(colour), name) for name, colour in BONE_COLORS.items()], None
    if what == "compartments":
        return [(css(colour), name) for name, colour in SUBREGIONS.items()], None
    if what == "bands":
        bands = result.content["parameters"]["bands_mm"]
        return [(css(c), band_words(*band)) for c, band in zip(band_colors(len(bands)), bands, strict=True)], None
    return [], map_scale(result, what, file)


def map_scale(result: KneeFolder, what: str, file: str) -> Scale | None:
    if what == "joint_space":
        return joint_space_scale("Joint space width, mm", what)
    if result.file(file) is None:
        return None
    return even_scale("Thickness of the plate, mm", what, plate_ramp(), PLATE_TOP_MM)


def css(colour: np.ndarray | tuple[float, float, float]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*np.round(255 * np.asarray(colour)).astype(int))
