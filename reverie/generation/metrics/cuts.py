"""Scene cuts in a video that should have none (SCuts, StreamingT2V section 5.1): PySceneDetect's AdaptiveDetector.

With its defaults: threshold 3.0, scenes of at least 15 frames, a window of 2 frames, content of at least 15.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray


def scene_cuts(video: UInt8[ndarray, "t h w 3"], rate_hz: float = 8.0) -> list[int]:
    """The frames with which a new scene begins."""
    from scenedetect import AdaptiveDetector, FrameTimecode

    detector = AdaptiveDetector()
    found = []
    for index, frame in enumerate(video):
        found += detector.process_frame(FrameTimecode(index, rate_hz), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    found += detector.post_process(FrameTimecode(len(video), rate_hz))
    return sorted({int(np.int64(cut.frame_num)) for cut in found})
