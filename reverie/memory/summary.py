"""An extractive summary: which sentences of a stretch are kept, word for word, when the others go.

A sentence is worth the mean of its centrality (cosine to the mean vector of all, as in centroid-based
summarisation, Radev et al. 2004) and of its information (mean inverse frequency of its terms among the
sentences, as a share of the highest possible), so that a word said once in an hour outlives small talk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from reverie.memory.lexical import terms_of


def central_sentences(
    texts: Sequence[str], vectors: Sequence[Float32[ndarray, "d"] | None], max_bytes: int
) -> list[int]:
    """Numbers of the sentences to keep, in order: the best whose lines fit in `max_bytes` of UTF-8, equal ones once."""
    terms = [terms_of(text) for text in texts]
    frequency = Counter(term for own in terms for term in own)
    most = log(len(texts) + 1)
    spaces = {vector.shape for vector in vectors if vector is not None}
    sums = {shape: sum(v for v in vectors if v is not None and v.shape == shape) for shape in spaces}
    norms = {shape: float(np.linalg.norm(total)) for shape, total in sums.items()}

    def worth(number: int) -> float:
        vector, own = vectors[number], terms[number]
        central = 0.0
        if vector is not None and (norm := float(np.linalg.norm(vector)) * norms[vector.shape]) > 0:
            central = float(vector @ sums[vector.shape]) / norm
        informative = sum(log((len(texts) + 1) / frequency[term]) for term in own) / (len(own) or 1) / most
        return 0.5 * central + 0.5 * informative

    kept: dict[str, int] = {}
    left = max_bytes
    for number in sorted(range(len(texts)), key=lambda number: (-worth(number), number)):
        size = len(texts[number].encode()) + 1
        if texts[number] not in kept and size <= left:
            kept[texts[number]] = number
            left -= size
    return sorted(kept.values())


def fits(texts: Sequence[str], max_bytes: int) -> bool:
    """Whether every one is kept, whatever it is worth."""
    return len(set(texts)) == len(texts) and sum(len(text.encode()) + 1 for text in texts) <= max_bytes
