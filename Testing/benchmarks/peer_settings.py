"""Choose how every other program is called: the best of a few settings on joints kept for development.

    python Testing/benchmarks/peer_settings.py

Writes peer_settings.csv, which the benchmark reads. The best setting has the smallest RMSE, an error beyond 0.3 mm
counting as 0.3 mm: a program is not to be chosen by how wrong it goes where it goes wrong.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from mcp_series import in_parallel
from peers import PEERS, SETTINGS, Peer, PeerSettings
from registration_joints import KnownJoint, make, specs

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
EACH = 1  # joint of every source, motion and noise
FARTHEST_MM = 0.3


def main() -> None:
    """Write the table."""
    rows = [row for found in in_parallel(rows_of, range(len(PEERS))) for row in found]
    with SETTINGS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)


def rows_of(place: int) -> list[dict]:
    """The row of the table for one program."""
    peer = PEERS[place]
    joints = [make(spec) for spec in specs(SHARED_DATA, "development", EACH)]
    errors = {settings: np.array([_error_mm(peer, settings, joint) for joint in joints]) for settings in peer.grid}
    rmses = {settings: float(np.sqrt(np.mean(found**2))) for settings, found in errors.items()}
    best = min(rmses, key=rmses.get)
    return [
        {
            "program": peer.name,
            "normalised": best.normalised,
            "blur, mm": best.blur_mm,
            "detail": best.detail,
            "detail is": peer.detail_means,
            "RMSE on development joints, mm": round(rmses[best], 4),
            "worst of its settings, mm": round(max(rmses.values()), 4),
            "settings tried": len(peer.grid),
            "joints": len(joints),
        }
    ]


def _error_mm(peer: Peer, settings: PeerSettings, joint: KnownJoint) -> float:
    try:
        found = joint.change_mm(*peer(joint.first, joint.second, settings))
    except Exception:  # whatever another program throws, it gave no answer
        return FARTHEST_MM
    return float(np.clip(found - joint.true_mm, -FARTHEST_MM, FARTHEST_MM))


if __name__ == "__main__":
    main()
