"""How bright bone is at another tube voltage."""

from __future__ import annotations

import numpy as np

from JointQuantLib.errors import BadInput

# Mass attenuation in cm2/g at keV: tables of NIST (X-Ray Mass Attenuation Coefficients), cortical bone of ICRU-44 and
# water.
KEV = (50.0, 60.0, 80.0)
BONE_CM2_PER_G, WATER_CM2_PER_G = (0.4242, 0.3148, 0.2229), (0.2269, 0.2059, 0.1837)
BONE_G_PER_CM3 = 1.92
# One energy that stands for the beam behind a knee, chosen so that bone has 1750 HU at 120 kVp.
EFFECTIVE_KEV = {80.0: 53.0, 100.0: 60.0, 120.0: 65.0, 140.0: 69.0}


def solid_bone_hu(kvp: float) -> float:
    """HU of solid bone at a tube voltage.

    :raises BadInput: a voltage that is not 80, 100, 120 or 140 kVp.
    """
    if kvp not in EFFECTIVE_KEV:
        raise BadInput(f"a CT at {kvp:g} kVp cannot be simulated: give one of 80, 100, 120 or 140.")
    at = np.log(EFFECTIVE_KEV[kvp])
    bone, water = (np.exp(np.interp(at, np.log(KEV), np.log(table))) for table in (BONE_CM2_PER_G, WATER_CM2_PER_G))
    return float(1000.0 * (BONE_G_PER_CM3 * bone / water - 1.0))
