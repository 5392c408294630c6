"""The device a network runs on: which is chosen, what is said when it is not there, what happens when it is full."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from JointQuantLib import devices
from JointQuantLib.errors import BadInput


@pytest.fixture
def torch():
    """PyTorch, of the development environment; the test is skipped where it is not installed."""
    return pytest.importorskip("torch", reason="PyTorch is not installed here")


@pytest.fixture
def no_torch(monkeypatch):
    """A Python without PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_a_device_name_is_known(name):
    assert devices.is_device_name(name)


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:a", "cuda:0\n", "mps:0", " cpu"])
def test_another_word_is_no_device(name):
    assert not devices.is_device_name(name)
    with pytest.raises(BadInput, match="is no device: give auto, cpu, cuda, cuda:N or mps"):
        devices.choose(name)


def test_the_module_is_loaded_without_torch():
    code = "import sys; from JointQuantLib import cli, devices, weights; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


@pytest.mark.usefixtures("no_torch")
def test_without_torch_there_is_the_cpu_only():
    assert not devices.torch_available()
    assert devices.choose("auto") == devices.choose("cpu") == "cpu"
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(BadInput, match=f"--device {name} cannot be used, because PyTorch is not installed here: "):
            devices.choose(name)
    assert devices.run_with_fallback(str.upper, "auto") == ("CPU", "cpu")


def test_what_is_left_of_a_broken_installation_is_no_torch(tmp_path, monkeypatch):
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    code = "from JointQuantLib.devices import choose, torch_available; print(torch_available(), choose('auto'))"
    monkeypatch.chdir(tmp_path)  # `python -c` looks there first
    for init in (None, "", "raise OSError('WinError 126')", "from torch._C import *"):
        if init is not None:
            (tmp_path / "torch" / "__init__.py").write_text(init)
        path = [str(tmp_path), *(entry for entry in sys.path if "site-packages" not in entry)]
        said = subprocess.run(
            [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {path}; {code}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "False cpu\n", init


def test_auto_is_the_best_device_there_is(torch):
    chosen = devices.choose("auto")
    if torch.cuda.is_available():
        assert chosen == "cuda"
    elif torch.backends.mps.is_available():
        assert chosen == "mps"
    else:
        assert chosen == "cpu"
    assert torch.zeros(1, device=chosen).device.type == chosen


def test_a_device_that_is_not_there_is_said_in_one_sentence(torch):
    beyond = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(BadInput) as said:
        devices.choose(beyond)
    assert re.fullmatch(rf"--device {beyond} cannot be used, because PyTorch finds .*: give .*\.", str(said.value))
    if not torch.backends.mps.is_available():
        with pytest.raises(BadInput, match="finds no MPS device here"):
            devices.choose("mps")


def test_work_stays_on_the_cpu_and_its_errors_are_its_own():
    assert devices.run_with_fallback(lambda device: f"on {device}", "cpu") == ("on cpu", "cpu")

    def fails(_device: str) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        devices.run_with_fallback(fails, "cpu")


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory",
        "MPS backend out of memory (MPS allocated: 9 GB, max allowed: 9 GB)",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        None,
    ],
)
def test_work_whose_memory_runs_out_is_done_again_on_the_cpu(torch, monkeypatch, said):
    monkeypatch.setattr(devices, "choose", lambda device: device)  # a GPU that every machine has
    tried = []

    def work(device: str) -> str:
        tried.append(device)
        if device != "cpu":
            raise torch.cuda.OutOfMemoryError if said is None else RuntimeError(said)
        return "done"

    assert devices.run_with_fallback(work, "cuda") == ("done", "cpu")
    assert tried == ["cuda", "cpu"]


@pytest.mark.usefixtures("torch")
def test_another_error_on_a_gpu_is_not_hidden(monkeypatch):
    monkeypatch.setattr(devices, "choose", lambda device: device)

    def work(device: str) -> None:
        raise RuntimeError(f"shapes do not fit on {device}")

    with pytest.raises(RuntimeError, match="shapes do not fit on cuda"):
        devices.run_with_fallback(work, "cuda")


def test_full_precision_is_for_the_block_only(torch):
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    with pytest.raises(KeyboardInterrupt), devices.full_precision():
        assert [switch.allow_tf32 for switch in switches] == [False, False]
        raise KeyboardInterrupt
    assert [switch.allow_tf32 for switch in switches] == before


@pytest.fixture
def cuda(torch):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return torch


def test_a_gpu_and_the_cpu_give_the_same_sums(cuda):
    """TF32 keeps 10 bits: its error of about 1e-3 would fail this."""
    random = cuda.Generator().manual_seed(0)
    image, kernel = (cuda.randn(shape, generator=random) for shape in ((1, 32, 64, 64), (32, 32, 3, 3)))

    def convolved(device: str):
        return cuda.nn.functional.conv2d(image.to(device), kernel.to(device)).cpu()

    on_gpu, used = devices.run_with_fallback(convolved, "cuda")
    assert used == "cuda"
    assert float((on_gpu - convolved("cpu")).abs().max() / on_gpu.abs().max()) < 1e-5


def test_a_gpu_that_is_full_gives_way_to_the_cpu(cuda):
    def work(device: str) -> str:
        if device != "cpu":
            cuda.empty(2**50, device=device)
        return device

    assert devices.run_with_fallback(work, "cuda") == ("cpu", "cpu")
