"""A leg that moves while k-space is filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SLOW_CYCLES, FAST_CYCLES = 3.0, (20.0, 60.0)  # per scan: settling of the leg, and pulsation
FAST_PART = 0.35
LINES = 2001  # between which a way is interpolated
STEP_CHANCE, STEP_PART = 0.4, 0.8


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the leg is, in mm along (phase encoding, readout), as lines of k-space are measured one after the other.

    :param waves: of each, the axis, cycles per scan, phase and amplitude in mm, [n, 4].
    :param steps: of each, the axis, when it happens (-1 to 1) and by how much in mm, [n, 3].
    """

    waves: np.ndarray
    steps: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, sd_mm: float) -> Motion | None:
        """A motion whose SD over the scan is `sd_mm` along each axis; None where that is 0."""
        waves, steps = [], []
        for axis in (0, 1):
            waves += [[axis, rng.uniform(0.3, SLOW_CYCLES), rng.uniform(0, 2 * np.pi), 1.0] for _ in range(2)]
            waves.append([axis, rng.uniform(*FAST_CYCLES), rng.uniform(0, 2 * np.pi), FAST_PART])
            jump = rng.normal(0.0, STEP_PART) if rng.uniform() < STEP_CHANCE else 0.0
            steps.append([axis, rng.uniform(-1.0, 1.0), jump])
        if sd_mm <= 0.0:
            return None
        motion = cls(np.array(waves), np.array(steps))
        spread = motion(np.linspace(-1.0, 1.0, 1001)).std(axis=1)
        for axis in (0, 1):
            motion.waves[motion.waves[:, 0] == axis, 3] *= sd_mm / spread[axis]
            motion.steps[motion.steps[:, 0] == axis, 2] *= sd_mm / spread[axis]
        return motion

    def __call__(self, when: np.ndarray) -> np.ndarray:
        """Displacement [2, n] in mm at times [n] from -1 to 1; 0 at the middle of k-space, which gives the place."""
        when, moved = np.asarray(when, float), np.zeros((2, np.size(when)))
        for axis, cycles, phase, amplitude in self.waves:
            moved[int(axis)] += amplitude * (np.sin(np.pi * cycles * when + phase) - np.sin(phase))
        for axis, at, jump in self.steps:
            moved[int(axis)] += jump * ((when > at) - float(at < 0.0))
        return moved

    def phase(self, when: np.ndarray, along_phase: np.ndarray, along_readout: np.ndarray) -> np.ndarray:
        """Factor of k-space, complex64: the shift theorem line by line.

        :param when: time of each place of k-space, -1 to 1: its frequency along the phase encoding over the highest.
        :param along_phase: and `along_readout`: frequencies per mm; all broadcast.
        """
        times = np.linspace(-1.0, 1.0, LINES)
        moved = [np.interp(when, times, way).astype(np.float32) for way in self(times)]
        angle = np.float32(-2.0 * np.pi) * (along_phase * moved[0] + along_readout * moved[1])
        factor = np.empty(angle.shape, np.complex64)
        np.cos(angle, out=factor.real)
        np.sin(angle, out=factor.imag)
        return factor
