"""The weights of a network on disk.

A model is `<name>.npz` (its arrays by parameter name), an entry in `manifest.json` of the same folder, which says how
it was trained and which bytes the file must have, and the model card `<name>.md`, which is for people.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.job import plain

FORMAT = 1  # of the arrays' file and of the entry; raised when an older program could misread them
MANIFEST = "manifest.json"
TRAINED_ON_SIMULATED = "trained on simulated images"

STORED_AS = (np.dtype("<f2"), np.dtype("<f4"))


class NoWeights(BadInput):
    """There are no weights of that name here. Weights that are there and cannot be used are a plain BadInput."""


@dataclass(frozen=True)
class ManifestEntry:
    """What is known about one model.

    ``command`` and ``seed`` train it again; ``trained_on`` says on what, in words; ``label`` goes beside every number
    that rests on it; ``measured`` are its results by name, units in the names; ``sha256`` is that of the arrays' file.
    """

    command: str
    seed: int
    trained_on: str
    label: str = TRAINED_ON_SIMULATED
    measured: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    sha256: str = ""


@dataclass(frozen=True, eq=False)
class Weights:
    """A model that was read: float32 arrays by parameter name, and what its manifest says about it."""

    name: str
    arrays: dict[str, np.ndarray]
    entry: ManifestEntry


def read_weights(folder: Path, name: str) -> Weights:
    """Return the weights `name` of a folder of models, once it is sure that they are the bytes that were written.

    :raises NoWeights: when there are none of that name.
    :raises BadInput: when they are damaged, or of a later format than this program knows.
    """
    path = Path(folder) / f"{name}.npz"
    entry = read_entry(folder, name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NoWeights(f"{path} is missing, though {MANIFEST} names it: {_remedy(name)}.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): {_remedy(name)}.") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BadInput(f"{path} is damaged (its SHA-256 is not the one in {MANIFEST}): {_remedy(name)}.")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {key: stored[key].astype(np.float32) for key in stored.files}
    return Weights(name, arrays, entry)


def read_entry(folder: Path, name: str) -> ManifestEntry:
    """Return what the manifest of a folder says about the model `name`, without looking at the arrays.

    :raises NoWeights: when it says nothing.
    :raises BadInput: when it is damaged, or the model is of a later format than this program knows.
    """
    path = Path(folder) / MANIFEST
    models = _manifest(path)
    if name not in models:
        raise NoWeights(f"{path} names no model {name}: {_remedy(name)}.")
    stored = models[name]
    found = stored.get("format") if isinstance(stored, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise BadInput(
            f"{path} says that the model {name} is of format {found}, and this JointQuant reads up to {FORMAT}: "
            "install the JointQuant that the model came with, or a later one."
        )
    known = {item.name for item in fields(ManifestEntry)}
    if not isinstance(found, int) or set(stored) != known:
        raise BadInput(f"{path} is damaged (the entry of {name} is not whole): {_remedy(name)}.")
    return ManifestEntry(**stored)


def write_weights(folder: Path, name: str, arrays: Mapping[str, np.ndarray], entry: ManifestEntry) -> ManifestEntry:
    """Write the arrays, enter them in the manifest, and return the entry as it stands there, with its SHA-256.

    The same arrays give the same bytes on one machine; another zlib may pack them otherwise. Other models of the folder
    stay as they are; an earlier one of this name is replaced. The model card is the caller's.

    :param arrays: finite, of float16 or float32; what type each has is kept.
    :raises ValueError: when they are not.
    :raises BadInput: when the folder has a manifest that is damaged.
    """
    folder = Path(folder)
    content = _packed(arrays)
    entry = replace(entry, format=FORMAT, sha256=hashlib.sha256(content).hexdigest())
    models = _manifest(folder / MANIFEST) | {name: plain(asdict(entry))}
    listing = json.dumps({"models": models}, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder / f"{name}.npz", content)
    _put(folder / MANIFEST, listing.encode("utf-8"))
    return entry


def _manifest(path: Path) -> dict[str, Any]:
    """The entries of a manifest by the names of the models; none where there is no manifest."""
    try:
        models = json.loads(path.read_text("utf-8"))["models"]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): install JointQuant anew.") from error
    except (ValueError, KeyError, TypeError):
        models = None
    if not isinstance(models, dict):
        raise BadInput(f"{path} is damaged (it is no list of models): install JointQuant anew.")
    return models


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz file, as np.savez_compressed writes it but for the time of day, and sorted by name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in sorted(arrays):
            # The date, the rights and the system are otherwise those of the moment and of the machine.
            item = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            item.create_system = 3
            item.external_attr = 0o644 << 16
            data = io.BytesIO()
            np.lib.format.write_array(data, _storable(name, arrays[name]), version=(1, 0), allow_pickle=False)
            archive.writestr(item, data.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return content.getvalue()


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    kind = array.dtype.newbyteorder("<")
    if kind not in STORED_AS:
        raise ValueError(f"{name} is of {array.dtype}: weights are stored as float16 or float32")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite: it overflowed, or the training diverged")
    return np.asarray(array, dtype=kind, order="C")


def _put(path: Path, content: bytes) -> None:
    """Write a file at once: whoever reads it finds the earlier one or this one, never half of it."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _remedy(name: str) -> str:
    return f"install JointQuant anew, or train {name} again (jointquant train --help)"
