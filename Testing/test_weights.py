"""Weights on disk: what is written is read again to the bit, and nothing else is ever taken for it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from JointQuantLib.errors import BadInput
from JointQuantLib.weights import FORMAT, ManifestEntry, NoWeights, read_weights, write_weights

ENTRY = ManifestEntry(
    command="jointquant train hand-joints --seed 3",
    seed=3,
    trained_on="20000 simulated films",
    measured={"found_percent": 99.5, "median_error_mm": 0.4},
)
ARRAYS = {
    "stem.weight": np.linspace(-1, 1, 2 * 3 * 3, dtype=np.float32).reshape(2, 1, 3, 3),
    "stem.bias": np.array([0.5, -65504.0], np.float16),
    "scale": np.float32(3.25).reshape(()),
}

NAMES = st.from_regex(r"[a-z_]{1,8}(\.[a-z0-9_]{1,8}){0,3}", fullmatch=True)
VALUES = st.one_of(
    arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), elements=elements)
    for dtype, elements in (
        (np.float16, st.floats(width=16, allow_nan=False, allow_infinity=False)),
        (np.float32, st.floats(width=32, allow_nan=False, allow_infinity=False)),
        (">f4", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    )
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with one model."""
    write_weights(tmp_path, "hand-joints", ARRAYS, ENTRY)
    return tmp_path


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("models")
    write_weights(folder, "any", arrays, ENTRY)
    read = read_weights(folder, "any").arrays
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == np.float32
        assert read[name].shape == array.shape
        assert np.array_equal(read[name], array)


def test_the_manifest_tells_how_it_was_trained(models):
    weights = read_weights(models, "hand-joints")
    assert weights.name == "hand-joints"
    assert weights.entry.sha256 == hashlib.sha256((models / "hand-joints.npz").read_bytes()).hexdigest()
    assert (weights.entry.command, weights.entry.seed, weights.entry.measured) == (ENTRY.command, 3, ENTRY.measured)
    assert weights.entry.label == "trained on simulated images"
    assert weights.entry.format == FORMAT


def test_the_same_arrays_give_the_same_bytes(tmp_path, monkeypatch):
    once, again = tmp_path / "once", tmp_path / "again"
    write_weights(once, "hand-joints", ARRAYS, ENTRY)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    otherwise_laid_out = {
        name: np.asarray(array, dtype=array.dtype.newbyteorder(">"), order="F")
        for name, array in reversed(ARRAYS.items())
    }
    write_weights(again, "hand-joints", otherwise_laid_out, ENTRY)
    for name in ("hand-joints.npz", "manifest.json"):
        assert (once / name).read_bytes() == (again / name).read_bytes()


def test_numpy_reads_the_file_and_the_types_are_kept(models):
    with np.load(models / "hand-joints.npz") as stored:
        assert {name: stored[name].dtype.str for name in stored.files} == {
            "stem.weight": "<f4",
            "stem.bias": "<f2",
            "scale": "<f4",
        }
    with zipfile.ZipFile(models / "hand-joints.npz") as archive:
        assert archive.testzip() is None


def test_other_models_of_the_folder_stay(models):
    before = (models / "hand-joints.npz").read_bytes()
    write_weights(models, "another", {"a": np.zeros(2, np.float32)}, ENTRY)
    write_weights(models, "another", {"a": np.ones(2, np.float32)}, ENTRY)
    assert read_weights(models, "another").arrays["a"].tolist() == [1, 1]
    assert (models / "hand-joints.npz").read_bytes() == before
    assert list(json.loads((models / "manifest.json").read_text())["models"]) == ["another", "hand-joints"]
    assert sorted(path.name for path in models.iterdir()) == ["another.npz", "hand-joints.npz", "manifest.json"]


@given(st.data())
def test_a_damaged_byte_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("models")
    write_weights(folder, "hand-joints", ARRAYS, ENTRY)
    path = folder / "hand-joints.npz"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"hand-joints\.npz is damaged .* install JointQuant anew"):
        read_weights(folder, "hand-joints")


def test_half_a_file_is_refused(models):
    path = models / "hand-joints.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"hand-joints\.npz is damaged") as said:
        read_weights(models, "hand-joints")
    assert not isinstance(said.value, NoWeights)


def test_weights_that_are_not_there_are_named(models, tmp_path):
    with pytest.raises(
        NoWeights, match=r"manifest\.json names no model knee: .* train knee again \(jointquant train --help\)\.$"
    ):
        read_weights(models, "knee")
    with pytest.raises(NoWeights, match="names no model hand-joints"):
        read_weights(tmp_path / "nowhere", "hand-joints")
    (models / "hand-joints.npz").unlink()
    with pytest.raises(NoWeights, match=r"hand-joints\.npz is missing"):
        read_weights(models, "hand-joints")


def test_weights_of_a_later_format_are_refused_whatever_else_their_entry_holds(models):
    manifest = models / "manifest.json"
    manifest.write_text(json.dumps({"models": {"hand-joints": {"format": FORMAT + 1, "digest": "blake3"}}}))
    with pytest.raises(BadInput, match=rf"format {FORMAT + 1}, and this JointQuant reads up to {FORMAT}: install the"):
        read_weights(models, "hand-joints")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"models": []}',
        '{"models": {"hand-joints": 1}}',
        '{"models": {"hand-joints": {"format": 1}}}',
    ],
)
def test_a_damaged_manifest_is_refused_and_not_written_over(models, text):
    (models / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match=r"manifest\.json is damaged"):
        read_weights(models, "hand-joints")
    if "hand-joints" not in text:
        with pytest.raises(BadInput, match=r"manifest\.json is damaged"):
            write_weights(models, "hand-joints", ARRAYS, ENTRY)
        assert (models / "manifest.json").read_text() == text


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([1.0, np.nan], np.float32), "bad is not finite"),
        (np.array([1.0, np.inf], np.float16), "bad is not finite"),
        (np.array([1.0]), "bad is of float64"),
        (np.array([1]), "bad is of int"),
        (np.array([None]), "bad is of object"),
    ],
)
def test_arrays_that_are_no_weights_are_not_written(models, array, said):
    before = {path.name: path.read_bytes() for path in models.iterdir()}
    with pytest.raises(ValueError, match=said):
        write_weights(models, "hand-joints", {"bad": array}, ENTRY)
    assert {path.name: path.read_bytes() for path in models.iterdir()} == before
