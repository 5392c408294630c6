"""Whether slicer-core is here and can draw, found out in a child process.

A graphics driver that is missing or broken can end a process without an exception, so the first try is made elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

DEBIAN_PACKAGES = "libegl1 libegl-mesa0 libgl1-mesa-dri"
SECONDS = 60

PROBE = """
import slicer
import vtk
slicer.vtkMRMLScene()
print("imported", flush=True)
from JointQuantLib.scene.headless import render_window
window = render_window()
window.SetSize(8, 8)
renderer = vtk.vtkRenderer()
renderer.SetBackground(1.0, 0.0, 0.0)
window.AddRenderer(renderer)
window.Render()
pixels = vtk.vtkUnsignedCharArray()
window.GetPixelData(0, 0, 7, 7, 0, pixels, 0)
if pixels.GetValue(0) == 255:
    print("drawn", flush=True)
"""


def slicer_available() -> tuple[bool, str]:
    """(True, "") where slicer-core can be imported; otherwise False and a sentence that says what to install."""
    if "imported" in _probe():
        return True, ""
    return False, "slicer-core cannot be imported: install it with `pip install jointquant[slicer]`."


def rendering_available() -> tuple[bool, str]:
    """(True, "") where slice views can be drawn; otherwise False and a sentence that says what is missing."""
    importable, reason = slicer_available()
    if not importable:
        return False, reason
    if "drawn" in _probe():
        return True, ""
    return False, (
        "slice views cannot be drawn without a screen, because EGL is missing or does not work: "
        f"on Debian or Ubuntu run `apt install {DEBIAN_PACKAGES}`."
    )


@cache
def _probe() -> str:
    """What a child process with the same module search path could do: "imported", then "drawn"."""
    program = f"import sys; sys.path[:] = {sys.path!r}\n{PROBE}"
    try:
        child = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return child.stdout
