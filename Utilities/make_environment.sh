#!/bin/sh
# Makes a virtual environment and installs JointQuant into it.
# usage: make_environment.sh FOLDER EXTRAS [PYTHON]
set -eu

folder=$1
extras=$2
wanted=${3:-}

# ------------------------------------------------------------------------------------------------ a Python that will do
# Those that slicer-core is built for come first; a later Python measures and reports, but draws no Slicer views.
names="python3 python3.12 python3.13 python3.11 python3.14 python"
runs() { command -v "$1" >/dev/null 2>&1 && "$1" -c "import sys; sys.exit(not ($2))" >/dev/null 2>&1; }

find_python() {
    for range in "(3, 11) <= sys.version_info[:2] <= (3, 13)" "sys.version_info[:2] >= (3, 11)"; do
        for name in ${wanted:-$names}; do
            if runs "$name" "$range"; then
                echo "$name"
                return
            fi
        done
    done
}

if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    if [ -z "$python" ]; then
        echo "JointQuant needs Python 3.11 or later, and found none (looked for: ${wanted:-$names}):" >&2
        echo "    sudo apt-get install python3 python3-venv     (Debian 12 or later, Ubuntu 24.04 or later)" >&2
        echo "or name one: make PYTHON=/path/to/python3.11 ..." >&2
        exit 1
    fi
    if ! "$python" -c "import ensurepip, venv" >/dev/null 2>&1; then
        echo "This Python ($python) cannot make virtual environments:" >&2
        echo "    sudo apt-get install python3-venv" >&2
        exit 1
    fi
    echo "Making the environment $folder with $("$python" --version)"
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi

# ------------------------------------------------------------------------------- what Slicer's views need of the system
if [ "$(uname -s)" = Linux ] && ! "$folder/bin/python" -c "import ctypes; ctypes.CDLL('libEGL.so.1')" 2>/dev/null; then
    echo "libEGL.so.1 is missing: numbers and report are made all the same, but Slicer's slice views are not drawn." >&2
    echo "To have them too:    sudo apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri" >&2
fi

# ---------------------------------------------------------------------------------------------------------- the packages
echo "Installing JointQuant [$extras] and what it needs; this takes a minute or two"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
