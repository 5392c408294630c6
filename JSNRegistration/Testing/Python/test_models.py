"""Models are found from the repository, from Slicer's folder of modules and from an installed wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from JSNRegistrationLib import models


def test_the_repository_keeps_them_in_the_resources_of_the_module(repository):
    assert models.models_folder() == repository / "JSNRegistration" / "Resources" / "Models"
    assert (models.models_folder() / "manifest.json").is_file()


@pytest.mark.parametrize("place", ["Resources/Models", "JSNRegistrationLib/Resources/Models"])
def test_an_installation_finds_them_beside_or_inside_the_package(tmp_path, place):
    (tmp_path / "JSNRegistrationLib").mkdir()
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / "JSNRegistrationLib" / "__init__.py").touch()
    shutil.copy(models.__file__, tmp_path / "JSNRegistrationLib")
    said = subprocess.run(
        [sys.executable, "-c", "from JSNRegistrationLib.models import models_folder; print(models_folder())"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(said.stdout.strip()) == (tmp_path / place).resolve()
