"""What tests of imagination share."""

from __future__ import annotations

import numpy as np


def made(clips):
    return np.concatenate([clip.frames for clip in clips])
