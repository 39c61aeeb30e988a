"""Large video models of diffusers behind a session. One adapter: they differ in how the past is told.

    image    the last frame; the chunk begins with it again
    video    the last frames; the chunk begins with them again
    noise    the last frames, noised and denoised (SDEdit, Meng et al. 2022); the chunk begins like them

A family names the pipeline that goes on and the one that begins from a prompt alone; where both have the same weights,
one folder is enough. Weights are read from a local folder, as `save_pretrained` writes it: safetensors only. Whatever a
pipeline computes within a chunk is its own; a session keeps the last frames and a count, from which the noise of each
chunk is seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from reverie.errors import UsageError
from reverie.generation.chunks import Beginning, State, Steering
from reverie.generation.networks import Offload, load_pipeline, out_of_memory_told, sharing

FamilyName = Literal["animatediff", "cogvideox", "framepack", "helios", "ltx", "skyreels", "wan"]
Past = Literal["image", "video", "noise"]
_MAX_PROMPT_CHARS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Pipelines that belong together.

    Attributes:
        going_on: class of the pipeline that goes on from the past.
        first: class of the one that begins from the prompt alone; empty: a picture is needed to begin with.
        past: how the past is told.
        overlap: frames of it that are told.
        repeats: how many of them count among the frames of a chunk.
        rate_hz: frames a second that the model was trained with.
        one_folder: whether both have the same weights.
        more: further arguments of each call that goes on.
        asks: the `num_frames` with which the pipeline gives so many.
    """

    going_on: str
    first: str = ""
    past: Past
    overlap: int = 1
    repeats: int = 1
    rate_hz: float
    one_folder: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    asks: Callable[[int], int] = lambda num_frames: num_frames


FAMILIES: dict[FamilyName, Family] = {
    "animatediff": Family(
        going_on="AnimateDiffVideoToVideoPipeline", first="AnimateDiffPipeline", past="noise", overlap=16, repeats=0,
        rate_hz=8.0, one_folder=True, more={"strength": 0.7},
    ),
    "cogvideox": Family(
        going_on="CogVideoXImageToVideoPipeline", first="CogVideoXPipeline", past="image", rate_hz=8.0
    ),
    "framepack": Family(  # sections of 9 latents, of which it counts 8 and one frame, after the picture's own
        going_on="HunyuanVideoFramepackPipeline", past="image", rate_hz=30.0,
        asks=lambda num_frames: (num_frames - 1) // 36 * 33,
    ),
    "helios": Family(  # two of its windows of 33 frames are the past
        going_on="HeliosPipeline", first="HeliosPipeline", past="video", overlap=66, repeats=0, rate_hz=24.0,
        one_folder=True,
    ),
    "ltx": Family(
        going_on="LTXConditionPipeline", first="LTXConditionPipeline", past="video", overlap=9, repeats=9,
        rate_hz=25.0, one_folder=True,
    ),
    "skyreels": Family(
        going_on="SkyReelsV2DiffusionForcingVideoToVideoPipeline", first="SkyReelsV2DiffusionForcingPipeline",
        past="video", overlap=17, repeats=17, rate_hz=24.0, one_folder=True,
        more={"overlap_history": 17, "addnoise_condition": 20},
    ),
    "wan": Family(going_on="WanImageToVideoPipeline", first="WanPipeline", past="image", rate_hz=16.0),
}  # fmt: skip


class HubConfig(BaseModel):
    """How a large model is loaded and asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: FamilyName
    height: PositiveInt = 480
    width: PositiveInt = 832
    chunk_frames: PositiveInt = Field(
        49, description="Helios: multiples of 33; FramePack: of 36, and 1; others: see each."
    )
    num_steps: PositiveInt = 30
    guidance_scale: PositiveFloat = 5.0
    negative_prompt: str = ""
    dtype: Literal["float32", "float16", "bfloat16"] = "bfloat16"
    offload: Offload = Field(
        "none", description="What waits in RAM: nothing, all but the network in use, all but its block in use."
    )
    vae_tiling: bool = Field(False, description="Decode in tiles: less memory, more time.")
    attention: str = Field("", description='A back end of diffusers ("flash", "sage", ...); empty: its own choice.')


class HubChunks:
    """Chunks of a large model.

    Args:
        config: which, and how.
        folder: weights of the pipeline that goes on, as `save_pretrained` writes them.
        first_folder: those of the one that begins, where they are others.
        device: "cpu", "cuda", "cuda:1".

    Raises:
        ModelError: the weights are not there, or are pickles.
        GenerationError: they do not fit the GPU; what would is said.
    """

    actions: tuple[str, ...] = ()

    def __init__(self, config: HubConfig, folder: Path, first_folder: Path | None = None, device: str = "cpu") -> None:
        self._config, self._family = config, FAMILIES[config.family]
        self.name, self.rate_hz, self.size = str(config.family), self._family.rate_hz, (config.height, config.width)
        load = partial(
            load_pipeline, device=device, dtype=config.dtype, offload=config.offload, vae_tiling=config.vae_tiling,
            attention=config.attention,
        )  # fmt: skip
        self._going_on = load(self._family.going_on, folder)
        self._first: Any = None
        if self._family.one_folder:
            self._first = sharing(self._family.first, self._going_on)
        elif self._family.first and first_folder is not None:
            self._first = load(self._family.first, first_folder)

    def num_new(self, state: State) -> int:
        return self._config.chunk_frames - (self._family.repeats if "frames" in state else 0)

    def check(self, steering: Steering) -> None:
        if steering.actions:
            raise UsageError(f"{self.name} is told what is to be seen, not actions: put the movement into the prompt")
        if not steering.prompt.strip():
            raise UsageError(f"{self.name} needs a prompt: say what is to be seen")
        if len(steering.prompt) > _MAX_PROMPT_CHARS:
            raise UsageError(f"the prompt has {len(steering.prompt)} characters, and {_MAX_PROMPT_CHARS} are too many")

    def understood(self, text: str) -> str:
        return " ".join(text.split())[:_MAX_PROMPT_CHARS]

    def check_frames(self, frames: UInt8[ndarray, "t h w 3"]) -> None:
        """It was trained on whatever is filmed."""

    def adapter_of(self, frames: UInt8[ndarray, "t h w 3"]) -> State | None:
        return None

    def begin(self, seed: int, beginning: Beginning) -> State:
        state = {"seed": torch.tensor(seed), "chunk": torch.tensor(0)}
        if beginning.first is not None:
            state["frames"] = torch.from_numpy(beginning.first[-self._family.overlap :].copy())
        if beginning.related is not None:
            raise UsageError(f"{self.name} goes on from pictures, and cannot begin from one that is only related")
        if beginning.first is None and self._first is None:
            raise UsageError(
                f"{self.name} goes on from a picture, and there is none: begin from a memory"
                + (", or name its first_weights" if self._family.first else "")
            )
        return state

    def extend(self, state: State, steering: Steering) -> tuple[UInt8[ndarray, "t h w 3"], State]:
        config, chunk = self._config, int(state["chunk"])
        seed = int(state["seed"]) * 1_000_003 + chunk
        told: dict[str, Any] = {
            "prompt": steering.prompt, "negative_prompt": config.negative_prompt or None, "height": config.height,
            "width": config.width, "num_frames": self._family.asks(config.chunk_frames), "output_type": "np",
            "num_inference_steps": config.num_steps, "guidance_scale": config.guidance_scale,
            "generator": torch.Generator().manual_seed(seed),
        }  # fmt: skip
        pipeline = self._first
        if "frames" in state:
            pipeline = self._going_on
            past = [Image.fromarray(frame) for frame in state["frames"].numpy()]
            past = past[:1] * (self._family.overlap - len(past)) + past  # it stood still before
            told |= self._family.more
            told |= {"image": past[-1]} if self._family.past == "image" else {"video": past}
            if self._family.past == "noise":
                del told["num_frames"]
        with out_of_memory_told(pipeline, config.offload), torch.random.fork_rng():
            torch.manual_seed(seed)  # SkyReels noises the past without the generator
            made = np.asarray(pipeline(**told).frames[0])
        frames = (made.clip(0, 1) * 255).round().astype(np.uint8)
        kept = torch.from_numpy(frames[-self._family.overlap :].copy())
        new = frames[-self.num_new(state) :]  # SkyReels gives the past twice: as it was, and as it is decoded again
        return new, {**state, "chunk": torch.tensor(chunk + 1), "frames": kept}
