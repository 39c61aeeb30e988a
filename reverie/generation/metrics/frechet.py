"""The Frechet distance of two sets of videos (FVD, Unterthiner et al. 2018) in the space of an encoder that is named.

|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of the means and covariances of the features. A figure means nothing without
its encoder and its number of videos: published tables use I3D, and are never to be set beside another encoder's.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def frechet_distance(a: Float[ndarray, "n d"], b: Float[ndarray, "m d"]) -> float:
    """Of the normal distributions fitted to two sets of features.

    Raises:
        ValueError: fewer than two videos in a set.
    """
    from scipy.linalg import sqrtm

    if min(len(a), len(b)) < 2:
        raise ValueError("a set needs at least two videos")
    first, second = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = sqrtm(first @ second).real
    difference = a.mean(axis=0) - b.mean(axis=0)
    return max(float(difference @ difference + np.trace(first + second - 2 * root)), 0.0)
