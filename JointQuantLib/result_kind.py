"""Of which job a result folder is, so that its own page and its own scene are made of it."""

from __future__ import annotations

import json
from pathlib import Path

from JointQuantLib.errors import BadInput

HAND = "jointquant-hand/1"
MORPHOMETRY = "jointquant-morphometry/1"
KNEE = "jointquant-knee/1"

GIVE = "give the folder that `jointquant hand`, `jointquant knee` or `jointquant morphometry` wrote."


def kind_of(folder: Path) -> str:
    """The schema of a result folder: `HAND`, `KNEE` or `MORPHOMETRY`.

    Raises BadInput where `result.json` is missing or unreadable, or of a job that has no page and no scene.
    """
    path = Path(folder) / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: not found; {GIVE}") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); run the job again.") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in (HAND, KNEE, MORPHOMETRY):
        raise BadInput(
            f"{path}: is of schema {schema}, and pictures are made of {HAND}, {KNEE} and {MORPHOMETRY} only; {GIVE}"
        )
    return schema
