"""The rules of the house hold in this tree, and each rule's check does find a tree that breaks it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import contracts
import pytest


def test_imports_point_only_down(repository):
    assert contracts.upward_imports(repository) == []


def test_only_the_scene_imports_slicer_and_vtk(repository):
    assert contracts.forbidden_imports(repository) == []


def test_no_files_import_each_other_in_a_circle(repository):
    assert contracts.circles(repository) == []


def test_cmake_lists_every_file_and_every_listed_file_exists(repository):
    assert contracts.packaging_gaps(repository) == []


def test_the_wheel_takes_every_resource_along(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))
    assert contracts.wheel_gaps(repository, project["tool"]["setuptools"]) == []


def test_only_networks_and_their_training_need_torch(repository):
    assert contracts.eager_torch(repository) == []


def test_every_model_is_whole_small_and_has_its_card(repository):
    assert contracts.model_gaps(repository) == []


def test_no_text_names_a_place_on_one_machine(repository):
    assert contracts.machine_paths(repository) == []


def test_every_folder_of_a_package_is_a_package(repository):
    """A folder without __init__.py would be left out of the wheel."""
    folders = {path.parent for package in contracts.packages(repository).values() for path in package.rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_program_and_its_distribution_have_one_version(repository):
    import JointQuantLib

    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == JointQuantLib.__version__


# ----------------------------------------------------------------------------------------------- the checks can fail


TREE = {
    "JointQuantLib/__init__.py": "",
    "JointQuantLib/cli.py": "def main():\n    from HandLib.analysis import run\n",
    "JointQuantLib/job.py": "import json\n",
    "JointQuantLib/scene/__init__.py": "from JointQuantLib.job import x\nimport slicer\n",
    "JointQuantLib/report/__init__.py": "from . import page\n",
    "JointQuantLib/report/page.py": "",
    "Hand/HandLib/__init__.py": "",
    "Hand/HandLib/analysis.py": "from HandLib import bones\nfrom JointQuantLib import job\n",
    "Hand/HandLib/bones.py": "import numpy\n",
    "Hand/HandLib/film.py": "",
    "Hand/HandLib/network.py": "import torch\n",
    "Hand/HandLib/finder.py": "def find():\n    import torch\n    from .network import x\n",
    "Hand/HandLib/simulation/__init__.py": "from ..bones import y\n",
    "Hand/HandLib/training/__init__.py": "import torch\nfrom .. import bones, network, simulation\n",
    "Knee/KneeLib/__init__.py": "",
    "Knee/KneeLib/bones.py": "",
    "Knee/KneeLib/morphometry_analysis.py": "from KneeLib import bones\n",
}

SETUPTOOLS = {
    "packages": [
        "JointQuantLib",
        "JointQuantLib.report",
        "JointQuantLib.scene",
        "HandLib",
        "HandLib.simulation",
        "HandLib.training",
        "HandLib.Resources.Models",
        "KneeLib",
    ],
    "package-dir": {
        "HandLib": "Hand/HandLib",
        "HandLib.Resources.Models": "Hand/Resources/Models",
        "KneeLib": "Knee/KneeLib",
    },
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree that keeps every rule."""
    for name, text in TREE.items():
        write(tmp_path / name, text)
    folders = ("JointQuantLib", "Hand", "Knee")
    write(tmp_path / "CMakeLists.txt", "".join(f"add_subdirectory({folder})\n" for folder in folders))
    for module in folders:
        files = [name.removeprefix(f"{module}/") for name in TREE if name.startswith(f"{module}/")]
        write(tmp_path / module / "CMakeLists.txt", "set(MODULE_PYTHON_SCRIPTS\n  " + "\n  ".join(files) + "\n  )\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_a_tree_that_keeps_the_rules_passes(tree):
    assert contracts.upward_imports(tree) == []
    assert contracts.forbidden_imports(tree) == []
    assert contracts.circles(tree) == []
    assert contracts.packaging_gaps(tree) == []
    assert contracts.wheel_gaps(tree, SETUPTOOLS) == []
    assert contracts.machine_paths(tree) == []
    assert contracts.eager_torch(tree, {"HandLib.network"}) == []
    assert contracts.model_gaps(tree) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("JointQuantLib/job.py", "from JointQuantLib import cli"),
        ("JointQuantLib/job.py", "from .cli import main"),
        ("JointQuantLib/job.py", "from JointQuantLib.report import page"),
        ("JointQuantLib/job.py", "import HandLib.bones"),
        ("JointQuantLib/scene/__init__.py", "from HandLib.bones import x"),
        ("JointQuantLib/scene/__init__.py", "from JointQuantLib.report import page"),
        ("JointQuantLib/report/page.py", "from ..cli import main"),
        ("Hand/HandLib/bones.py", "from HandLib.analysis import x"),
        ("Hand/HandLib/bones.py", "from . import simulation"),
        ("Hand/HandLib/bones.py", "from HandLib.training import x"),
        ("Hand/HandLib/bones.py", "def f():\n    from .training import x"),
        ("Hand/HandLib/simulation/__init__.py", "from HandLib import training"),
        ("Hand/HandLib/training/__init__.py", "from HandLib import analysis"),
        ("Hand/HandLib/bones.py", "def f():\n    from .analysis import x"),
        ("Hand/HandLib/bones.py", "if TYPE_CHECKING:\n    from .analysis import x"),
        ("Hand/HandLib/bones.py", "importlib.import_module('HandLib.analysis')"),
        ("Hand/HandLib/simulation/__init__.py", "from ..analysis import x"),
        ("Hand/HandLib/bones.py", "from KneeLib import bones"),
        ("Knee/KneeLib/bones.py", "def f():\n    from .morphometry_analysis import x"),
        ("Hand/HandLib/analysis.py", "from JointQuantLib.scene import x"),
    ],
)
def test_an_import_that_points_up_is_found(tree, file, text):
    write(tree / file, text + "\n")
    assert len(contracts.upward_imports(tree)) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("Hand/HandLib/bones.py", "import slicer"),
        ("Hand/HandLib/bones.py", "def f():\n    import vtk"),
        ("Hand/HandLib/bones.py", "from slicer.util import array"),
        ("Hand/HandLib/bones.py", "import qt"),
        ("Hand/HandLib/simulation/__init__.py", "import ctk"),
        ("JointQuantLib/job.py", "importlib.import_module('slicer')"),
        ("JointQuantLib/cli.py", "from vtkmodules import vtkCommonCore"),
        ("JointQuantLib/report/page.py", "import vtk"),
        ("JointQuantLib/scene/__init__.py", "import qt"),
    ],
)
def test_slicer_in_the_wrong_room_is_found(tree, file, text):
    write(tree / file, text + "\n")
    assert len(contracts.forbidden_imports(tree)) == 1


def test_a_circle_is_found(tree):
    write(tree / "Hand/HandLib/bones.py", "from .film import x\n")
    write(tree / "Hand/HandLib/film.py", "from .bones import y\n")
    assert contracts.circles(tree) == ["HandLib.bones -> HandLib.film -> HandLib.bones"]


def test_a_file_that_cmake_does_not_list_is_found(tree):
    write(tree / "Hand/HandLib/simulation/scanner.py", "")
    assert contracts.packaging_gaps(tree) == ["Hand/CMakeLists.txt does not list HandLib/simulation/scanner.py"]


def test_a_resource_that_cmake_does_not_list_is_found(tree):
    write(tree / "JointQuantLib/report/page.css", "")
    assert contracts.packaging_gaps(tree) == ["JointQuantLib/CMakeLists.txt does not list report/page.css"]


def test_what_python_and_numba_keep_beside_the_source_is_no_resource(tree):
    write(tree / "Hand/HandLib/__pycache__/bones.distance-12.py311.nbi", "compiled")
    assert contracts.packaging_gaps(tree) == []
    assert contracts.wheel_gaps(tree, SETUPTOOLS) == []


def test_a_listed_file_that_is_not_there_is_found(tree):
    (tree / "Hand/HandLib/film.py").unlink()
    assert contracts.packaging_gaps(tree) == ["Hand/CMakeLists.txt lists HandLib/film.py, which is not there"]


def test_a_script_among_the_resources_is_found(tree):
    cmake = tree / "Hand/CMakeLists.txt"
    scripts = cmake.read_text().replace("  HandLib/film.py\n", "")
    write(cmake, scripts + "set(MODULE_PYTHON_RESOURCES HandLib/film.py)\n")
    assert contracts.packaging_gaps(tree) == ["Hand/CMakeLists.txt lists HandLib/film.py among the wrong files"]


def test_a_folder_that_cmake_does_not_add_is_found(tree):
    write(tree / "CMakeLists.txt", "add_subdirectory(JointQuantLib)\nadd_subdirectory(Hand)\n")
    assert contracts.packaging_gaps(tree) == ["CMakeLists.txt does not add the folder Knee"]


def test_a_file_of_two_modules_that_slicer_would_install_to_one_place_is_found(tree):
    for module in ("Hand", "Knee"):
        write(tree / module / "Resources/Models/manifest.json", '{"models": {}}')
        with (tree / module / "CMakeLists.txt").open("a") as cmake:
            cmake.write("set(MODULE_PYTHON_RESOURCES\n  Resources/Models/manifest.json\n  )\n")
    assert contracts.packaging_gaps(tree) == [
        "Knee/CMakeLists.txt lists Resources/Models/manifest.json, which would replace that of Hand/CMakeLists.txt"
    ]


def test_a_model_that_cmake_does_not_list_is_found(tree):
    write(tree / "Hand/Resources/Models/manifest.json", '{"models": {}}')
    assert contracts.packaging_gaps(tree) == ["Hand/CMakeLists.txt does not list Resources/Models/manifest.json"]


def test_a_resource_that_the_wheel_leaves_behind_is_found(tree):
    write(tree / "JointQuantLib/report/page.css", "")
    assert contracts.wheel_gaps(tree, SETUPTOOLS | {"package-data": {"JointQuantLib": ["**/*.html"]}}) != []
    assert contracts.wheel_gaps(tree, SETUPTOOLS | {"package-data": {"JointQuantLib": ["**/*.css"]}}) == []


def test_a_model_that_the_wheel_leaves_behind_is_found(tree):
    write(tree / "Hand/Resources/Models/bones.npz", "")
    assert len(contracts.wheel_gaps(tree, SETUPTOOLS | {"package-data": {"HandLib.Resources.Models": ["*.md"]}})) == 1
    assert contracts.wheel_gaps(tree, SETUPTOOLS | {"package-data": {"HandLib.Resources.Models": ["*.npz"]}}) == []


@pytest.mark.parametrize("broken", ["packages", "package-dir"])
def test_a_package_that_the_wheel_leaves_behind_or_takes_from_elsewhere_is_found(tree, broken):
    without = dict(SETUPTOOLS["package-dir"])
    del without["KneeLib"]
    table = {"packages": SETUPTOOLS["packages"][:-1], "package-dir": without}
    assert contracts.wheel_gaps(tree, SETUPTOOLS | {broken: table[broken]}) == [
        "the packages do not list KneeLib as Knee/KneeLib"
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("Hand/HandLib/bones.py", "import torch"),
        ("Hand/HandLib/bones.py", "from torch.nn import functional"),
        ("Hand/HandLib/bones.py", "try:\n    import torch\nexcept ImportError:\n    torch = None"),
        ("Hand/HandLib/bones.py", "class Net:\n    import torch"),
        ("Hand/HandLib/film.py", "from HandLib import network"),
        ("Hand/HandLib/film.py", "import HandLib.training"),
        ("JointQuantLib/job.py", "import torch"),
    ],
)
def test_torch_that_is_loaded_too_early_is_found(tree, file, text):
    write(tree / file, text + "\n")
    needs = Path(file).stem
    assert any(f".{needs} needs torch" in wrong for wrong in contracts.eager_torch(tree, {"HandLib.network"}))


def test_torch_that_comes_with_the_package_above_is_found(tree):
    write(tree / "Hand/HandLib/__init__.py", "from .network import x\n")
    write(tree / "Knee/KneeLib/bones.py", "import HandLib.film\n")
    found = {wrong.split()[0] for wrong in contracts.eager_torch(tree, {"HandLib.network"})}
    assert {"HandLib", "HandLib.film", "KneeLib.bones"} <= found
    assert "KneeLib" not in found


@pytest.fixture
def model(tree: Path) -> Path:
    """The folder of models of the small tree, with one model that keeps every rule."""
    folder = tree / "Hand/Resources/Models"
    write(folder / "bones.npz", "arrays")
    write(folder / "bones.md", "card")
    entry = {"sha256": hashlib.sha256(b"arrays").hexdigest()}
    write(folder / "manifest.json", json.dumps({"models": {"bones": entry}}))
    assert contracts.model_gaps(tree) == []
    return folder


@pytest.mark.parametrize("missing", ["bones.npz", "bones.md"])
def test_half_a_model_is_found(tree, model, missing):
    (model / missing).unlink()
    assert contracts.model_gaps(tree) == [f"Hand/Resources/Models/{missing} is missing"]


def test_other_weights_than_the_manifest_says_are_found(tree, model):
    write(model / "bones.npz", "other arrays")
    assert contracts.model_gaps(tree) == ["Hand/Resources/Models/bones.npz has another SHA-256 than its manifest says"]


def test_weights_that_no_manifest_names_are_found(tree, model):
    write(model / "earlier.npz", "arrays")
    assert contracts.model_gaps(tree) == ["Hand/Resources/Models/earlier.npz belongs to no model"]


@pytest.mark.usefixtures("model")
def test_models_that_are_too_large_are_found(tree, monkeypatch):
    monkeypatch.setattr(contracts, "MODEL_BYTES", {"bones": 5})
    assert contracts.model_gaps(tree) == ["bones is of 6 bytes, more than 5"]
    monkeypatch.setattr(contracts, "MODEL_BYTES", {})
    monkeypatch.setattr(contracts, "ALL_MODELS_BYTES", 5)
    assert contracts.model_gaps(tree) == ["all models are of 6 bytes, more than 5"]


@pytest.mark.parametrize("place", ["/".join(["", "home", "me", "film.png"]), "\\".join(["C:", "films"])])
def test_a_path_of_one_machine_is_found(tree, place):
    write(tree / "Hand/HandLib/bones.py", f'FILM = "{place}"\n')
    assert len(contracts.machine_paths(tree)) == 1
