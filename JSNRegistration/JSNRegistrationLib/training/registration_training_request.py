"""What a user asks of the training of the registration network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class RegistrationTrainingRequest:
    """How to train the registration network.

    ``joints``: simulated joints to learn from; ``data``: a folder of a user's own films, on which the network that is
    installed goes on learning; ``images``: a folder that keeps the simulated joints, which another training then finds
    there; ``minutes``: as long may it learn, None leaves it to the training; ``device``: as PyTorch names it.
    """

    seed: int = 0
    joints: int | None = None
    data: Path | None = None
    images: Path | None = None
    minutes: float | None = None
    device: str = "cpu"

    def parameters(self) -> dict:
        """What was asked, for result.json; folders as their names only."""
        asked = asdict(self)
        return {key: Path(value).name if isinstance(value, Path) else value for key, value in asked.items()}

    def command(self) -> str:
        """The command that asks for the same, for the manifest; --out is left to whoever gives it again."""
        asked = ((name, value) for name, value in self.parameters().items() if value is not None)
        return " ".join(["jointquant train hand-registration", *(f"--{name} {value}" for name, value in asked)])
