"""What the tests of all parts share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from JointQuantLib.scene import rendering_available

REPOSITORY = Path(__file__).resolve().parent

# A machine that is busy must not fail a property; the same examples every time make a failure one that can be repeated.
settings.register_profile("jointquant", deadline=None, derandomize=True)
settings.load_profile("jointquant")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real films and scans beside the repository; the test is skipped where there is none."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images here: they are expected in ../shared/data beside the repository")
    return folder


@pytest.fixture(scope="session")
def slicer_views() -> None:
    """For tests that draw: skipped where slicer-core or off-screen rendering is missing, saying which."""
    available, reason = rendering_available()
    if not available:
        pytest.skip(reason)
