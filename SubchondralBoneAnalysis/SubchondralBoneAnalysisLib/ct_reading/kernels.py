"""What a reconstruction kernel is for, by the names that the makers of scanners give them."""

from __future__ import annotations

import re

BONE, STANDARD, SOFT, UNKNOWN = "bone", "standard", "soft tissue", ""

# By number: Siemens B30f, Br64, Hr40, U70u ... count sharpness from 10 to 90.
SIEMENS = re.compile(r"(?:B|H|U|BR|BL|BV|BF|HR|HV|HC|QR|UR|UV|TR)(\d\d)[A-Z]*(?:[\\/_ .-].*)?")
SHARPEST_SOFT, SHARPEST_STANDARD = 35, 55
# By number: Canon and Toshiba FC01 ... FC86.
CANON = re.compile(r"FC(\d\d).*")
CANON_BONE = (30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 80, 81, 82, 83, 84, 85, 86)
CANON_SHARP = (4, 5, 9, 14, 15, 19, *range(50, 60))
NAMED = {
    BONE: ("BONE", "BONEPLUS", "BONE+", "EDGE", "EDGEPLUS", "ULTRA", "HD BONE", "YD", "YE", "D", "E", "LUNG", "YC"),
    STANDARD: ("STANDARD", "STND", "STD", "DETAIL", "CHST", "CHEST", "B", "YB", "C", "BODY", "IB", "IC"),
    SOFT: ("SOFT", "SMOOTH", "A", "YA", "IA", "CARDIAC", "EA", "EB"),
}


def kernel_class(name: str) -> str:
    """``bone``, ``standard`` or ``soft tissue``; empty where the name of the kernel is not known or not given."""
    name = name.strip().upper()
    siemens, canon = SIEMENS.fullmatch(name), CANON.fullmatch(name)
    if siemens:
        number = int(siemens[1])
        return SOFT if number <= SHARPEST_SOFT else STANDARD if number <= SHARPEST_STANDARD else BONE
    if canon:
        number = int(canon[1])
        return BONE if number in CANON_BONE else STANDARD if number in CANON_SHARP else SOFT
    return next((kind for kind, names in NAMED.items() if name in names), UNKNOWN)
