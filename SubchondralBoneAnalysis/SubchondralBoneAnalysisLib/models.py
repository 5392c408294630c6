"""Where the trained models of the knee lie."""

from __future__ import annotations

from pathlib import Path


def models_folder() -> Path:
    """The module's Resources/Models/Knee: Slicer installs the Resources of all modules into one folder.

    In the repository and in Slicer the module's Resources lie beside this package; a wheel has them inside it, because
    beside it is the folder that all installed packages share.
    """
    package = Path(__file__).resolve().parent
    inside, beside = (place / "Resources" / "Models" / "Knee" for place in (package, package.parent))
    return inside if inside.is_dir() else beside
