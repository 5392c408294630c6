"""Which number of a label map stands for which bone: told by the user, named in the file, or numbered as usual."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path

from JointQuantLib.errors import BadInput

BONES = {"femur": 1, "tibia": 2, "patella": 3, "fibula": 4}
# Class maps of TotalSegmentator 2: the femora of its task `total`, and the task `appendicular_bones`.
TASKS = {
    "total": {75: "femur", 76: "femur"},
    "appendicular_bones": {1: "patella", 2: "tibia", 3: "fibula"},
}
NOT_THE_BONE = ("cartilage", "menisc", "ligament", "tendon", "muscle", "artery", "vein", "nerve", "implant", "stem")
HEAD_BYTES = 1 << 18
NIFTI_LABEL = re.compile(rb'<Label\s[^>]*?Key="(\d+)"[^>]*>(?:<!\[CDATA\[)?([^<\]]*)')
SEGMENT_NAME = re.compile(r"Segment(\d+)_Name")
HOW = '"femur=5 tibia=6" or the TotalSegmentator task ' + " or ".join(TASKS)


def parse_bone_numbers(text: str) -> dict[int, str]:
    """Bones by number from what a user typed, as "femur=5, tibia=6", or the name of a TotalSegmentator task.

    :raises BadInput: it cannot be understood.
    """
    if text.strip().lower() in TASKS:
        return dict(TASKS[text.strip().lower()])
    numbers = {}
    for part in re.split(r"[\s,;]+", text.strip()):
        name, equals, number = part.partition("=")
        if not equals or name.lower() not in BONES or not number.isdigit() or int(number) == 0:
            raise BadInput(f'"{part}" does not say which label is which bone: write {HOW}.')
        numbers[int(number)] = name.lower()
    return numbers


def bone_in(name: str) -> str | None:
    """The bone that a name is of, as "Femur_R" or "right tibia"; None for cartilage, several bones or none."""
    name = name.lower()
    found = [bone for bone in BONES if bone in name]
    return found[0] if len(found) == 1 and not any(word in name for word in NOT_THE_BONE) else None


def numbers_in_nifti(path: Path) -> dict[int, str]:
    """Names by number in the label table of a NIfTI file, as TotalSegmentator writes it; empty if there is none."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(path) as file:
            head = file.read(HEAD_BYTES)
    return {int(key): name.decode("utf-8", "replace").strip() for key, name in NIFTI_LABEL.findall(head)}


def segments_in(header: Mapping[str, str]) -> dict[tuple[int, int], str]:
    """Names by (layer, number) in the header of a segmentation that 3D Slicer saved; empty for other files.

    A segment whose own name names no bone is looked up by its terminology.
    """
    segments = {}
    for key in header:
        match = SEGMENT_NAME.fullmatch(key)
        if match:
            about = f"Segment{match[1]}_"
            place = int(header.get(about + "Layer", 0)), int(header.get(about + "LabelValue", 1))
            name = header[key]
            segments[place] = name if bone_in(name) else f"{name} {_coded_type(header.get(about + 'Tags', ''))}".strip()
    return segments


def _coded_type(tags: str) -> str:
    """The meaning of the type in a terminology entry: context~category~type~modifier~..., each code^scheme^meaning."""
    entry = next((tag for tag in tags.split("|") if tag.startswith("TerminologyEntry:")), "")
    parts = entry.split("~")
    return parts[2].split("^")[-1] if len(parts) > 2 else ""
