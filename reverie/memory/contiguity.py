"""Evidence from beside: an answer is often said just before or after the words that the question repeats.

Passages that were said close together lend each other what they hold, less with every step away. This is the
contiguity effect of human recall (Howard and Kahana 2002), which EM-LLM (Fountas et al. 2024, section 3.3) gives
a buffer of whole neighbours; lent evidence ranks the passage that is meant instead, and returns nothing more.

Places count passages in the order of their time; a run is an unbroken stretch of them, and lends nothing beyond.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray


def lend(
    out: Float32[ndarray, "n"],
    places: Int64[ndarray, "m"],
    values: Float32[ndarray, "m"],
    runs: Int64[ndarray, "n"],
    decay: float,
    reach: int,
) -> None:
    """Add to each place the best of `values * decay ** distance` within `reach` steps of its run.

    Of one term's evidence: adjacent passages that hold the same word do not count it twice.
    """
    best = np.zeros(len(out), np.float32)
    best[places] = values
    for step in range(1, reach + 1):
        lent = values * np.float32(decay**step)
        for shift in (-step, step):
            there = places + shift
            inside = (there >= 0) & (there < len(out))
            here, there = places[inside], there[inside]
            same = runs[here] == runs[there]
            np.maximum.at(best, there[same], lent[inside][same])
    out += best


def smooth(values: Float32[ndarray, "n"], runs: Int64[ndarray, "n"], decay: float, reach: int) -> Float32[ndarray, "n"]:
    """The mean of each value and those beside it in its run, weighted by `decay ** distance`."""
    total, weight = values.copy(), np.ones(len(values), np.float32)
    for step in range(1, min(reach, len(values) - 1) + 1):
        same = runs[step:] == runs[:-step]
        share = np.where(same, np.float32(decay**step), np.float32(0))
        total[step:] += share * values[:-step]
        total[:-step] += share * values[step:]
        weight[step:] += share
        weight[:-step] += share
    return total / weight
