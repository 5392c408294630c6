"""What a user asks of the training of the joint finder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingRequest:
    """How to train the joint finder and the bone network.

    ``films``: simulated films to learn from; ``minutes``: as long may each network learn, None leaves both to the
    training; ``data``: a folder that keeps the simulated images, which another training then finds there; ``device``:
    the one to compute on, as PyTorch names it.
    """

    seed: int = 0
    films: int | None = None
    minutes: float | None = None
    data: Path | None = None
    device: str = "cpu"

    def parameters(self) -> dict:
        """What was asked, for result.json; the folder of images as its name only."""
        asked = asdict(self)
        asked["data"] = None if self.data is None else Path(self.data).name
        return asked

    def command(self) -> str:
        """The command that asks for the same, for the manifest; --out is left to whoever gives it again."""
        asked = ((name, value) for name, value in self.parameters().items() if value is not None)
        return " ".join(["jointquant train hand-joints", *(f"--{name} {value}" for name, value in asked)])
