"""The rules of the house, as functions of a source tree: each returns the sentences that name what breaks it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

SHARED = "JointQuantLib"
SLICER_ONLY = {"slicer", "qt", "ctk", "mrml", "PythonQt", "vtk", "vtkmodules"}
SCENE_MAY = {"slicer", "vtk", "vtkmodules"}

# PyTorch is in no installation unless the user put it there. Besides these files only `training` loads it as it is
# imported; all else does so in a function, once it is sure to be there.
NETWORKS = {
    "JSNRegistrationLib.bone_finding.bone_network",
    "JSNRegistrationLib.gauss_newton",
    "JSNRegistrationLib.joint_finding.joint_network",
    "JSNRegistrationLib.network",
    "JSNRegistrationLib.network_registration",
    "SubchondralBoneAnalysisLib.ct_synthesis.generator",
    "SubchondralBoneAnalysisLib.local_thickness.torch_form",
}

MODELS = Path("Resources", "Models")
MODEL_BYTES = {
    "hand-joints": 4_000_000,
    "hand-registration": 4_000_000,
    "knee-synthesis": 4_000_000,
}  # at most, for one
ALL_MODELS_BYTES = 15_000_000

# Floors, from the doors down. An import never points up; on one floor it stays in its package and goes in no circle.
DOOR, SHOWING, STORY, TRAINING, SIMULATION, STEPS, CORE = range(7)
STORIES = {"analysis", "morphometry_analysis"}


@dataclass(frozen=True)
class Module:
    """A source file of one of the packages, under the name by which it is imported."""

    name: str
    path: Path

    @property
    def package(self) -> str:
        return self.name.split(".")[0]

    @property
    def floor(self) -> int:
        _, _, inside = self.name.partition(".")
        part = inside.split(".")[0]
        if self.package == SHARED:
            return {"cli": DOOR, "__main__": DOOR, "scene": SHOWING, "report": SHOWING}.get(part, CORE)
        if part in STORIES:
            return STORY
        return {"training": TRAINING, "simulation": SIMULATION}.get(part, STEPS)


@dataclass(frozen=True)
class Import:
    """One import statement: who imports what, and on which line. `target` is a dotted name."""

    source: Module
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source.path.name}:{self.line} ({self.source.name}) imports {self.target}"


def packages(root: Path) -> dict[str, Path]:
    """The packages of the tree: JointQuantLib, and every `<Module>/<Module>Lib`."""
    found = {folder.name: folder for folder in root.glob("*/*Lib") if folder.name == f"{folder.parent.name}Lib"}
    return {SHARED: root / SHARED} | found


def modules(root: Path) -> dict[str, Module]:
    """Every source file of the packages by its dotted name (a package's own name stands for its __init__)."""
    found = {}
    for package, folder in packages(root).items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path)
    return found


def imports(root: Path) -> Iterator[Import]:
    """Every import in the packages, wherever it stands: in functions, under TYPE_CHECKING, through importlib."""
    known = modules(root)
    for module in known.values():
        for node in ast.walk(_parsed(module.path)):
            for target in _targets(module, node, known):
                yield Import(module, target, node.lineno)


def upward_imports(root: Path) -> list[str]:
    known = modules(root)
    wrong = []
    for found in imports(root):
        target = known.get(found.target)
        if target is None:
            continue
        if target.floor < found.source.floor:
            wrong.append(f"{found}: that points up")
        elif found.source.floor == SHOWING and target.package != SHARED:
            wrong.append(f"{found}: scene and report know a result folder, not how it was computed")
        elif found.source.floor == SHOWING and target.floor == SHOWING and _part(found.source) != _part(target):
            wrong.append(f"{found}: scene and report do not know each other")
        elif SHARED not in (found.source.package, target.package) and found.source.package != target.package:
            wrong.append(f"{found}: the science of one module knows nothing of the other's")
    return wrong


def forbidden_imports(root: Path) -> list[str]:
    """Slicer, Qt and VTK belong in `JointQuantLib.scene` and in the module files (which are in no package)."""
    return [
        f"{found}: only {SHARED}.scene may"
        for found in imports(root)
        if _root(found) in SLICER_ONLY
        and not (found.source.floor == SHOWING and _part(found.source) == "scene" and _root(found) in SCENE_MAY)
    ]


def circles(root: Path) -> list[str]:
    """Files that import each other in a circle when they are loaded (an import inside a function may break one)."""
    known = modules(root)
    edges: dict[str, set[str]] = {name: set() for name in known}
    for module in known.values():
        for node in _loaded_with(_parsed(module.path)):
            edges[module.name].update(t for t in _targets(module, node, known) if t in known and t != module.name)
    found, done = [], set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            found.append(" -> ".join((*trail[trail.index(name) :], name)))
        elif name not in done:
            for target in sorted(edges[name]):
                walk(target, (*trail, name))
            done.add(name)

    for name in sorted(known):
        walk(name, ())
    return found


def eager_torch(root: Path, networks: set[str] = NETWORKS) -> list[str]:
    """Files that cannot be imported without PyTorch, by themselves or through others, and are not meant to need it."""
    known = modules(root)
    loads: dict[str, set[str]] = {}
    for module in known.values():
        targets = {t for node in _loaded_with(_parsed(module.path)) for t in _targets(module, node, known)}
        # To import a.b.c is to load a and a.b first.
        loads[module.name] = {loaded for target in targets | {module.name} for loaded in _with_parents(target)}

    def needs_torch(name: str, seen: set[str]) -> bool:
        seen.add(name)
        return "torch" in loads[name] or any(needs_torch(t, seen) for t in loads[name] & set(known) - seen)

    return [
        f"{module.name} needs torch as soon as it is imported: import it in the function that uses it"
        for module in known.values()
        if module.name not in networks and module.floor != TRAINING and needs_torch(module.name, set())
    ]


def model_gaps(root: Path) -> list[str]:
    """The models that are shipped: what each manifest says against the files beside it, both ways, and their size."""
    wrong, total = [], 0
    for folder in sorted({path.parent for path in root.glob(f"*/{MODELS.as_posix()}/**/*") if path.is_file()}):
        manifest = folder / "manifest.json"
        models = json.loads(manifest.read_text("utf-8"))["models"] if manifest.exists() else {}
        for name, entry in models.items():
            arrays, card = folder / f"{name}.npz", folder / f"{name}.md"
            wrong += [f"{_show(path, root)} is missing" for path in (arrays, card) if not path.exists()]
            if arrays.exists() and hashlib.sha256(arrays.read_bytes()).hexdigest() != entry["sha256"]:
                wrong.append(f"{_show(arrays, root)} has another SHA-256 than its manifest says")
        expected = {"manifest.json"} | {f"{name}.{kind}" for name in models for kind in ("npz", "md")}
        files = [path for path in sorted(folder.iterdir()) if path.is_file()]
        wrong += [f"{_show(path, root)} belongs to no model" for path in files if path.name not in expected]
        sizes = {path.stem: path.stat().st_size for path in files if path.suffix == ".npz"}
        wrong += [
            f"{name} is of {size} bytes, more than {MODEL_BYTES[name]}"
            for name, size in sizes.items()
            if name in MODEL_BYTES and size > MODEL_BYTES[name]
        ]
        total += sum(sizes.values())
    if total > ALL_MODELS_BYTES:
        wrong.append(f"all models are of {total} bytes, more than {ALL_MODELS_BYTES}")
    return wrong


def packaging_gaps(root: Path) -> list[str]:
    """The CMake lists against the tree, both ways: only what is listed reaches the user, and what is listed exists."""
    wrong = []
    installed: dict[str, str] = {}
    for package, folder in packages(root).items():
        cmake = (root / SHARED if package == SHARED else folder.parent) / "CMakeLists.txt"
        scripts, resources = (set(_list(cmake, f"MODULE_PYTHON_{kind}")) for kind in ("SCRIPTS", "RESOURCES"))
        listed = scripts | resources
        # A panel file and the icons beside it are listed too, in the same lists.
        wrong += [f"{_show(cmake, root)} lists {e}, which is not there" for e in sorted(listed) if not _there(cmake, e)]
        files = [*_package_files(folder), *(_package_files(cmake.parent / MODELS) if package != SHARED else [])]
        there = {path.relative_to(cmake.parent).as_posix() for path in files}
        wrong += [f"{_show(cmake, root)} does not list {entry}" for entry in sorted(there - listed)]
        wrong += [
            f"{_show(cmake, root)} lists {entry} among the wrong files"
            for entry in sorted(listed & there)
            if (entry in scripts) != entry.endswith(".py")
        ]
        directory = SHARED if package == SHARED else folder.parent.name
        if f"add_subdirectory({directory})" not in (root / "CMakeLists.txt").read_text("utf-8"):
            wrong.append(f"CMakeLists.txt does not add the folder {directory}")
        for entry in sorted(listed) if package != SHARED else []:
            # Slicer installs all modules of an extension into one folder.
            if installed.setdefault(entry, _show(cmake, root)) != _show(cmake, root):
                wrong.append(f"{_show(cmake, root)} lists {entry}, which would replace that of {installed[entry]}")
    return wrong


def wheel_gaps(root: Path, setuptools: dict) -> list[str]:
    """Packages, resources and models that the table [tool.setuptools] of pyproject.toml does not take along."""
    data = setuptools.get("package-data", {})
    listed = {name: _in_tree(name, setuptools.get("package-dir", {})) for name in setuptools.get("packages", [])}
    wrong = []
    for package, folder in packages(root).items():
        for place in sorted({path.parent for path in folder.rglob("*.py")}):
            name = ".".join([package, *place.relative_to(folder).parts])
            if root / listed.get(name, "nowhere") != place:
                wrong.append(f"the packages do not list {name} as {_show(place, root)}")
        wrong += [
            f"package-data of {package} does not cover {path.relative_to(folder).as_posix()}"
            for path in _package_files(folder)
            if path.suffix != ".py" and not _covered(path, data.get(package, []))
        ]
    for models in sorted(root.glob(f"*/{MODELS.as_posix()}")):
        name = next((name for name, place in listed.items() if root / place == models), None)
        wrong += [
            f"package-data of {name} does not cover {_show(path, root)}"
            for path in _package_files(models)
            if not _covered(path, data.get(name, []))
        ]
    return wrong


def machine_paths(root: Path) -> list[str]:
    """Text that names a place on the machine of whoever wrote it."""
    # Put together from pieces, so that this file does not break its own rule.
    places = "|".join(["work", "root", "home", "Users", "tmp", "mnt", "opt"])
    pattern = re.compile(rf"""(?:^|[\s"'`=(\[,:])(/(?:{places})/[\w.]+|[A-Z]:\\\\?\w+)""")
    wrong = []
    for path in tracked_files(root):
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if match := pattern.search(line):
                wrong.append(f"{_show(path, root)}:{number} names {match[1]}")
    return wrong


def tracked_files(root: Path) -> list[Path]:
    """What git has or would take; without git, all that is not hidden and not made by a tool."""
    top = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False
    )
    if top.returncode == 0 and Path(top.stdout.strip()).resolve() == root.resolve():
        listing = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            text=True,
            check=True,
        )
        return [root / name for name in sorted(listing.stdout.split("\0")) if name and (root / name).is_file()]
    made = {"build", "dist", "__pycache__"}
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [
            s for s in subfolders if s not in made and not s.startswith("demo-result") and not s.endswith(".egg-info")
        ]
        subfolders[:] = [s for s in subfolders if not s.startswith(".") or s == ".ci"]
        found += [Path(folder, name) for name in names if not name.endswith(".pyc")]
    return sorted(found)


# ------------------------------------------------------------------------------------------------------------- details


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _targets(module: Module, node: ast.AST, known: dict[str, Module]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _absolute(module, node)
        # `from package import name` means the file package/name.py where there is one.
        named = [f"{base}.{alias.name}" for alias in node.names]
        return [name if name in known else base for name in named]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.name.split(".")
    if module.path.name != "__init__.py":
        parts = parts[:-1]
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _loaded_with(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when the file is loaded: not those in functions, nor for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _loaded_with(child)


def _root(found: Import) -> str:
    return found.target.partition(".")[0]


def _part(module: Module) -> str:
    return module.name.partition(".")[2].split(".")[0]


def _package_files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != "CMakeLists.txt"
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
    ]


def _in_tree(package: str, package_dir: dict[str, str]) -> str:
    """Where setuptools takes a package from: its own entry in package-dir, else below that of the package above it."""
    if package in package_dir:
        return package_dir[package]
    above, dot, last = package.rpartition(".")
    return f"{_in_tree(above, package_dir)}/{last}" if dot else last


def _covered(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch(path.name, pattern.split("/")[-1]) for pattern in patterns)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _list(cmake: Path, name: str) -> list[str]:
    text = re.sub(r"#.*", "", cmake.read_text("utf-8"))
    variables = dict(re.findall(r"set\(\s*(\w+)\s+([^\s)]+)\s*\)", text))
    match = re.search(rf"set\(\s*{name}\b([^)]*)\)", text)
    entries = match[1].split() if match else []
    return [re.sub(r"\$\{(\w+)\}", lambda m: variables.get(m[1], m[0]), entry) for entry in entries]


def _there(cmake: Path, entry: str) -> bool:
    return (cmake.parent / entry).is_file()


def _show(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
