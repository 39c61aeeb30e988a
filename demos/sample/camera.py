"""The same stream as a camera and a microphone would deliver it, for Chromium's fake devices.

    chromium --use-fake-device-for-media-stream --use-file-for-fake-video-capture=DIR/camera.mjpeg \
             --use-file-for-fake-audio-capture=DIR/microphone.wav

`camera.mjpeg` is 640 x 360 Motion JPEG, a tenth of the size of raw y4m; `microphone.wav` is 48 kHz mono, 16 bit.
Chromium repeats both when they end, and starts each when the page opens it, so their times agree within about a second.
"""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from demos.sample.picture import Painter
from demos.sample.plan import FPS, Plan
from demos.sample.sound import RATE_HZ, mix

CAMERA_SIZE_PX = 640, 360


def write_fake_camera(plan: Plan, folder: Path) -> tuple[Path, Path]:
    """Write both files into `folder`, which is made if it is missing. Returns (camera, microphone)."""
    folder.mkdir(parents=True, exist_ok=True)
    camera, microphone = folder / "camera.mjpeg", folder / "microphone.wav"
    painter = Painter(plan)
    with av.open(str(camera), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=FPS, options={"qmin": "5", "qmax": "5", "threads": "1"})
        stream.width, stream.height = CAMERA_SIZE_PX
        stream.pix_fmt = "yuvj420p"
        for index in range(round(plan.duration_s * FPS)):
            small = cv2.resize(painter.frame(index), CAMERA_SIZE_PX, interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(small, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((mix(plan) * 32767).astype(np.int16).tobytes())
    return camera, microphone
