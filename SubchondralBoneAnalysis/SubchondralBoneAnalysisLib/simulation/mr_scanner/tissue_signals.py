"""How bright a tissue is in a sequence: the steady states and the spin echo, at 3 T and at 1.5 T.

Relaxation times are those of the knee as they are commonly measured at 3 T (T1 and T2 of cartilage near 1200 and 37 ms,
of muscle 1400 and 32 ms, of fat 370 and 130 ms; T2 of cartilage 36 and of muscle 34 ms in Pai, Li and Majumdar, Magn
Reson Imaging 26:1215, 2008); those of tissues that give little signal, and all proton densities, were chosen so that
the pictures look as real ones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

TISSUES = ("air", "skin", "fat", "muscle", "tendon", "fluid", "cartilage", "meniscus", "cortex", "marrow")
Kind = Literal["bffe", "dess", "pd"]
T1_AT_1_5_TESLA = 0.8  # of what it is at 3 T, in water
LONGEST_T2_MS = 250.0  # that counts where gradients are not balanced: diffusion and flow spoil what lasts longer


@dataclass(frozen=True)
class Protons:
    """One kind of protons of a tissue: how many, and T1 and T2 in ms at 3 T."""

    density: float
    t1_ms: float
    t2_ms: float


@dataclass(frozen=True)
class Tissue:
    """What of a tissue is water and what is fat; a bone's marrow at the joint is mostly fat."""

    water: Protons
    fat: Protons


LIPID = Protons(0.0, 370.0, 130.0)


def _tissue(density: float, t1_ms: float, t2_ms: float, fat: float = 0.0) -> Tissue:
    return Tissue(Protons(density, t1_ms, t2_ms), Protons(fat, LIPID.t1_ms, LIPID.t2_ms))


TISSUE_PROTONS: Mapping[str, Tissue] = MappingProxyType(
    {
        "air": _tissue(0.0, 1000.0, 1.0),
        "skin": _tissue(0.50, 1000.0, 10.0),
        "fat": _tissue(0.05, 1000.0, 30.0, fat=0.90),
        "muscle": _tissue(0.77, 1400.0, 32.0, fat=0.03),
        "tendon": _tissue(0.55, 800.0, 2.0),
        "fluid": _tissue(1.00, 3600.0, 700.0),
        "cartilage": _tissue(0.75, 1150.0, 38.0),
        "meniscus": _tissue(0.60, 1100.0, 5.5),
        "cortex": _tissue(0.15, 250.0, 0.4),
        "marrow": _tissue(0.05, 1000.0, 20.0, fat=0.80),
    }
)


def tissue_signals(
    kind: Kind, tr_ms: float, te_ms: float, flip_deg: float, fat_left: float = 1.0, tesla: float = 3.0
) -> dict[str, tuple[float, float]]:
    """Signal of the (water, fat) of each tissue; 1 is the brightest one but fluid.

    :param kind: "bffe" is the balanced steady state on resonance, "dess" the root of the sum of squares of both echoes
        of an unbalanced one, "pd" a spin echo with long TR (its `te_ms` is the effective one; the flip is not used).
    :param fat_left: part of the signal of fat that its suppression leaves, 1 without.
    """
    sequence = {"bffe": _balanced, "dess": _both_echoes, "pd": _spin_echo}[kind]
    slow = 1.0 if tesla >= 2.0 else T1_AT_1_5_TESLA
    signals = {}
    for name, tissue in TISSUE_PROTONS.items():
        water, fat = (
            protons.density * sequence(tr_ms, te_ms, np.deg2rad(flip_deg), protons.t1_ms * longer, protons.t2_ms)
            for protons, longer in ((tissue.water, slow), (tissue.fat, 1.0))
        )
        signals[name] = (water, fat_left * fat)
    brightest = max(water + fat for name, (water, fat) in signals.items() if name != "fluid")
    return {name: (float(water / brightest), float(fat / brightest)) for name, (water, fat) in signals.items()}


def _balanced(tr: float, te: float, flip: float, t1: float, t2: float) -> float:
    """Balanced steady state on resonance, alternating pulses (Scheffler and Lehnhardt, Eur Radiol 13:2409, 2003)."""
    e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
    return np.sin(flip) * (1.0 - e1) / (1.0 - (e1 - e2) * np.cos(flip) - e1 * e2) * np.exp(-te / t2)


def _both_echoes(tr: float, te: float, flip: float, t1: float, t2: float) -> float:
    """The echo `te` after the pulse and the one `te` before it (Gyngell, Magn Reson Imaging 6:415, 1988), added as DESS
    does."""
    t2 = min(t2, LONGEST_T2_MS)
    e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
    cos = np.cos(flip)
    p = 1.0 - e1 * cos - e2**2 * (e1 - cos)
    q = e2 * (1.0 - e1) * (1.0 + cos)
    root = (1.0 - e2**2) / np.sqrt(p**2 - q**2)
    after = np.tan(0.5 * flip) * (1.0 - (e1 - cos) * root) * np.exp(-te / t2)
    before = np.tan(0.5 * flip) * (1.0 - (1.0 - e1 * cos) * root) * np.exp(te / t2)
    return np.hypot(after, max(before, 0.0))


def _spin_echo(tr: float, te: float, _flip: float, t1: float, t2: float) -> float:
    return (1.0 - np.exp(-tr / t1)) * np.exp(-te / t2)
