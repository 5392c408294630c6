"""A projected network of trabeculae: an oriented, band-limited random field whose ridges are the struts."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage


def strut_texture(
    shape: tuple[int, int],
    pitch_mm: float,
    rng: np.random.Generator,
    *,
    spacing_mm: float = 0.75,
    elongation: float = 3.3,
    patchiness: float = 0.25,
) -> np.ndarray:
    """Relative mineral density of one slab of spongiosa, mean 1, never negative; float32, rows along the bone.

    Two networks are added: struts along the bone (`elongation` times longer than wide), `spacing_mm` apart, and weaker
    cross-links in every direction; `patchiness` is the standard deviation of the slow change of density.
    """
    rows, columns = (fft.next_fast_len(n) for n in shape)
    k_u = fft.fftfreq(rows, pitch_mm)[:, None]
    k_v = fft.rfftfreq(columns, pitch_mm)[None, :]
    centre = 1.0 / spacing_mm

    def ring(stretch: float, k0: float, width: float) -> np.ndarray:
        radius = np.sqrt((k_u * stretch) ** 2 + k_v**2)
        noise = fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
        band = np.exp(-0.5 * ((radius - k0) / width) ** 2)
        out = fft.irfft2(noise * band, s=(rows, columns))
        return (out / out.std()).astype(np.float32)

    along = ring(elongation, 0.75 * centre, 0.3 * centre)
    across = ring(1.0, 0.7 * centre, 0.3 * centre)
    # the zero crossings of a band-limited field form a connected net of lines: the struts
    struts = np.exp(-((along / 0.45) ** 2)) + 0.55 * np.exp(-((across / 0.35) ** 2))
    slow = fft.irfft2(
        fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
        * np.exp(-2 * (np.pi * 1.2) ** 2 * (k_u**2 * 4 + k_v**2)),
        s=(rows, columns),
    )
    field = struts * np.exp(patchiness * slow / slow.std())
    field = field[: shape[0], : shape[1]]
    return (field / field.mean()).astype(np.float32)


def fanned(texture: np.ndarray, half_width_mm: np.ndarray, v_mm: np.ndarray) -> np.ndarray:
    """Bend the struts so that they follow the outline: they spread where the bone widens.

    half_width_mm has one value a row; the texture is read at v * (median width / width of the row).
    """
    reference = float(np.median(half_width_mm))
    pitch = v_mm[1] - v_mm[0]
    stretch = (reference / np.maximum(half_width_mm, 0.3 * reference))[:, None] ** 0.7
    columns = (v_mm[None, :] * stretch - v_mm[0]) / pitch
    rows = np.broadcast_to(np.arange(texture.shape[0])[:, None], columns.shape)
    return ndimage.map_coordinates(texture, [rows, columns], order=1, mode="grid-wrap").astype(np.float32)
