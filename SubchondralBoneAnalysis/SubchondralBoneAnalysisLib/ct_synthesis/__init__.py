"""The parts of MR to synthetic CT."""
