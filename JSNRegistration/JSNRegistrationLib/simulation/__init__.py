"""Films of joints and hands with exactly known truth: shapes, layers of mineral, motions, and the scanner."""

from .hand import SimulatedHand, simulate_hand, write_simulated_hand
from .joint import SimulatedJoint, simulate_joint
from .scanner import Exposure

__all__ = ["Exposure", "SimulatedHand", "SimulatedJoint", "simulate_hand", "simulate_joint", "write_simulated_hand"]
