"""Classifier-free guidance with two conditions: a text and an anchor frame (StreamingT2V, eq. 4).

    e(-, -) + text_scale * [e(text, -) - e(-, -)] + anchor_scale * [e(text, anchor) - e(text, -)]

The released code guides by both at once: e(-, -) + scale * [e(text, anchor) - e(-, -)], which is the same where both
scales are equal.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def guide(
    nothing: Float[Tensor, "..."],
    text: Float[Tensor, "..."],
    both: Float[Tensor, "..."] | None = None,
    *,
    text_scale: float = 7.5,
    anchor_scale: float = 7.5,
) -> Float[Tensor, "..."]:
    """Predictions without a condition, with the text, and with the text and the anchor, to the guided one."""
    guided = nothing + text_scale * (text - nothing)
    return guided if both is None else guided + anchor_scale * (both - text)
