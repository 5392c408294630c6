"""Where a network runs: the device that was asked for, full precision on it, and the CPU when its memory runs out."""

from __future__ import annotations

import gc
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from JointQuantLib.errors import BadInput

AUTO, CPU = "auto", "cpu"
OUT_OF_MEMORY = ("out of memory", "_ALLOC_FAILED", "can't allocate memory", "not enough memory")
DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"

Result = TypeVar("Result")


def is_device_name(text: str) -> bool:
    """Whether `text` is one of DEVICE_NAMES; whether there is such a device here is another question (`choose`)."""
    return re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", text) is not None


def torch_available() -> bool:
    """Whether PyTorch is installed and whole.

    It is loaded to find out: an installation that broke off midway leaves a folder `torch` that is found and cannot be
    used.
    """
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        import torch
    except (ImportError, OSError):  # OSError: on Windows, a library of it that cannot be loaded
        return False
    return hasattr(torch, "Tensor")


def choose(device: str = AUTO) -> str:
    """Return the device to compute on, as PyTorch names it; `auto` is CUDA where it works, else MPS, else the CPU.

    :raises BadInput: when a device that was asked for by its name is not there or does not work.
    """
    if not is_device_name(device):
        raise BadInput(f"'{device}' is no device: give {DEVICE_NAMES}.")
    if device == CPU:
        return CPU
    if device == AUTO:
        return next((name for name in ("cuda", "mps") if _why_not(name) is None), CPU)
    reason = _why_not(device)
    if reason is not None:
        raise BadInput(f"--device {device} cannot be used, because {reason}: give another, or auto.")
    return device


def run_with_fallback(work: Callable[[str], Result], device: str = AUTO) -> tuple[Result, str]:
    """Return what `work` returns and the device it ran on: the chosen one, or the CPU if that ran out of memory.

    :param work: is called with the device; it is called a second time, from its start, if the memory runs out.
    :param device: one of DEVICE_NAMES.
    :raises BadInput: as `choose`.
    """
    chosen = choose(device)
    if chosen == CPU:
        return work(CPU), CPU
    try:
        with full_precision():
            return work(chosen), chosen
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    # Only here, past the except block, does nothing hold on to what the first try had on the device.
    free_memory()
    return work(CPU), CPU


@contextmanager
def full_precision() -> Iterator[None]:
    """Let CUDA compute float32 as float32.

    By default its convolutions round their inputs to the 10 bits of TF32, and a position would depend on the device.
    Does nothing to other devices. Needs PyTorch.
    """
    import torch

    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = False
        yield
    finally:
        for switch, allowed in zip(switches, before, strict=True):
            switch.allow_tf32 = allowed


def _why_not(device: str) -> str | None:
    """Why `device` (cuda, cuda:N or mps) cannot be used, or None."""
    if not torch_available():
        return "PyTorch is not installed here"
    import torch

    kind, _, index = device.partition(":")
    if kind == "mps":
        if not torch.backends.mps.is_available():
            return "PyTorch finds no MPS device here"
    elif not torch.cuda.is_available():
        return "PyTorch finds no CUDA device here"
    elif index and int(index) >= torch.cuda.device_count():
        return f"PyTorch finds only {torch.cuda.device_count()} CUDA devices here, counted from 0"
    try:
        # A device too old for this PyTorch, or whose memory others have taken, is found all the same.
        torch.ones(1, device=device).add(1).item()
    except RuntimeError as error:
        return f"PyTorch cannot compute on it ({str(error).strip().splitlines()[0].rstrip('.')})"
    return None


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a device or of the CPU.

    CUDA's allocator and Python have a class for it; MPS, the libraries beneath CUDA and the CPU's allocator only words.
    """
    import torch

    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    )


def free_memory() -> None:
    """Give back what PyTorch keeps of a device's memory for later. Needs PyTorch."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
