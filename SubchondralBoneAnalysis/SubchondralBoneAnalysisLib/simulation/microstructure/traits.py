"""What is asked of a trabecular structure."""

from __future__ import annotations

from dataclasses import dataclass

BV_TV = (0.05, 0.6)
TB_TH_MM = (0.05, 0.6)
ANISOTROPY = (1.0, 2.5)


@dataclass(frozen=True)
class StructureTraits:
    """The traits that a structure is made for; what it then has is measured, not taken from here.

    :param bv_tv: bone volume fraction, 0.05 to 0.6.
    :param tb_th_mm: mean trabecular thickness (Hildebrand and Ruegsegger) where the bone volume fraction is `bv_tv`.
    :param plate: 0 for rods, 1 for plates.
    :param anisotropy: how much longer the marrow spaces are along the z axis of the structure than across it; from 1.
    :raises ValueError: for a trait outside its range.
    """

    bv_tv: float
    tb_th_mm: float
    plate: float
    anisotropy: float

    def __post_init__(self) -> None:
        for name, (least, most) in {
            "bv_tv": BV_TV,
            "tb_th_mm": TB_TH_MM,
            "plate": (0.0, 1.0),
            "anisotropy": ANISOTROPY,
        }.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}: it must be from {least:g} to {most:g}")
