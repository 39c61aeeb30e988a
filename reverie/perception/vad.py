"""When somebody speaks: Silero VAD (Silero Team 2021-2026, version 6), run by ONNX Runtime.

A small convolutional and recurrent network gives one probability of speech for each window of 512 samples
(32 ms at 16 kHz). It sees the last 64 samples of the window before as well, and carries an LSTM state
(2, 1, 128) from window to window; both are kept by the caller as a `VadState`, one for each stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.activity import ActivitySegmenter, Thresholds
from reverie.perception.models import resolve
from reverie.perception.samples import SAMPLE_RATE_HZ, Samples

WINDOW_SAMPLES = 512
WINDOW_S = WINDOW_SAMPLES / SAMPLE_RATE_HZ
_CONTEXT_SAMPLES = 64


class VadConfig(BaseModel):
    """What counts as speech, and where a stretch of it ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("silero-vad", description="Name of the ONNX file, see `reverie.perception.models.resolve`.")
    open_at: float = Field(0.5, gt=0, lt=1, description="Probability at which speech begins.")
    close_at: float = Field(0.35, gt=0, lt=1, description="Probability under which it may have ended.")
    min_speech_s: float = Field(0.25, ge=0, description="Shorter speech is ignored.")
    min_silence_s: float = Field(0.5, gt=0, description="A pause of this length ends a stretch of speech.")
    max_speech_s: float = Field(20.0, ge=2, le=28, description="Longer speech is cut at its weakest point.")

    def segmenter(self) -> ActivitySegmenter:
        return ActivitySegmenter(
            Thresholds(
                open_at=self.open_at,
                close_at=self.close_at,
                min_length=max(1, round(self.min_speech_s / WINDOW_S)),
                min_pause=max(1, round(self.min_silence_s / WINDOW_S)),
                max_length=int(self.max_speech_s / WINDOW_S),
            )
        )


@dataclass(slots=True)
class VadState:
    """What the network remembers of one stream."""

    recurrent: Float32[ndarray, "2 1 128"] = field(default_factory=lambda: np.zeros((2, 1, 128), np.float32))
    context: Samples = field(default_factory=lambda: np.zeros(_CONTEXT_SAMPLES, np.float32))


class SileroVad:
    """The network. One thread; about 0.2 ms a window.

    Raises:
        ModelError: the weights do not resolve.
    """

    def __init__(self, model: str = "silero-vad") -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its warnings on unused initialisers are of no use to anybody
        self._session: Any = onnxruntime.InferenceSession(
            str(resolve(model)), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, state: VadState, samples: Samples) -> list[float]:
        """One probability for each whole window of `samples`; `state` moves on."""
        found: list[float] = []
        rate = np.array(SAMPLE_RATE_HZ, np.int64)
        for start in range(0, len(samples) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
            window = samples[start : start + WINDOW_SAMPLES]
            inputs = {"input": np.concatenate([state.context, window])[None], "state": state.recurrent, "sr": rate}
            output, state.recurrent = self._session.run(None, inputs)
            state.context = window[-_CONTEXT_SAMPLES:].copy()
            found.append(float(output[0, 0]))
        return found
