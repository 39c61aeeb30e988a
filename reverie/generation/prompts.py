"""Prompts of the measurable world: "a red circle over grass", with any of the three left out.

The vocabulary is the world's own. What it does not know it refuses, and says what it knows: a small model that was
asked for a street would make a wrong picture of it, not a bad one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from reverie.errors import NotPerceivable, UsageError
from reverie.generation.shapes import COLOURS, SHAPES, TERRAINS

NUM_TOKENS = 8
_FILLING = ("a", "an", "the", "over", "on", "shape", "in", "above", "with", "and")
_WORDS = ("", *_FILLING, *COLOURS, *SHAPES, *TERRAINS)  # the first one fills up
_INDEX = {word: index for index, word in enumerate(_WORDS)}


def tokens_of(prompt: str) -> list[int]:
    """Token ids of a prompt, filled up to `NUM_TOKENS`; an empty prompt is the null condition.

    Raises:
        NotPerceivable: a word that the measurable world does not have.
        UsageError: more words than fit.
    """
    words = re.findall(r"[a-z]+", prompt.lower())
    unknown = sorted({word for word in words if word not in _INDEX})
    if unknown:
        raise NotPerceivable(
            f"the small model was trained on a world without {', '.join(map(repr, unknown))}: it knows a colour "
            f"({', '.join(COLOURS)}), a shape ({', '.join(SHAPES)}) and a terrain ({', '.join(TERRAINS)}), as in "
            f'"a red circle over grass". Real scenes need a large model'
        )
    if len(words) > NUM_TOKENS:
        raise UsageError(f"the prompt has {len(words)} words, and {NUM_TOKENS} fit: leave words out")
    return [_INDEX[word] for word in words] + [0] * (NUM_TOKENS - len(words))


def known_words(text: str) -> str:
    """A prompt of the first colour, shape and terrain that a text names; empty if it names none."""
    words = re.findall(r"[a-z]+", text.lower())
    colour, shape, terrain = (next((w for w in words if w in known), "") for known in (COLOURS, SHAPES, TERRAINS))
    if not (colour or shape or terrain):
        return ""
    return " ".join(filter(None, ["a", colour, shape or "shape", "over" if terrain else "", terrain]))


class PromptEncoder(nn.Module):
    """Words and their places to vectors, which look at each other once: (N,) prompts to (N, NUM_TOKENS, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(len(_WORDS), width)
        self.places = nn.Parameter(torch.randn(NUM_TOKENS, width) * 0.02)
        self.layer = nn.TransformerEncoderLayer(
            width, nhead=max(width // 32, 1), dim_feedforward=2 * width, dropout=0.0, batch_first=True, norm_first=True
        )

    def forward(self, prompts: Sequence[str] | Int64[Tensor, "n t"]) -> Float[Tensor, "n t d"]:
        if not isinstance(prompts, Tensor):
            prompts = torch.tensor([tokens_of(prompt) for prompt in prompts], device=self.places.device)
        return torch.as_tensor(self.layer(self.words(prompts) + self.places))
