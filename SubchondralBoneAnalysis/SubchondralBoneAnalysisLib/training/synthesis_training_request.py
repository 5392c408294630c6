"""What a user asks of the training of the synthetic CT."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class SynthesisTrainingRequest:
    """How to train the network that makes a CT of an MR.

    :param data: a cohort folder; those of the split `train` are learned from, those of `validation` checked.
    :param unpaired: the MR and the CT are not of the same knees, or not registered.
    :param keep: a folder for slices and the checkpoint, which a resumed training finds there; beside the weights
        if None.
    :param resume: go on from the checkpoint in `keep`.
    :param steps: how many to take; None leaves it to the training.
    :param minutes: as long may it learn, all resumed parts together; the steps are fewer then.
    :param patience: stop after so many checks of the validation participants without a better one; None never does.
    :param device: as PyTorch names it.
    """

    data: Path
    unpaired: bool = False
    keep: Path | None = None
    resume: bool = False
    seed: int = 0
    steps: int | None = None
    minutes: float | None = None
    patience: int | None = None
    device: str = "cpu"

    def parameters(self) -> dict:
        """What was asked, for result.json; folders as their names only."""
        asked = asdict(self)
        return {key: Path(value).name if isinstance(value, Path) else value for key, value in asked.items()}

    def command(self) -> str:
        """The command that asks for the same from the start, for the manifest; --out is left to whoever gives it."""
        asked = {key: value for key, value in self.parameters().items() if key not in ("keep", "resume")}
        given = ((key, value) for key, value in asked.items() if value is not None and value is not False)
        said = (f"--{key}" if value is True else f"--{key} {value}" for key, value in given)
        return " ".join(["jointquant train synthesis", *said])
