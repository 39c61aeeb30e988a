"""Pictures as vectors in a text space, without a model trained on pairs.

ConSE, convex combination of semantic embeddings (Norouzi et al. 2014, arXiv 1312.5650): the vector of
a picture is the sum of the text vectors of its most probable classes, weighted by their probability
(equations 1 and 2), here the 10 best of ImageNet's 1000 by EfficientNet-lite2 (Tan and Le 2019), each
placed by MiniLM from its WordNet lemmas and definition. Text encoded by MiniLM is comparable with it.

The whole picture is squeezed to 260 x 260, so that nothing at the sides of a wide frame is lost; values are
scaled as the model was trained, (x - 127) / 128. It knows things and some places, not people, colours,
actions or numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from reverie.perception.frame_encoder import EncodedFrames
from reverie.perception.models import resolve
from reverie.perception.rgb import Rgb
from reverie.types import Label

TEXT_ENCODER_ID = "minilm-l6-v2"
_CLASSES = resources.files("reverie.perception.data") / "imagenet_classes.safetensors"
_SIDE_PX = 260


class ConseConfig(BaseModel):
    """Options of the ConSE encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(default="efficientnet-lite2", description="Model name of the EfficientNet-lite2 state dict.")
    num_classes: int = Field(default=10, ge=1, le=1000, description="How many of the best classes make the vector.")
    min_probability: float = Field(default=0.02, ge=0, le=1, description="Classes below it get no label.")
    min_kind_probability: float = Field(
        default=0.2, ge=0, le=1, description="The same for a kind, such as 'dog', in all."
    )
    num_threads: int = Field(default=1, ge=1, description="Torch threads.")


class Conse:
    """A `FrameEncoder` with 384 dimensions, comparable with MiniLM's text vectors."""

    encoder_id = "conse-efficientnet-lite2-minilm-l6-v2"
    text_encoder_id = TEXT_ENCODER_ID

    def __init__(self, config: ConseConfig | None = None) -> None:
        self._config = config or ConseConfig()
        self._model: Any = None

    def __reduce__(self) -> tuple[type[Conse], tuple[ConseConfig]]:
        return type(self), (self._config,)

    def load(self) -> None:
        """Load the weights and the class vectors.

        Raises:
            ModelError: the weights are missing or not the pinned ones.
        """
        import torch

        torch.set_num_threads(self._config.num_threads)
        self._names, self._kinds, self._vectors = load_classes()
        self._model = _load_classifier(self._config.weights)

    def encode(self, images: Sequence[Rgb]) -> EncodedFrames:
        """(N) pictures of any size to (N, 384) unit rows, with class labels, most probable first."""
        probabilities = self.classify(images)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._config.num_classes]
        weights = np.take_along_axis(probabilities, best, axis=1)
        embedding = np.einsum("nk,nkd->nd", weights, self._vectors[best]).astype(np.float32)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        labels = tuple(self._label(row, top) for row, top in zip(probabilities, best, strict=True))
        return EncodedFrames(embedding=embedding, labels=labels)

    def classify(self, images: Sequence[Rgb]) -> Float32[ndarray, "n 1000"]:
        """Class probabilities of each picture."""
        import torch

        if self._model is None:
            self.load()
        pixels = np.stack(
            [cv2.resize(image, (_SIDE_PX, _SIDE_PX), interpolation=_interpolation(image)) for image in images]
        )
        batch = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)  # channels last in memory
        with torch.inference_mode():
            probabilities: Float32[ndarray, "n 1000"] = self._model(batch).softmax(dim=1).numpy()
        return probabilities

    def _label(self, probabilities: Float32[ndarray, "c"], best: ndarray) -> tuple[Label, ...]:
        scores = {kind: float(probabilities[members].sum()) for kind, members in self._kinds.items()}
        named = [(score, kind) for kind, score in scores.items() if score >= self._config.min_kind_probability]
        named += [
            (float(probabilities[index]), self._names[index])
            for index in best
            if probabilities[index] >= self._config.min_probability
        ]
        return tuple(Label(name=name, score=min(1.0, round(score, 4))) for score, name in sorted(named, reverse=True))


def load_classes() -> tuple[tuple[str, ...], Mapping[str, list[int]], Float32[ndarray, "1000 384"]]:
    """Names of the 1000 classes, the kinds that group some of them, and their unit vectors.

    Made by data/make_imagenet_classes.py.
    """
    from safetensors import safe_open

    with resources.as_file(_CLASSES) as path, safe_open(path, framework="np") as file:
        metadata, vectors = file.metadata(), file.get_tensor("vectors").astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return tuple(json.loads(metadata["names"])), json.loads(metadata["kinds"]), vectors


def class_meanings() -> Mapping[str, str]:
    """Each class name with its "synonyms: definition", and each kind with that of nothing but itself."""
    from safetensors import safe_open

    with resources.as_file(_CLASSES) as path, safe_open(path, framework="np") as file:
        metadata = file.metadata()
    meanings = dict(zip(json.loads(metadata["names"]), json.loads(metadata["meanings"]), strict=True))
    return {kind: kind for kind in json.loads(metadata["kinds"])} | meanings


def _interpolation(image: Rgb) -> int:
    return cv2.INTER_AREA if min(image.shape[:2]) > _SIDE_PX else cv2.INTER_LINEAR


def _load_classifier(name: str) -> Any:
    """EfficientNet-lite2, its batch norms folded into the convolutions: a quarter less time, the same output."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite2")
    model.load_state_dict(torch.load(resolve(name), map_location="cpu", weights_only=True))
    model.eval()
    _fold(model, "_conv_stem", "_bn0")
    _fold(model, "_conv_head", "_bn1")
    for block in model._blocks:
        if hasattr(block, "_expand_conv"):
            _fold(block, "_expand_conv", "_bn0")
        _fold(block, "_depthwise_conv", "_bn1")
        _fold(block, "_project_conv", "_bn2")
    return model.to(memory_format=torch.channels_last)


def _fold(owner: Any, convolution: str, norm: str) -> None:
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    conv, bn = getattr(owner, convolution), getattr(owner, norm)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    setattr(owner, norm, torch.nn.Identity())
