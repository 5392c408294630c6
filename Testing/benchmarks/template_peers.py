"""OpenCV and pystackreg, called for one bone."""

from __future__ import annotations

import cv2
import numpy as np
from peer_task import PeerSettings, PeerTask
from pystackreg import StackReg

from JSNRegistrationLib.motion import compose


def opencv_ecc(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """findTransformECC, Euclidean, bone as mask (Evangelidis and Psarakis 2008); ``detail``: its filter, pixels."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-7)
    # The mask lies on the picture that is warped; the bone is where the start puts it.
    mask = cv2.warpAffine(
        task.region.astype(np.uint8) * 255, task.start, task.picture.shape[::-1], flags=cv2.INTER_NEAREST
    )
    warp = task.start.astype(np.float32)
    _, warp = cv2.findTransformECC(
        task.template, task.picture, warp, cv2.MOTION_EUCLIDEAN, criteria, mask, int(settings.detail)
    )
    return warp.astype(float)


def pystackreg_rigid(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """pystackreg (Thevenaz 1998) on bones cut out with a soft edge; ``detail``: 0 rigid body, 1 scaled rotation."""
    kind = (StackReg.RIGID_BODY, StackReg.SCALED_ROTATION)[int(settings.detail)]
    return compose(task.start, StackReg(kind).register(*task.cut_out())[:2])
