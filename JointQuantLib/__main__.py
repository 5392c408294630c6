"""`python -m JointQuantLib`: the same as the `jointquant` command, for Slicer's own Python."""

from __future__ import annotations

import sys

from JointQuantLib.cli import main

if __name__ == "__main__":
    sys.exit(main())
