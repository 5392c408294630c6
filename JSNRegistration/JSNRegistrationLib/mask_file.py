"""Files of bone masks, drawn by people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from JointQuantLib.errors import BadInput


def read_mask(path: Path) -> np.ndarray:
    """A mask as float [row, column], larger inside the bone. Raises BadInput for a file that is no picture."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L") if picture.mode not in ("L", "I", "I;16", "F") else picture).astype(
                float
            )
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a mask: give a grey PNG, TIFF or BMP of its film.") from error
