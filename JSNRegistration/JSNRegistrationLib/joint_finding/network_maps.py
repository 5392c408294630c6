"""What the joint network sees and answers, in numbers that need no torch."""

from __future__ import annotations

from JSNRegistrationLib.joints import JOINT_NAMES

SIDE_PX = 320  # longer side of the picture that the network sees
CELL_PX = 4  # of the picture in a cell of its answer
JOINTS = len(JOINT_NAMES)
# channels of the answer
HEAT = slice(0, JOINTS)  # logit of each joint
PALM = JOINTS  # logit of the palm
OFFSET = slice(JOINTS + 1, JOINTS + 3)  # of the joint from the middle of its cell, in cells
AXIS = slice(JOINTS + 3, JOINTS + 5)
WIDTH = JOINTS + 5  # logarithm of the width of the bones in cells
VOTE = slice(JOINTS + 6, JOINTS + 8)  # from the joint to the palm of its hand, in tens of cells
VIEW = JOINTS + 8  # at the palm: logit of an oblique view
CHANNELS = JOINTS + 9
VOTE_UNIT = 10.0
