"""Which of a film's spacing tags may be believed, and for which plane.

A radiograph is a shadow: an object above the detector is drawn larger than it is. DICOM therefore keeps two numbers,
the spacing at the detector (Imager Pixel Spacing, or Nominal Scanned Pixel Spacing of a digitised film) and the spacing
at the patient (Pixel Spacing), and says how to tell them apart (PS3.3 section 10.7.1). The rules, first match wins:

==========================================  =====================================================================
what the file holds                         spacing, and what ``source`` says
==========================================  =====================================================================
a spacing given by the user                 that one: ``user``
Pixel Spacing, differing from the           Pixel Spacing, at the patient: ``PixelSpacing (GEOMETRY)``,
detector's spacing                          ``PixelSpacing (FIDUCIAL)`` or ``PixelSpacing (calibrated)``
Pixel Spacing with a calibration type,      Pixel Spacing, at the patient: ``PixelSpacing (GEOMETRY)`` or
no detector spacing                         ``PixelSpacing (FIDUCIAL)``
a detector spacing, alone or equal to       the detector's: ``ImagerPixelSpacing`` or ``NominalScannedPixelSpacing``
Pixel Spacing
Pixel Spacing alone, no calibration type    taken as the detector's: ``PixelSpacing (calibration not stated)``
none of them                                none: ``unknown``
==========================================  =====================================================================

A spacing at the detector is divided by the Estimated Radiographic Magnification Factor where the file has one
(``ImagerPixelSpacing / ERMF 1.05``); one at the patient never is, for it is corrected already.
A Secondary Capture looks first for Nominal Scanned Pixel Spacing, every other film for Imager Pixel Spacing.

The ratio of Distance Source to Detector to Distance Source to Patient is *not* used as a magnification: the second
distance reaches to the table or support and not to the bone, and is often a fixed setting of the machine. Only the
factor that the machine itself calls an estimate of the magnification is.

Resolution tags of PNG, TIFF, BMP and JPEG are not read at all: they say how large to print a picture, programs fill in
72 or 96 dots per inch unasked, and none of them knows where the detector was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from JointQuantLib.errors import BadInput

SMALLEST_MM = 0.01
LARGEST_MM = 2.0
# Decimal strings are rounded: two spacings that differ by less are the same spacing, and a pixel is square.
SAME = 1e-3
# Beyond these the detector and patient spacings of one film cannot both be right for a hand lying on its cassette.
PLAUSIBLE_MAGNIFICATION = (0.98, 1.5)
# An ERMF below one puts the hand behind the detector; two puts it half way to the tube.
POSSIBLE_FACTOR = (1.0 - SAME, 2.0)

CALIBRATION_TYPES = ("GEOMETRY", "FIDUCIAL")

Pair = tuple[float, float]


@dataclass(frozen=True)
class SpacingTags:
    """The spacing attributes of one file, as they stand: (row, column) spacing in mm, not a number where unreadable."""

    pixel_spacing: Pair | None = None
    calibration_type: str = ""
    imager_pixel_spacing: Pair | None = None
    nominal_scanned_pixel_spacing: Pair | None = None
    magnification_factor: float | None = None
    aspect_ratio: Pair | None = None
    secondary_capture: bool = False

    @property
    def detector(self) -> tuple[str, Pair] | None:
        """Name and value of the spacing at the detector, or at the film that was scanned."""
        imager = ("ImagerPixelSpacing", self.imager_pixel_spacing)
        scanned = ("NominalScannedPixelSpacing", self.nominal_scanned_pixel_spacing)
        for name, value in (scanned, imager) if self.secondary_capture else (imager, scanned):
            if value is not None:
                return name, value
        return None


@dataclass(frozen=True)
class PixelSpacing:
    """The spacing to measure with, and where it comes from. ``mm`` is None where nothing is known."""

    mm: float | None
    source: str
    warnings: tuple[str, ...] = ()


def choose_spacing(tags: SpacingTags, user_mm: float | None, film: str) -> PixelSpacing:
    """Choose the pixel spacing of a film by the rules above.

    :param tags: what the file says; an empty ``SpacingTags()`` for a plain picture.
    :param user_mm: the spacing given by the user, in mm, or None.
    :param film: how messages name the film.
    :raises BadInput: the chosen spacing is zero, negative, absurd, or not the same along rows and columns.
    """
    if user_mm is not None:
        return _from_user(tags, user_mm, film)
    if tags.pixel_spacing is not None:
        in_file = _square("Pixel Spacing", tags.pixel_spacing, film)
        type_word = tags.calibration_type if tags.calibration_type in CALIBRATION_TYPES else ""
        if tags.detector is None:
            if type_word:
                return PixelSpacing(in_file, f"PixelSpacing ({type_word})")
            return _at_patient(in_file, "PixelSpacing (calibration not stated)", tags, film)
        at_detector = _square(_words(tags.detector[0]), tags.detector[1], film)
        if not math.isclose(in_file, at_detector, rel_tol=SAME):
            warnings = _doubts(at_detector / in_file)
            return PixelSpacing(in_file, f"PixelSpacing ({type_word or 'calibrated'})", warnings)
    if tags.detector is not None:
        name, pair = tags.detector
        return _at_patient(_square(_words(name), pair, film), name, tags, film)
    _refuse_oblong_pixels(tags, film)
    return PixelSpacing(None, "unknown")


def _from_user(tags: SpacingTags, user_mm: float, film: str) -> PixelSpacing:
    if not _plausible(user_mm):
        raise BadInput(
            f"The pixel spacing {user_mm:g} mm given for {film} is not possible: give the distance between pixel "
            f"centres in millimetres, between {SMALLEST_MM:g} and {LARGEST_MM:g}."
        )
    _refuse_oblong_pixels(tags, film)
    return PixelSpacing(float(user_mm), "user")


def _at_patient(detector_mm: float, source: str, tags: SpacingTags, film: str) -> PixelSpacing:
    """Divide a spacing at the detector by the magnification that the machine estimated, if it did."""
    factor = tags.magnification_factor
    if factor is None:
        return PixelSpacing(detector_mm, source)
    low, high = POSSIBLE_FACTOR
    if not low <= factor <= high:
        raise BadInput(
            f"{film} states a radiographic magnification factor of {factor:g}, which is not possible for a hand: "
            f"give the true pixel spacing with --spacing."
        )
    return PixelSpacing(detector_mm / factor, f"{source} / ERMF {factor:.6g}")


def _square(tag: str, pair: Pair, film: str) -> float:
    """The one spacing of square pixels, in mm."""
    if not all(_plausible(value) for value in pair):
        raise BadInput(
            f"{film} states a {tag} of {pair[0]:g} x {pair[1]:g} mm, which is not possible for a radiograph: "
            f"give the true pixel spacing with --spacing."
        )
    if not math.isclose(*pair, rel_tol=SAME):
        raise BadInput(
            f"{film} has pixels that are not square ({tag} {pair[0]:g} x {pair[1]:g} mm): "
            f"resample the film to square pixels first."
        )
    return (pair[0] + pair[1]) / 2


def _refuse_oblong_pixels(tags: SpacingTags, film: str) -> None:
    """One number from the user cannot describe an oblong pixel, so a sound tag that says oblong is believed."""
    pairs = (
        ("Pixel Spacing", tags.pixel_spacing),
        ("Imager Pixel Spacing", tags.imager_pixel_spacing),
        ("Nominal Scanned Pixel Spacing", tags.nominal_scanned_pixel_spacing),
    )
    for tag, pair in pairs:
        if pair is not None and all(_plausible(value) for value in pair):
            _square(tag, pair, film)
    ratio = tags.aspect_ratio
    if ratio is not None and min(ratio) > 0 and not math.isclose(*ratio, rel_tol=SAME):
        raise BadInput(
            f"{film} has pixels that are not square (Pixel Aspect Ratio {ratio[0]:g} : {ratio[1]:g}): "
            f"resample the film to square pixels first."
        )


def _doubts(magnification: float) -> tuple[str, ...]:
    low, high = PLAUSIBLE_MAGNIFICATION
    if low <= magnification <= high:
        return ()
    doubt = (
        f"its detector spacing is {magnification:.3g} times its Pixel Spacing, an unlikely magnification for a hand; "
        f"check the millimetres, or give --spacing"
    )
    return (doubt,)


def _plausible(mm: float) -> bool:
    return SMALLEST_MM <= mm <= LARGEST_MM


def _words(keyword: str) -> str:
    return {
        "ImagerPixelSpacing": "Imager Pixel Spacing",
        "NominalScannedPixelSpacing": "Nominal Scanned Pixel Spacing",
    }[keyword]
