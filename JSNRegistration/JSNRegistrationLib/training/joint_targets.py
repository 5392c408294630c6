"""What the joint network should answer, and how far an answer is from it. Needs torch."""

from __future__ import annotations

import torch
from torch.nn import functional

from JSNRegistrationLib.joint_finding.network_maps import (
    AXIS,
    CELL_PX,
    JOINTS,
    OFFSET,
    VIEW,
    VOTE,
    VOTE_UNIT,
    WIDTH,
)
from JSNRegistrationLib.joints import JOINT_NAMES

SPREAD_CELLS = 1.2  # of the bump at a joint
PALM_SPREAD_CELLS = 2.0
NEAR = 0.4  # height of the bump above which a cell has to know place, axis, width and palm of the joint
KNUCKLES = [JOINT_NAMES.index(f"MCP{finger}") for finger in (2, 3, 4, 5)]
WEIGHTS = {"heat": 1.0, "offset": 1.0, "axis": 0.5, "width": 0.3, "vote": 0.3, "view": 0.1}


def palms(joints: torch.Tensor) -> torch.Tensor:
    """Middle of the knuckles that are seen, else of all joints seen (n, hand, 2) px; NaN where no joint is seen."""
    places = joints[..., :2]
    knuckles = _mean_seen(places[:, :, KNUCKLES])
    return torch.where(torch.isfinite(knuckles), knuckles, _mean_seen(places))


def loss_of(answer: torch.Tensor, joints: torch.Tensor, oblique: torch.Tensor) -> dict[str, torch.Tensor]:
    """The parts of the loss, weighted. answer (n, CHANNELS, rows, columns); joints (n, hand, joint, 5) in pixels."""
    answer = answer.float()
    rows, columns = answer.shape[-2:]
    cells = _cells(rows, columns)  # (rows, columns, 2), middle of each cell in cells
    places = (joints[..., :2] + 0.5) / CELL_PX  # (n, hand, joint, 2)
    palm = (palms(joints) + 0.5) / CELL_PX
    away = cells - places[..., None, None, :]  # (n, hand, joint, rows, columns, 2)
    bumps = _bump(away, SPREAD_CELLS)
    palm_bumps = _bump(cells - palm[..., None, None, :], PALM_SPREAD_CELLS)
    heat = torch.cat([bumps.amax(1), palm_bumps.amax(1)[:, None]], 1)
    parts = {"heat": _focal(answer[:, : JOINTS + 1], heat)}

    # every cell near a joint answers for the nearest one
    flat = bumps.flatten(1, 2)
    height, which = flat.max(1)  # (n, rows, columns)
    near = (height > NEAR).float() * height

    def of_nearest(values: torch.Tensor) -> torch.Tensor:
        flat_values = values.flatten(1, 2).nan_to_num()  # (n, hand * joint, k)
        index = which.flatten(1)[..., None].expand(-1, -1, flat_values.shape[-1])
        return flat_values.gather(1, index).unflatten(1, (rows, columns)).permute(0, 3, 1, 2)

    def apart(channels, wanted: torch.Tensor) -> torch.Tensor:
        difference = functional.smooth_l1_loss(answer[:, channels], wanted, reduction="none", beta=0.1).sum(1)
        return (difference * near).sum() / near.sum().clamp_min(1)

    grid = cells.permute(2, 0, 1)
    parts["offset"] = apart(OFFSET, of_nearest(places) - grid)
    parts["axis"] = apart(AXIS, of_nearest(joints[..., 2:4]))
    parts["width"] = apart(slice(WIDTH, WIDTH + 1), of_nearest((joints[..., 4:] / CELL_PX).clamp_min(0.1).log()))
    to_palm = (palm[:, :, None] - places) / VOTE_UNIT
    parts["vote"] = apart(VOTE, of_nearest(to_palm))
    middle = palm_bumps * (palm_bumps > NEAR)
    wanted = oblique.float()[:, :, None, None].expand_as(middle)
    logits = answer[:, VIEW][:, None].expand_as(middle)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    parts["view"] = (entropy * middle).sum() / middle.sum().clamp_min(1)
    return {name: WEIGHTS[name] * part for name, part in parts.items()}


def _mean_seen(places: torch.Tensor) -> torch.Tensor:
    return places.nanmean(dim=2)


def _cells(rows: int, columns: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    return torch.stack([x, y], -1)


def _bump(away: torch.Tensor, spread: float) -> torch.Tensor:
    return torch.exp(-0.5 * (away**2).sum(-1) / spread**2).nan_to_num()


def _focal(logits: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss (Zhou et al. 2019, eq. 1) on soft bumps."""
    chance = torch.sigmoid(logits)
    at_peak = (heat > 0.8).float()
    found = -functional.logsigmoid(logits) * (1 - chance) ** 2 * at_peak * heat
    wrong = -functional.logsigmoid(-logits) * chance**2 * (1 - heat) ** 4 * (1 - at_peak)
    return (found.sum() + wrong.sum()) / at_peak.sum().clamp_min(1)
