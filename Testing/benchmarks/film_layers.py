"""A real film taken apart into its two bones and all the rest, to be put together again with the bones moved.

A film shows the sum of what the beam met: along every ray the attenuations add, and so, nearly, do the grey values of a
film that was stored on a logarithmic scale. The soft tissue is filled in behind the drawn bones (Laplace's equation,
from what is seen around them); what the film shows above it is the layer of the bone that was drawn there. Where both
were drawn, each layer is continued smoothly from where its bone lies alone; what is left, edges and texture, goes to
the bone inside which it lies deeper. The three layers add up to the film exactly; each is then moved by itself, so the
stated motion is true for every point of it.

Nothing here is shared with the simulation or the training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from skimage.restoration import denoise_nl_means

from JSNRegistrationLib.motion import apply

PERCENTILES = (1, 99)  # of the film: 0 and 1 of the layers
GRAIN = 0.012  # of that contrast: about the grain of these films
SKIRT_PX = 4.0  # drawn regions are grown by this: the blur of the film and a loose hand carry the bone beyond them
EDGE_PX = 1.5  # over which a layer fades out
PAD_PX = 60  # the layers go on, mirrored, beyond the film: a bone that moves inwards has no cut end
MOST_DRAWN_TWICE = 0.05  # share of the smaller region: with more, nobody knows which bone shows what
SPLINE = 5


@dataclass(frozen=True)
class FilmLayers:
    """Layers of a film, float, padded by ``PAD_PX`` all round; 0 to 1 is the contrast of the film.

    ``rest``, ``upper`` and ``lower`` are spline coefficients (order ``SPLINE``); ``upper_depth`` and ``lower_depth``
    how deep a pixel lies inside the drawn region, in pixels, negative outside. ``shape`` is that of the film.
    """

    rest: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    upper_depth: np.ndarray
    lower_depth: np.ndarray
    shape: tuple[int, int]


def can_be_split(upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether the drawn regions (bool) lie apart far enough to say which bone shows what."""
    shared = np.count_nonzero(upper & lower)
    return shared <= MOST_DRAWN_TWICE * min(np.count_nonzero(upper), np.count_nonzero(lower))


def split(pixels: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> FilmLayers:
    """The layers of a film (grey values, bone bright) by the drawn regions of its bones (bool)."""
    black, white = np.percentile(pixels, PERCENTILES)
    film = denoise_nl_means(
        (pixels - black) / (white - black), patch_size=5, patch_distance=6, h=0.8 * GRAIN, sigma=GRAIN, fast_mode=True
    )
    depths = [_depth(drawn) for drawn in (upper, lower)]
    soft = _filled(film, np.maximum(*depths) > -(SKIRT_PX + EDGE_PX))
    bones = _shared_out(film - soft, *depths)
    layers = [np.pad(layer, PAD_PX, mode="symmetric") for layer in (film - bones[0] - bones[1], *bones)]
    splines = [ndimage.spline_filter(layer, order=SPLINE, mode="mirror") for layer in layers]
    return FilmLayers(*splines, *(np.pad(depth, PAD_PX, mode="symmetric") for depth in depths), film.shape)


def composed(layers: FilmLayers, rest: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The film (0 to 1) whose layers have moved; motions (2 x 3, any linear part) from the film to the moved film."""
    parts = ((layers.rest, rest), (layers.upper, upper), (layers.lower, lower))
    return sum(_moved(layer, motion, layers.shape, SPLINE) for layer, motion in parts)


def region(depth: np.ndarray, motion: np.ndarray, shape: tuple[int, int], shaken: np.ndarray | None) -> np.ndarray:
    """The region of a moved bone (bool). ``shaken`` (rows, columns, 2) displaces its outline, in pixels (x, y)."""
    return _moved(depth, motion, shape, 1, shaken) > 0


def _moved(padded: np.ndarray, motion: np.ndarray, shape, order: int, shaken: np.ndarray | None = None) -> np.ndarray:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    points = np.stack([columns, rows], axis=-1).astype(float)
    if shaken is not None:
        points = points + shaken
    back = np.linalg.inv(np.vstack([motion, [0.0, 0.0, 1.0]]))[:2]
    x, y = np.moveaxis(apply(back, points) + PAD_PX, -1, 0)
    return ndimage.map_coordinates(padded, [y, x], order=order, mode="mirror", prefilter=False)


def _depth(drawn: np.ndarray) -> np.ndarray:
    """Distance to the outline in pixels, positive inside; an outline that runs along the film's border is none."""
    drawn = np.pad(drawn[2:-2, 2:-2], 2, mode="edge")
    return ndimage.distance_transform_edt(drawn) - ndimage.distance_transform_edt(~drawn)


def _shared_out(excess: np.ndarray, upper_depth: np.ndarray, lower_depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What lies above the soft tissue, as the layer of the upper and that of the lower bone."""
    solid = [1.0 / (1.0 + np.exp(-(depth + SKIRT_PX) * 4.0 / EDGE_PX)) for depth in (upper_depth, lower_depth)]
    alone = [own * (1.0 - other) for own, other in (solid, solid[::-1])]
    both = solid[0] * solid[1]
    shared = both > 0.02
    if not shared.any():
        return alone[0] * excess, alone[1] * excess
    first, second = (
        _filled(np.where(depth > -SKIRT_PX, excess, 0.0), shared) * own
        for depth, own in zip((upper_depth, lower_depth), solid, strict=True)
    )
    left = excess - first - second
    deeper = 1.0 / (1.0 + np.exp(-(upper_depth - lower_depth) / EDGE_PX))
    return (
        alone[0] * excess + both * (first + deeper * left),
        alone[1] * excess + both * (second + (1.0 - deeper) * left),
    )


def _filled(film: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The film with a hole filled by the solution of Laplace's equation; nothing flows over the border of the film."""
    number = np.full(film.shape, -1)
    number[hole] = np.arange(np.count_nonzero(hole))
    count = np.zeros(film.shape)
    rows, columns, known = [], [], np.zeros(film.shape)
    for axis in (0, 1):
        for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            a, b = ((here, slice(None)), (there, slice(None))) if axis == 0 else ((..., here), (..., there))
            count[a] += 1
            inner = hole[a] & hole[b]
            rows.append(number[a][inner])
            columns.append(number[b][inner])
            known[a] += np.where(hole[b], 0.0, film[b])
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    size = np.count_nonzero(hole)
    laplace = sparse.diags(count[hole]) - sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (size, size))
    filled = film.copy()
    filled[hole] = spsolve(laplace.tocsc(), known[hole])
    return filled
