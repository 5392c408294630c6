"""The local thickness on a GPU, by PyTorch: the same whole numbers as on the CPU, voxel for voxel.

The same three steps, each in a form that suits a GPU: distances by shifted minima of the whole volume, the needed
spheres by comparison with all neighbours at once, and painting from the smallest sphere to the largest, so that the
largest is what remains.
"""

from __future__ import annotations

import numpy as np
import torch

from SubchondralBoneAnalysisLib.local_thickness.distance_map import SHORT, UNKNOWN, cap_of, types_for
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.spheres import KINDS, SphereTables

AT_ONCE = 2**26  # voxels painted in one call: half a gigabyte of indices
SIGNS = 1 - 2 * np.array(list(np.ndindex(2, 2, 2)))


def thickness_by_torch(codes: np.ndarray, phase: int, lattice: Lattice, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Squared radius of the largest sphere that holds each voxel, and of the one around the voxel itself, [k, j, i].

    Values and types are those of the CPU's form; codes, phase and what is raised too.
    """
    wide = types_for(lattice, codes.shape)[-1]
    cap = cap_of(wide)
    volume = torch.from_numpy(np.ascontiguousarray(codes)).to(device)
    squared = squared_distances(volume == 1 - phase, lattice.weights, cap)
    widest = int(squared.max())
    if widest >= cap:
        raise ValueError("there is no voxel of the other phase, so there is no surface to measure to")
    fits = len(types_for(lattice, codes.shape)) > 1 and widest < cap_of(SHORT)
    squared[volume == UNKNOWN] = 0
    dtype = SHORT if fits else wide
    widest = int(squared.max())
    if widest == 0:
        return (np.zeros(codes.shape, dtype),) * 2
    tables = SphereTables.up_to(widest, lattice)
    radius = painted(squared, needed_centres(squared, tables), lattice.weights, tables.reach_of(widest))
    radius[volume == UNKNOWN] = 0  # a sphere may reach over what is not known
    return radius.cpu().numpy().astype(dtype), squared.cpu().numpy().astype(dtype)


def squared_distances(surface: torch.Tensor, weights: tuple[int, int, int], cap: int) -> torch.Tensor:
    """Squared distances [k, j, i] to the nearest true voxel, `cap` where there is none."""
    dtype = torch.int32 if cap < 2**31 else torch.int64
    width = surface.shape[2]
    place = torch.arange(width, device=surface.device)
    before = torch.where(surface, place, -(2**30)).cummax(dim=2).values
    after = torch.where(surface, width - 1 - place, -(2**30)).flip(2).cummax(dim=2).values.flip(2)
    away = torch.minimum(place - before, width - 1 - place - after)
    squared = torch.where(away < 2**29, (away**2 * weights[2]).clamp(max=cap), cap).to(dtype)
    for axis in (1, 0):
        squared = _smallest_along(squared, axis, weights[axis], cap)
    return squared


def _smallest_along(squared: torch.Tensor, axis: int, weight: int, cap: int) -> torch.Tensor:
    smallest = squared.clone()
    length = squared.shape[axis]
    for step in range(1, length):
        rise = weight * step * step
        if rise >= int(smallest.max()):
            break
        raised = squared.clamp(max=cap - rise) + rise
        for to, of in ((step, 0), (0, step)):
            here = smallest.narrow(axis, to, length - step)
            torch.minimum(here, raised.narrow(axis, of, length - step), out=here)
    return smallest


def needed_centres(squared: torch.Tensor, tables: SphereTables) -> torch.Tensor:
    """Places (n, 3) of all voxels whose sphere none around a neighbour holds."""
    framed = torch.nn.functional.pad(squared, (1, 1, 1, 1, 1, 1))
    _, height, width = framed.shape
    flat = framed.reshape(-1)
    centres = torch.nonzero(flat).squeeze(1)
    holding = torch.from_numpy(tables.holding).to(squared.device)
    for kind, step in enumerate(KINDS):
        length = float(np.sqrt((step**2) @ tables.weights))
        for k, j, i in sorted({tuple(step * signs) for signs in SIGNS}):
            other = flat[centres + int((k * height + j) * width + i)]
            own = flat[centres]
            if tables.holding.shape[1]:
                held = other >= holding[kind][own.long()]
            else:
                held = other.double().sqrt() >= (own.double().sqrt() + length) * (1 + 1e-12)
            centres = centres[~held]
    k, rest = centres // (height * width), centres % (height * width)
    return torch.stack([k, rest // width, rest % width], dim=1) - 1


def painted(
    squared: torch.Tensor, centres: torch.Tensor, weights: tuple[int, int, int], reach: tuple[int, int, int]
) -> torch.Tensor:
    """The squared radius of the largest sphere around the centres that holds each voxel, [k, j, i], 0 for none."""
    frame = [side for n in reversed(reach) for side in (n, n)]
    out = torch.nn.functional.pad(torch.zeros_like(squared), frame)
    _, height, width = out.shape
    flat = out.reshape(-1)
    at = centres + torch.tensor(reach, device=squared.device)
    places = (at[:, 0] * height + at[:, 1]) * width + at[:, 2]
    radii, order = squared[tuple(centres.T)].sort()
    places = places[order]
    steps = [torch.arange(-n, n + 1, device=squared.device) for n in reach]
    k, j, i = torch.meshgrid(*steps, indexing="ij")
    away = (k**2 * weights[0] + j**2 * weights[1] + i**2 * weights[2]).reshape(-1)
    offsets = ((k * height + j) * width + i).reshape(-1)
    away, nearest_first = away.sort()
    offsets = offsets[nearest_first]
    values, counts = torch.unique_consecutive(radii, return_counts=True)
    within = torch.searchsorted(away, values.to(away.dtype))
    start = 0
    for value, count, inside in zip(values.tolist(), counts.tolist(), within.tolist(), strict=True):
        sphere = offsets[:inside]
        for some in places[start : start + count].split(max(1, AT_ONCE // inside)):
            flat.index_fill_(0, (some[:, None] + sphere).reshape(-1), value)
        start += count
    depth, height, width = squared.shape
    return out[reach[0] : reach[0] + depth, reach[1] : reach[1] + height, reach[2] : reach[2] + width].contiguous()
