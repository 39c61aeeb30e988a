"""Moving a boundary of surprise once the next event is complete (Fountas et al. 2024, section 3.3): tried, not shipped.

Of all divisions of the moments of both events the one of highest modularity, or lowest conductance, in the graph that
weights two moments by their cosine. Commit 8c29d4d had it in the memory, within the transaction that closes the second.
"""

from __future__ import annotations

import numpy as np

from reverie.memory.segmentation import SegmentationConfig
from reverie.types import ns


def candidates(
    times_ns: np.ndarray, start_ns: int, boundary_ns: int, end_ns: int, config: SegmentationConfig
) -> np.ndarray:
    """Indices of the moments that may begin the second event: both keep their shortest and longest duration.

    None where a hard cut ended the second one before its shortest duration: any other start would be wrong.
    """
    first_ns = max(start_ns + ns(config.min_s), end_ns - ns(config.max_s))
    last_ns = min(start_ns + ns(config.max_s), end_ns - ns(config.min_s))
    begins = np.flatnonzero(np.diff(times_ns) > 0) + 1
    return begins[(times_ns[begins] >= first_ns) & (times_ns[begins] <= last_ns) & (boundary_ns <= last_ns)]


def modularity_split(vectors: np.ndarray, begins: np.ndarray) -> int:
    """The first moment of the second event, one of `begins`, by modularity."""
    left, across, total = _sums(vectors, begins)
    return int(begins[np.argmax((total - 2 * across) / total - (left / total) ** 2 - (1 - left / total) ** 2)])


def conductance_split(vectors: np.ndarray, begins: np.ndarray) -> int:
    """The same by conductance."""
    left, across, total = _sums(vectors, begins)
    return int(begins[np.argmin(across / np.maximum(np.minimum(left, total - left), 1e-12))])


def _sums(vectors: np.ndarray, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Weight of the first community's edges and of those across, for each division, and of all (above zero)."""
    weights = np.maximum(vectors.astype(np.float64) @ vectors.T, 0)
    np.fill_diagonal(weights, 0)
    left = weights.sum(1).cumsum()[begins - 1]
    across = left - np.diagonal(weights.cumsum(0).cumsum(1))[begins - 1]
    return left, across, max(float(weights.sum()), 1e-12)
