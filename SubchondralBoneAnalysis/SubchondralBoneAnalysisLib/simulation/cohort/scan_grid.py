"""How the axes of the images lie in the patient."""

from __future__ import annotations

# Sagittal slices as scanners store them: columns towards P, rows towards I, slices towards R.
MR_SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
