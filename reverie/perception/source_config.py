"""Options of sources, in one frozen model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.addresses import NetworkConfig
from reverie.perception.chunking import SoundConfig
from reverie.perception.sampling import SamplingConfig


class SourceConfig(BaseModel):
    """How a file, a URL or a user's own items are read and sampled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampling: SamplingConfig = Field(default=SamplingConfig(), description="Which pictures are sent.")
    sound: SoundConfig = Field(default=SoundConfig(), description="How sound is cut and corrected.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="What may be connected to, and for how long.")
    batch_s: float = Field(default=4.0, gt=0, le=60, description="Media time that one pull of a file reads.")
    max_skew_s: float = Field(
        default=10.0, gt=0, description="How far sound and pictures of a file may lie apart in it."
    )
    live_skew_s: float = Field(default=2.0, gt=0, description="The same for live streams and a user's own items.")
    decode_threads: int = Field(
        default=1, ge=0, le=64, description="Threads of the video decoder; 0 lets FFmpeg choose."
    )
    max_pixels: int = Field(
        default=8192 * 8192, gt=0, description="Larger pictures are refused before they are decoded."
    )
    pictures_fps: float = Field(
        default=2.0, gt=0, le=240, description="Rate at which a sequence of pictures is played."
    )
    live_pictures: int = Field(
        default=8, ge=1, description="Sampled pictures of a live stream that may wait; newest win."
    )
    live_sound_s: float = Field(default=30.0, gt=0, description="Sound of a live stream that may wait.")
