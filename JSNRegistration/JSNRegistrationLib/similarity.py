"""Similarities of the plane (turn, scale and shift) as pairs of complex numbers, any number of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Similarity:
    """z becomes ``turn`` z + ``shift``, with z = x + i y (y down, so that an angle turns x towards y).

    Both are complex arrays of one shape, or numbers; ``turn`` is scale times exp(i angle).
    """

    turn: np.ndarray
    shift: np.ndarray

    @classmethod
    def of_matrix(cls, motion: np.ndarray) -> Similarity:
        """Of motions (..., 2, 3)."""
        motion = np.asarray(motion, float)
        return cls(motion[..., 0, 0] + 1j * motion[..., 1, 0], motion[..., 0, 2] + 1j * motion[..., 1, 2])

    @classmethod
    def small(cls, shift: np.ndarray, angle_rad: np.ndarray, log_scale: np.ndarray) -> Similarity:
        """Shift (..., 2), angle and log scale about the zero point."""
        return cls(np.exp(np.asarray(log_scale) + 1j * np.asarray(angle_rad)), shift[..., 0] + 1j * shift[..., 1])

    def matrix(self) -> np.ndarray:
        """As motions (..., 2, 3)."""
        rows = [[self.turn.real, -self.turn.imag, self.shift.real], [self.turn.imag, self.turn.real, self.shift.imag]]
        return np.moveaxis(np.array(rows), (0, 1), (-2, -1))

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Points moved; the points' axes come after those of the similarities."""
        extra = (1,) * np.ndim(z)
        turn, shift = (np.reshape(part, np.shape(part) + extra) for part in (self.turn, self.shift))
        return turn * z + shift

    def after(self, first: Similarity) -> Similarity:
        """`first`, then this one."""
        return Similarity(self.turn * first.turn, self.turn * first.shift + self.shift)

    def inverse(self) -> Similarity:
        """The way back."""
        return Similarity(1 / self.turn, -self.shift / self.turn)

    def half(self) -> Similarity:
        """The similarity that, made twice, is this one."""
        turn = np.sqrt(self.turn)
        return Similarity(turn, self.shift / (1 + turn))

    def upside_down(self) -> Similarity:
        """The same motion, seen after a turn of the plane by half a circle."""
        return Similarity(self.turn, -self.shift)

    def __getitem__(self, index) -> Similarity:
        return Similarity(self.turn[index], self.shift[index])

    def small_parts(self) -> np.ndarray:
        """Shift x, y, angle (rad) and log scale (..., 4)."""
        return np.stack([self.shift.real, self.shift.imag, np.angle(self.turn), np.log(np.abs(self.turn))], axis=-1)
