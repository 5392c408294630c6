"""Other programs' local thickness: diameters in voxels, float [k, j, i], 0 outside the structure. Voxels are cubes."""

from __future__ import annotations

import numpy as np


def porespy_diameter(structure: np.ndarray, method: str = "bf", sizes: int | None = None) -> np.ndarray:
    """porespy gives radii."""
    from porespy.filters import local_thickness

    chosen = {} if sizes is None else {"sizes": sizes}
    return 2 * np.asarray(local_thickness(structure, method=method, **chosen))


def localthickness_diameter(structure: np.ndarray, scale: float = 1) -> np.ndarray:
    """localthickness gives radii, too."""
    from localthickness import local_thickness

    return 2 * local_thickness(structure, scale=scale)
