"""Synthetic CT: it lies where the MR lies however that is stored, and memory, cancelling and bad input are met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from synthesis_scenes import SAGITTAL, leg, places, write_random_weights

from JointQuantLib import devices
from JointQuantLib.errors import BadInput, Cancelled
from JointQuantLib.job import Progress
from JointQuantLib.weights import NoWeights
from SubchondralBoneAnalysisLib.ct_synthesis import tiles
from SubchondralBoneAnalysisLib.ct_synthesis.normalisation import relative_signal
from SubchondralBoneAnalysisLib.ct_synthesis.slices import from_slices, neighbours, to_slices
from SubchondralBoneAnalysisLib.synthesis import synthesize_ct
from SubchondralBoneAnalysisLib.volume import Volume


def smooth(places_lps: np.ndarray) -> np.ndarray:
    """A signal that differs at every place and that linear interpolation follows within a percent."""
    x, y, z = np.moveaxis(places_lps, -1, 0)
    return 100 + 20 * np.sin(x / 15) + 15 * np.cos(y / 12) + 25 * np.sin((z + y) / 17)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


def empty(shape=(24, 90, 80), spacing=(2.0, 0.4, 0.7), direction=SAGITTAL) -> Volume:
    return Volume(np.empty(shape, np.float32), spacing, (20.0, -25.0, 14.0), direction)


def filled(volume: Volume) -> Volume:
    return replace(volume, array=smooth(places(volume)).astype(np.float32))


def stored_otherwise(volume: Volume, order: tuple[int, int, int], back: tuple[bool, bool, bool]) -> Volume:
    """The same voxels at the same places, in another order of axes and counted from other ends."""
    directions = np.reshape(volume.direction_lps, (3, 3))
    steps = directions * volume.spacing_mm[::-1]
    flips = tuple(slice(None, None, -1 if turn else None) for turn in back)
    origin = volume.origin_lps + sum(
        steps[:, 2 - axis] * (volume.array.shape[axis] - 1) for axis, turn in enumerate(back) if turn
    )
    signed = directions * [-1.0 if turn else 1.0 for turn in back[::-1]]
    columns = [2 - axis for axis in order][::-1]
    return Volume(
        np.ascontiguousarray(volume.array[flips].transpose(order)),
        tuple(volume.spacing_mm[axis] for axis in order),
        tuple(np.asarray(origin).tolist()),
        tuple(signed[:, columns].ravel().tolist()),
    )


def tilted(degrees: float) -> tuple[float, ...]:
    turn = sitk.Euler3DTransform((0, 0, 0), 0.0, np.radians(degrees), np.radians(degrees / 2))
    return tuple((np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(SAGITTAL, (3, 3))).ravel().tolist())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    pytest.importorskip("torch", reason="PyTorch is not installed here")
    return write_random_weights(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def mr() -> Volume:
    """A leg with a bone, in a noise that tells every voxel from its neighbours."""
    volume = Volume(np.empty((14, 66, 72)), (3.0, 1.0, 1.0), (19.5, -35.0, 32.0), SAGITTAL)
    inside, bone = leg(places(volume))
    signal = np.select([bone, inside], [300.0, 900.0], 20.0)
    return replace(volume, array=(signal + np.random.default_rng(1).normal(0, 20, signal.shape)).astype(np.float32))


@pytest.mark.parametrize("degrees", [0.0, 12.0, 40.0])
def test_slices_and_back_are_in_place(degrees):
    volume = filled(empty(direction=tilted(degrees)))
    slices = to_slices(volume)
    inner = (slice(3, -3), slice(8, -8), slice(8, -8))
    if degrees < 30:
        assert apart(slices.array[inner], smooth(places(slices))[inner]) < 0.5
        # Its own slices are kept: what lies between them is not known.
        assert (len(slices.array), slices.spacing_mm) == (24, (2.0, 0.5, 0.5))
    assert apart(from_slices(slices, volume)[inner], volume.array[inner]) < 0.8


def test_fine_slices_of_another_plane_are_joined():
    """An axial volume of 0.3 mm pixels has a slice each 0.9 mm."""
    axial = filled(Volume(np.empty((40, 100, 200)), (1.2, 0.6, 0.3), (-30.0, -30.0, -24.0)))
    slices = to_slices(axial)
    assert slices.spacing_mm == pytest.approx((0.9, 0.5, 0.5))
    inner = (slice(4, -4),) * 3
    assert apart(smooth(places(slices))[inner], slices.array[inner]) < 0.5


def test_neighbours_are_at_a_distance_in_mm():
    ramp = np.arange(30.0, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    for step in (0.7, 1.5, 4.0):
        assert neighbours(ramp * step, step, 15)[:, 0, 0] == pytest.approx(15 * step + np.array([-3, -1.5, 0, 1.5, 3]))
    assert neighbours(ramp, 1.0, 0)[:2].max() == 0  # the last slice stands for those beyond


def test_the_signal_is_free_of_scale_coil_and_bright_voxels():
    knee = Volume(np.empty((12, 80, 80)), (8.0, 2.0, 2.0), (44.0, -79.0, 79.0), SAGITTAL)
    inside = np.hypot(places(knee)[..., 0], places(knee)[..., 1]) < 70
    plain = np.where(inside, np.random.default_rng(2).uniform(500, 1500, inside.shape), 10).astype(np.float32)
    coil = np.exp(places(knee)[..., 2] / 200)
    shaded = plain * 7 * coil
    shaded[5, 40:43, 40:43] *= 100
    before, after = (relative_signal(replace(knee, array=array)) for array in (plain, shaded))
    assert before[inside].mean() == pytest.approx(0.5, abs=0.03)
    assert after.max() < 1
    change = np.log(after[inside] / (1 - after[inside])) - np.log(before[inside] / (1 - before[inside]))
    left = np.polyfit(np.log(coil[inside]), change, 1)[0]
    assert abs(left) < 0.6  # 1 where the coil's unevenness stays as it is


def test_synthetic_ct_lies_where_the_mr_lies_however_it_is_stored(mr, weights):
    there = synthesize_ct(mr, "cpu", weights=weights).volume
    assert (there.array.shape, there.array.dtype, there.spacing_mm) == (mr.array.shape, np.float32, mr.spacing_mm)
    assert there.array.std() > 1
    for order, back in (((2, 0, 1), (True, False, True)), ((1, 2, 0), (False, True, True))):
        other = synthesize_ct(stored_otherwise(mr, order, back), "cpu", weights=weights).volume
        again = stored_otherwise(there, order, back)
        assert apart(other.array, again.array) < 0.5
        assert np.allclose(other.origin_lps, again.origin_lps)


def test_smaller_tiles_where_memory_runs_out(mr, weights, monkeypatch):
    torch = pytest.importorskip("torch")
    whole = synthesize_ct(mr, "cpu", weights=weights)
    monkeypatch.setattr(tiles, "SMALLEST_TILE", 64)
    answer = tiles._answer

    def short_of_memory(generator, stacks, tile, device):
        if tile > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return answer(generator, stacks, tile, device)

    monkeypatch.setattr(tiles, "_answer", short_of_memory)
    tiled = synthesize_ct(mr, "cpu", weights=weights)
    assert "computed in tiles of 96 x 96 pixels" in tiled.warnings[-1]
    inner = (slice(None), slice(20, -20), slice(20, -20))
    # A tile sees less of the knee than a slice does, so they are alike and not the same.
    assert apart(tiled.volume.array[inner], whole.volume.array[inner]) < 0.2 * np.ptp(whole.volume.array)
    monkeypatch.setattr(tiles, "SMALLEST_TILE", 160)
    with pytest.raises(torch.OutOfMemoryError):  # nothing smaller is left
        synthesize_ct(mr, "cpu", weights=weights)


def test_the_cpu_where_no_tile_fits_the_device(mr, weights, monkeypatch):
    torch = pytest.importorskip("torch")
    answer = tiles._answer

    def only_on_cpu(generator, stacks, tile, device):
        if device != "cpu":
            raise RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)")
        return answer(generator, stacks, tile, device)

    monkeypatch.setattr(tiles, "_answer", only_on_cpu)
    monkeypatch.setattr(devices, "choose", lambda device: device)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *_, **__: module)
    result = synthesize_ct(mr, "mps", weights=weights)
    assert result.device == "cpu"
    assert result.warnings[-1] == "The memory of mps ran out: the synthetic CT was computed on the CPU."


def test_it_can_be_cancelled(mr, weights):
    class Stopped(Progress):
        steps = 0

        def step(self, _fraction: float, _text: str) -> None:
            Stopped.steps += 1
            if Stopped.steps > 4:
                raise Cancelled("the job was cancelled")

    with pytest.raises(Cancelled):
        synthesize_ct(mr, "cpu", Stopped("none"), weights)
    assert Stopped.steps == 5


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (lambda a: np.where(a > 500, 40, -1000), "give the MR here, not the CT"),
        (np.zeros_like, "one value"),
        (lambda a: (a > 500).astype(np.uint8), "as a label map has"),
        (lambda a: np.where(a > 500, np.nan, a), "NaN"),
        (lambda a: a[:, :20], "which shows no knee"),
    ],
)
def test_what_is_no_mr_is_refused(mr, array, sentence, tmp_path):
    with pytest.raises(BadInput, match=sentence):
        synthesize_ct(replace(mr, array=array(mr.array)), "cpu", weights=tmp_path)


def test_missing_weights_and_coarse_slices_are_said(mr, weights, tmp_path):
    with pytest.raises(NoWeights, match="knee-synthesis"):
        synthesize_ct(mr, "cpu", weights=tmp_path)
    coarse = replace(mr, spacing_mm=(5.0, 1.0, 1.0))
    said = synthesize_ct(coarse, "cpu", weights=weights).warnings
    assert any("5.0 mm apart" in sentence for sentence in said)
    assert any("1.00 mm" in sentence for sentence in said)
