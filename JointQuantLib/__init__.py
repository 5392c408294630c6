"""What both modules of JointQuant share: the command, the result folder, the report and the Slicer scene."""

__version__ = "0.1.0"
