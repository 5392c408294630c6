"""Where the joints lie on a hand of usual size."""

from __future__ import annotations

USUAL_PLACES_MM = {
    "MCP1": (53, 42),
    "IP1": (70, 14),
    "MCP2": (22, -3),
    "PIP2": (27, -44),
    "DIP2": (30, -67),
    "MCP3": (0, 0),
    "PIP3": (0, -45),
    "DIP3": (-2, -72),
    "MCP4": (-18, 9),
    "PIP4": (-24, -31),
    "DIP4": (-28, -57),
    "MCP5": (-35, 20),
    "PIP5": (-46, -11),
    "DIP5": (-52, -29),
}
"""In mm from MCP3: x towards the thumb, y towards the wrist. Round figures, fingers a little spread."""
