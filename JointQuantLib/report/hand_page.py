"""The page of a hand result: which joint spaces changed, with the pictures that show it."""

from __future__ import annotations

from pathlib import Path

from JointQuantLib.loss_colors import FULL_LOSS_MM
from JointQuantLib.weights import TRAINED_ON_SIMULATED

from .overview import describe_overview, draw_hand
from .pictures import LOSS_STEPS, loss_palette, shrunk
from .results import HandResult, read_result
from .sections import describe_joints
from .template import flat, render_template
from .wording import Finding, interval_between, side_words, spacing_words, visit_name


def render_hand(folder: Path) -> str:
    """The page of the result folder of a hand job. Raises BadInput where the folder is not one."""
    result = read_result(folder)
    overview = describe_overview(result)
    visits = result.visits
    return render_template(
        "hand.html.jinja",
        title=title_of(result),
        result=result.content,
        visits=[
            visit | {"name": visit_name(visits, n), "spacing": spacing_words(visit), "side": side_words(visit)}
            for n, visit in enumerate(visits)
        ],
        elapsed=interval_between(visits[0].get("date"), visits[-1].get("date")),
        unspaced=[str(n + 1) for n, visit in enumerate(visits) if visit.get("spacing_mm") is None],
        overview=overview,
        hand=draw_hand(result, overview),
        views=whole_film_views(result),
        joints=describe_joints(result),
        compared=[(f"{i + 1} to {j + 1}") for i, j in result.visit_pairs()],
        learned=TRAINED_ON_SIMULATED in (result.content.get("parameters") or {}).get("method", ""),
        guided=any(pair.get("registered_by") == "network" for joint in result.joints for pair in joint["pairs"]),
        loss_stops=loss_stops(),
        full_loss_mm=FULL_LOSS_MM,
        parameters=flat(result.content.get("parameters") or {}),
        Finding=Finding,
    )


def title_of(result: HandResult) -> str:
    sides = {visit.get("side") for visit in result.visits} | {joint.get("side") for joint in result.joints}
    sides.discard(None)
    if [joint["name"] for joint in result.joints] == ["JOINT"]:
        return "Joint space change of one joint"
    if result.sides:
        return "Joint space change of both hands"
    return "Joint space change" + (f", {sides.pop()} hand" if len(sides) == 1 else " of one hand")


def whole_film_views(result: HandResult) -> list[dict]:
    """The slice views of the whole film before and after, of the pair that the summary shows; none where not drawn."""
    pairs = result.visit_pairs()
    if not pairs:
        return []
    i, j = pairs[0]
    names = {"before": "registration of the joint as a whole", "after": "registration of every bone by itself"}
    drawn = [(words, shrunk(result.folder / f"view_{i}_{j}_{when}.png")) for when, words in names.items()]
    return [
        {"caption": f"Loss after {words}", "address": view[0], "width": view[1], "height": view[2]}
        for words, view in drawn
        if view is not None
    ]


def loss_stops() -> list[tuple[float, str]]:
    """Stops of the colour bar: percent along it and the colour, taken from the palette of the maps."""
    colours = loss_palette()[:LOSS_STEPS]
    steps = range(33)
    return [(100 * n / 32, "#{:02x}{:02x}{:02x}".format(*colours[round(n / 32 * (LOSS_STEPS - 1))])) for n in steps]
