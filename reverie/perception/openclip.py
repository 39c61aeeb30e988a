"""Pictures and sentences in one trained space: any open_clip model behind the same two protocols.

CLIP (Radford et al. 2021) and its kin, through open_clip 3 (Ilharco et al. 2021). Weights are a
safetensors file with the name of its architecture, or a folder (`file:` or `hub:`) that holds
`open_clip_config.json` beside them, as open_clip's own models on the Hub do. Pictures are resized and
cropped as the model was trained. On CUDA weights are bfloat16, on a CPU float32; vectors always float32.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.errors import ModelError
from reverie.perception.frame_encoder import EncodedFrames
from reverie.perception.models import digest, resolve
from reverie.perception.rgb import Rgb
from reverie.types import Label


class OpenClipConfig(BaseModel):
    """Options of an open_clip model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(description="`file:` or `hub:` name of a safetensors file or of an open_clip folder.")
    architecture: str = Field(default="", description="open_clip's name, such as ViT-B-32; needed for a single file.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes CUDA when it is there.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto is bf16 on CUDA, fp32 on a CPU."
    )
    batch_size: int = Field(default=32, ge=1, description="Pictures or sentences in one forward pass.")
    num_threads: int = Field(default=1, ge=1, description="Torch threads on a CPU.")
    vocabulary: tuple[str, ...] = Field(default=(), description="Names that a picture is labelled with, by softmax.")
    min_probability: float = Field(default=0.05, ge=0, le=1, description="Names below it get no label.")


class OpenClipFrames:
    """A `FrameEncoder`; with a vocabulary it labels too (zero-shot, section 3.1.2 of the CLIP paper)."""

    def __init__(self, config: OpenClipConfig) -> None:
        self._config = config
        self._loaded: _Loaded | None = None
        self._names: Float32[ndarray, "v d"] | None = None

    def __reduce__(self) -> tuple[type[OpenClipFrames], tuple[OpenClipConfig]]:
        return type(self), (self._config,)

    @property
    def encoder_id(self) -> str:
        return _space(self._config)

    @property
    def text_encoder_id(self) -> str:
        return _space(self._config)

    def load(self) -> None:
        """Load the model. Raises ModelError."""
        self._loaded = _Loaded(self._config)
        if self._config.vocabulary:
            prompts = [f"a photo of {name}" for name in self._config.vocabulary]
            self._names = self._loaded.encode_texts(prompts)

    def encode(self, images: Sequence[Rgb]) -> EncodedFrames:
        """(N) pictures to (N, D) unit rows."""
        if self._loaded is None:
            self.load()
        assert self._loaded is not None
        embedding = self._loaded.encode_images(images)
        if self._names is None:
            return EncodedFrames(embedding=embedding, labels=((),) * len(images))
        logits = self._loaded.scale * embedding @ self._names.T
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return EncodedFrames(
            embedding=embedding, labels=tuple(map(self._label, odds / odds.sum(axis=1, keepdims=True)))
        )

    def _label(self, probabilities: Float32[ndarray, "v"]) -> tuple[Label, ...]:
        named = sorted(zip(probabilities.tolist(), self._config.vocabulary, strict=True), reverse=True)
        return tuple(
            Label(name=name, score=min(1.0, score)) for score, name in named if score >= self._config.min_probability
        )


class OpenClipText:
    """A `reverie.types.TextEncoder` whose vectors are comparable with `OpenClipFrames`' of the same weights."""

    def __init__(self, config: OpenClipConfig) -> None:
        self._config = config
        self._loaded: _Loaded | None = None

    def __reduce__(self) -> tuple[type[OpenClipText], tuple[OpenClipConfig]]:
        return type(self), (self._config,)

    @property
    def encoder_id(self) -> str:
        return _space(self._config)

    def encode(self, texts: Sequence[str]) -> Float32[ndarray, "n d"]:
        """(N,) sentences to (N, D) unit rows; longer than the model's context is cut."""
        if self._loaded is None:
            self._loaded = _Loaded(self._config)
        return self._loaded.encode_texts(texts)


class _Loaded:
    """A model with its weights, its picture transform and its tokenizer."""

    def __init__(self, config: OpenClipConfig) -> None:
        import open_clip
        import torch
        from open_clip.transform import PreprocessCfg, image_transform_v2

        torch.set_num_threads(config.num_threads)
        self._batch_size = config.batch_size
        self._device = _device(config)
        half = config.precision == "bf16" or (config.precision == "auto" and self._device == "cuda")
        name, weights = _locate(config)
        logging.getLogger().addFilter(_weights_come_later)
        try:
            self._model = open_clip.create_model(
                name,
                load_weights=False,
                pretrained_image=False,
                pretrained_text=False,
                precision="bf16" if half else "fp32",
                device=self._device,
            )
            open_clip.load_checkpoint(self._model, str(weights), device=self._device)
        except (RuntimeError, KeyError, AssertionError) as error:
            raise ModelError(f"{weights.name} does not fit open_clip's {name}: name the right architecture") from error
        finally:
            logging.getLogger().removeFilter(_weights_come_later)
        self._model.eval()
        self._dtype = torch.bfloat16 if half else torch.float32
        self._transform = image_transform_v2(PreprocessCfg(**self._model.visual.preprocess_cfg), is_train=False)
        self._tokenizer = open_clip.get_tokenizer(name)
        self.scale = float(self._model.logit_scale.detach().exp())

    def encode_images(self, images: Sequence[Rgb]) -> Float32[ndarray, "n d"]:
        import torch
        from PIL import Image

        def forward(batch: Sequence[Rgb]) -> Any:
            pixels = torch.stack([self._transform(Image.fromarray(image)) for image in batch])
            return self._model.encode_image(pixels.to(self._device, self._dtype), normalize=True)

        return self._in_batches(images, forward)

    def encode_texts(self, texts: Sequence[str]) -> Float32[ndarray, "n d"]:
        return self._in_batches(
            texts,
            lambda batch: self._model.encode_text(self._tokenizer(list(batch)).to(self._device), normalize=True),
        )

    def _in_batches(self, items: Sequence[Any], forward: Any) -> Float32[ndarray, "n d"]:
        import torch

        with torch.inference_mode():
            rows = [
                forward(items[start : start + self._batch_size]).float().cpu().numpy()
                for start in range(0, len(items), self._batch_size)
            ]
        stacked: Float32[ndarray, "n d"] = (
            np.concatenate(rows) if rows else np.empty((0, self._model.visual.output_dim), np.float32)
        )
        stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)  # exact, where bf16 rounded
        return stacked


def _weights_come_later(record: logging.LogRecord) -> bool:
    """Keeps open_clip from warning that a model without weights is made: they are loaded next, and checked."""
    return not record.getMessage().startswith("No pretrained weights loaded")


def _device(config: OpenClipConfig) -> str:
    import torch

    if config.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("device cuda was asked for, but torch sees none: use device auto or cpu")
    return "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"


def _locate(config: OpenClipConfig) -> tuple[str, Path]:
    """open_clip's model name and the safetensors file."""
    path = resolve(config.weights)
    if not path.is_dir():
        if path.suffix != ".safetensors" or not config.architecture:
            raise ModelError(f"{config.weights}: a single file must be .safetensors, with its architecture named")
        return config.architecture, path
    if not (path / "open_clip_config.json").exists():
        raise ModelError(f"{path} has no open_clip_config.json: name the .safetensors file and its architecture")
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        raise ModelError(f"{path} holds {len(files)} .safetensors files, not one: name the file and its architecture")
    return f"local-dir:{path}", files[0]


@functools.lru_cache(maxsize=16)
def _space(config: OpenClipConfig) -> str:
    """Names the space by the weights themselves: two files with the same bytes share it."""
    _, weights = _locate(config)
    return f"open-clip-{config.architecture or 'folder'}-{digest(weights)[:12]}"
