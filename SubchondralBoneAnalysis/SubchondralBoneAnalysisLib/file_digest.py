"""The SHA-256 of an input that may be many files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from JointQuantLib.job import sha256_of


def digest_of(files: Sequence[Path]) -> str:
    """Of a file; of an input that is several files, of their digests, a line each in the order of reading."""
    digests = [sha256_of(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
