"""What the numbers are called and how they are written: unit, decimals, interval, finding. No arithmetic on films."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum

MINUS = "\N{MINUS SIGN}"
Z95 = 1.96  # half width of a 95 % interval in standard errors


class Finding(Enum):
    """What a reader may say about a joint after one look. The value is also the CSS class."""

    NARROWED = "narrowed"
    WIDENED = "widened"
    UNCHANGED = "unchanged"
    DOUBTFUL = "doubtful"
    NOT_MEASURABLE = "not-measurable"

    @property
    def words(self) -> str:
        return {
            Finding.NARROWED: "narrowed",
            Finding.WIDENED: "widened",
            Finding.UNCHANGED: "no change shown",
            Finding.DOUBTFUL: "doubtful",
            Finding.NOT_MEASURABLE: "not measurable",
        }[self]

    @property
    def symbol(self) -> str:
        """A sign beside the colour, so that no meaning hangs on colour alone."""
        return {
            Finding.NARROWED: "▼",
            Finding.WIDENED: "▲",
            Finding.UNCHANGED: "●",
            Finding.DOUBTFUL: "?",
            Finding.NOT_MEASURABLE: "×",
        }[self]


@dataclass(frozen=True)
class Quantity:
    """A change with its 95 % interval in one unit."""

    value: float
    interval: tuple[float, float] | None
    unit: str

    @property
    def decimals(self) -> int:
        """Two, or three where rounding to two would hide on which side of zero the interval ends."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return 2
        nearest = min(self.interval, key=abs)
        return 3 if abs(nearest) < 0.005 else 2

    @property
    def number(self) -> str:
        return signed(self.value, self.decimals)

    @property
    def range(self) -> str:
        """The interval as "−0.40 to −0.22"; empty where it is unknown."""
        if self.interval is None:
            return ""
        return " to ".join(signed(bound, self.decimals) for bound in self.interval)


def signed(value: float, decimals: int = 2) -> str:
    """A change: always with its sign, except zero itself."""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def plain(value: float, decimals: int = 2) -> str:
    """A length or a figure: a sign only where it is negative."""
    text = f"{abs(value):.{decimals}f}"
    return text if value >= 0 or float(text) == 0 else MINUS + text


def change_of(pair: dict) -> Quantity | None:
    """Change of the joint space in mm, in px where the spacing is unknown, None where it was not measured."""
    return None if pair["verdict"] == "not_measurable" else mean_change_of(pair)


def mean_change_of(pair: dict) -> Quantity | None:
    """Mean change of a hand in mm, in px where the spacing is unknown, None where too few joints were measured."""
    for unit in ("mm", "px"):
        if pair.get(f"change_{unit}") is not None:
            return Quantity(pair[f"change_{unit}"], interval_of(pair, f"interval_{unit}"), unit)
    return None


def yearly_change_of(pair: dict) -> Quantity | None:
    """Change per year in mm; None where dates or spacing are unknown or nothing was measured."""
    if pair.get("verdict") == "not_measurable" or pair.get("change_per_year_mm") is None:
        return None
    return Quantity(pair["change_per_year_mm"], interval_of(pair, "change_per_year_interval_mm"), "mm/year")


def detectable_words(pair: dict) -> str:
    """The smallest detectable change of a joint and whether its change is larger; empty where it is unknown."""
    for unit, decimals in (("mm", 3), ("px", 2)):
        if pair.get(f"sdc_{unit}") is not None:
            return f"{plain(pair[f'sdc_{unit}'], decimals)} {unit}, {'' if pair['beyond_sdc'] else 'not '}exceeded"
    return ""


def interval_of(pair: dict, key: str) -> tuple[float, float] | None:
    interval = pair.get(key)
    if interval is None or any(bound is None for bound in interval):
        return None
    return float(interval[0]), float(interval[1])


def finding_of(pair: dict) -> Finding:
    """Narrowed or widened only where the verdict is "measured" and the whole interval lies on one side of zero."""
    change = change_of(pair)
    if change is None:
        return Finding.NOT_MEASURABLE
    if pair["verdict"] != "measured":
        return Finding.DOUBTFUL
    if change.interval is None or change.interval[0] <= 0 <= change.interval[1]:
        return Finding.UNCHANGED
    return Finding.NARROWED if change.value < 0 else Finding.WIDENED


@dataclass(frozen=True)
class Width:
    """Width of the joint space in one film, with half of its 95 % interval (None where unknown)."""

    value: float
    half_interval: float | None
    unit: str

    @property
    def number(self) -> str:
        if self.half_interval is None:
            return plain(self.value)
        return f"{plain(self.value)} ± {plain(self.half_interval)}"


def width_at(joint: dict, visit: int) -> Width | None:
    """Absolute width at a visit in mm, in px where the spacing is unknown, None where it was not found."""
    place = joint["visits"][visit]
    for unit in ("mm", "px"):
        if place.get("found") and place.get(f"width_{unit}") is not None:
            se = place.get(f"width_se_{unit}")
            return Width(place[f"width_{unit}"], None if se is None else Z95 * se, unit)
    return None


ROWS_OF_THE_HAND = {"MCP": 0, "PIP": 1, "IP": 1, "DIP": 2}  # proximal to distal


def place_in_hand(name: str) -> tuple[int, str]:
    """Sorting key of a joint: proximal to distal, from the thumb to the little finger."""
    kind = name.rstrip("0123456789")
    return ROWS_OF_THE_HAND.get(kind, len(ROWS_OF_THE_HAND)), name[len(kind) :]


def visit_name(visits: list[dict], index: int) -> str:
    date = visits[index].get("date")
    return f"Visit {index + 1}" + (f" ({date})" if date else "")


def interval_between(first: str | None, last: str | None) -> str | None:
    """Time between two ISO dates in words; None where a date is unknown."""
    if not first or not last:
        return None
    days = (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days
    if abs(days) < 60:
        return f"{plain(days, 0)} days"
    if abs(days) < 700:
        return f"{plain(days / 30.44, 0)} months ({plain(days, 0)} days)"
    return f"{plain(days / 365.25, 1)} years"


def spacing_words(visit: dict) -> str:
    """Pixel spacing of a film and where it comes from."""
    if visit.get("spacing_mm") is None:
        return "unknown"
    source = {"user": "given by the user"}.get(visit["spacing_source"], f"from {visit['spacing_source']}")
    return f"{visit['spacing_mm']:.4g} mm per pixel, {source}"


def side_words(visit: dict) -> str | None:
    """Which hand a film shows and that it is turned, as far as it is known; None where nothing is."""
    hands = visit.get("hands") or []
    turned = ", oblique view" if any(hand["view"] == "oblique" for hand in hands) else ""
    side = "left and right" if len(hands) > 1 else visit.get("side")
    return f"{side or 'unknown'}{turned}" if side or turned else None


QUALITY_WORDS = {
    "similarity_upper": "Similarity of the distal bone after registration (1 = identical)",
    "similarity_lower": "Similarity of the proximal bone after registration (1 = identical)",
    "texture": "Correlation of the trabecular texture inside a bone, the worse one (1 = identical)",
    "mismatch_probability": "Probability of a mismatch, if 2 % of all joints were mismatched (0 to 1)",
    "loss_before": "Mean loss before registration (0 to 1)",
    "loss_after": "Mean loss after registration (0 to 1)",
    "forward_backward_px": "Disagreement of registering there and back (pixels)",
    "relative_rotation_deg": "Rotation of the distal against the proximal bone (degrees)",
    "magnification": "Magnification of the later film",
}


def quality_rows(quality: dict | None) -> list[tuple[str, str]]:
    """Every quality figure with its name in words; figures without a name of their own keep their key."""
    return [(QUALITY_WORDS.get(key, key), figure(value)) for key, value in (quality or {}).items() if value is not None]


def figure(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(value).replace("-", MINUS) if isinstance(value, int) else plain(value, 3)
