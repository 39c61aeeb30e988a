"""Is a question declined that has no answer? By a threshold on how sure the best evidence is.

Four scores of a question are compared: the best score of BM25, the best of `Memory.search`, the reasoner's probability
that the best passage holds the question's cue (its shipped calibration), and the same with the calibration fitted on
the other dialogues (`reverie.reasoning.fit`). AUC is the chance that an answerable question scores above one that is
not; "declined" the share of unanswerable ones below the threshold under which 10 % of the answerable ones lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reverie.reasoning import Calibration, fit, parse
from reverie.reasoning.calibration import Channel, Example
from reverie.reasoning.evidence import text_features
from reverie.types import Hit

LOOKED_AT = 10  # passages, as many as an answer looks at
WRONG = 0.1  # the share of answerable questions that may be declined


def evidence_features(question: str, hits: Sequence[Hit]) -> list[tuple[float, ...]]:
    """`text_features` of the best passages for the question's cue."""
    read = parse(question)
    cue = read.whole or read.cue
    best = sorted(hits, key=lambda hit: -hit.score)[:LOOKED_AT]
    return [text_features(cue, hit) for hit in best] or [(0.0,) * 6]


def surest(features: Sequence[tuple[float, ...]], calibration: Calibration) -> tuple[float, tuple[float, ...]]:
    """The highest probability among passages, and the features that have it."""
    return max((calibration.probability(Channel.TEXT, row), row) for row in features)


def crossfitted(features: Sequence[list[tuple[float, ...]]], answerable: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The probability of each question by a calibration that was fitted on the other folds."""
    start = Calibration()
    examples = [
        Example(channel=Channel.TEXT, features=surest(rows, start)[1], present=bool(holds))
        for rows, holds in zip(features, answerable, strict=True)
    ]
    scores = np.empty(len(features))
    for fold in np.unique(folds):
        learned = fit([example for example, own in zip(examples, folds, strict=True) if own != fold], start)
        for number in np.flatnonzero(folds == fold):
            scores[number] = surest(features[number], learned)[0]
    return scores


def auc(scores: np.ndarray, answerable: np.ndarray) -> float:
    """Area under the curve of answerable against unanswerable, ties counted half, in percent."""
    above, below = scores[answerable][:, None], scores[~answerable][None, :]
    return round(100 * float(((above > below) + 0.5 * (above == below)).mean()), 1)


def declined(scores: np.ndarray, answerable: np.ndarray) -> float:
    """The percentage of unanswerable questions below the threshold that declines `WRONG` of the answerable ones."""
    threshold = np.quantile(scores[answerable], WRONG)
    return round(100 * float((scores[~answerable] < threshold).mean()), 1)


def compared(scores: Mapping[str, np.ndarray], answerable: np.ndarray) -> dict[str, dict[str, float]]:
    """Both figures of every score."""
    return {
        name: {"auc": auc(own, answerable), "declined_at_10": declined(own, answerable)} for name, own in scores.items()
    }
