"""Files of bone masks, drawn by people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from JointQuantLib.errors import BadInput


def read_mask(path: Path) -> np.ndarray:
    """A mask as float [row, column], larger inside the bone. Raises BadInput for a file that is no picture."""
    try:
        with Image.open(path) as picture:
            grey = picture if picture.mode in ("L", "I", "I;16", "F") else picture.convert("L")
            mask = np.asarray(grey).astype(float)
    except Exception as error:  # Pillow's parsers raise almost anything on damaged bytes, SyntaxError included
        raise BadInput(f"{path} cannot be read as a mask: give a grey PNG, TIFF or BMP of its film.") from error
    if not np.isfinite(mask).all():
        raise BadInput(f"{path} has pixels without a value: draw the mask with 0 outside the bone and 255 inside.")
    return mask
