"""`make demo`: measures the bundled simulated films and says where the report and the Slicer scene lie."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "Resources" / "SampleData"


def main(out: Path) -> int:
    sample = json.loads((SAMPLES / "simulated_hand.json").read_text("utf-8"))
    films = [str(SAMPLES / f"simulated_hand_visit{visit}.png") for visit in (1, 2)]
    known = ["--spacing", str(sample["spacing_mm"]), "--dates", *sample["dates"]]
    command = [sys.executable, "-m", "JointQuantLib", "hand", *films, *known, "--out", str(out), "--overwrite"]
    print(f"jointquant {' '.join(command[3:])}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        return code

    print(f"\nReport:        {(out / 'report.html').resolve()}   (open it in a browser)")
    scene = out / "scene.mrb"
    if scene.exists():
        print(f"Slicer scene:  {scene.resolve()}   (open it in 3D Slicer)")
    else:
        print("Slicer scene:  not written, for the reason given above")
    print(f"All numbers:   {(out / 'joints.csv').resolve()} and result.json beside it")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
