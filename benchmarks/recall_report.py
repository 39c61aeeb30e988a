"""One table for every benchmark of text recall: ours cross-fitted, as shipped, BM25, with paired intervals.

Each dialogue is a fold; a single one is cut into folds of questions. What is fitted for a fold is fitted on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.declining import compared, crossfitted, evidence_features, surest
from benchmarks.dialogues import (
    Dialogue,
    Question,
    Ranks,
    Recaller,
    as_dict,
    at_each,
    paired_interval,
    temporary_folder,
)
from benchmarks.report import progress, publish, table
from benchmarks.vector_cache import VectorCache
from reverie.memory.search_config import SearchConfig
from reverie.perception.minilm import MiniLM
from reverie.reasoning import Calibration

SHIPPED = SearchConfig()
# What the cross-fit chooses from: the shipped weights, and others on every side of them.
TRIED = {
    "shipped": SHIPPED,
    "words less": SHIPPED.model_copy(update={"text_dense_weight": 0.4, "text_lexical_weight": 0.6}),
    "words more": SHIPPED.model_copy(update={"text_dense_weight": 0.2, "text_lexical_weight": 0.8}),
    "nearer context": SHIPPED.model_copy(update={"context_decay": 0.6}),
    "wider context": SHIPPED.model_copy(update={"context_decay": 0.85}),
}
WITHOUT = {
    "no roles": SHIPPED.model_copy(update={"role_share": 0.0}),
    "no pairs": SHIPPED.model_copy(update={"pair_share": 0.0}),
    "no context": SHIPPED.model_copy(update={"context_reach": 0}),
    "no sentences": SHIPPED.model_copy(update={"sentence_share": 0.0}),
    "words alone": SHIPPED.model_copy(update={"text_dense_weight": 0.0, "text_lexical_weight": 1.0}),
    "vectors alone": SHIPPED.model_copy(update={"text_dense_weight": 1.0, "text_lexical_weight": 0.0}),
}
DRILL_DOWN = "a session's best score lent to its turns (drill-down)"
SINGLE_FOLDS = 5
Measure = Callable[[Ranks, Sequence[int]], float]


def report_recall(
    *,
    name: str,
    title: str,
    dialogues: Sequence[Dialogue],
    ks: Sequence[int],
    measure: Measure,
    key: str,
    work: Path,
    only_json: bool,
    published: Mapping[str, Sequence[float]] | None = None,
    length_only: bool = False,
) -> None:
    """Ask every question, write the table, print the figures. Vectors are kept in `work` for the next run."""
    encoder = VectorCache(MiniLM(), work / f"{name}_vectors.npz")
    parts: list[dict[str, np.ndarray]] = []
    kinds: list[str] = []
    folds: list[int] = []
    declining: list[_Declining] = []
    for number, dialogue in enumerate(dialogues):
        progress(f"{dialogue.name}: {len(dialogue.turns)} turns, {len(dialogue.questions)} questions")
        questions = [question for question in dialogue.questions if question.evidence]
        kinds += [question.kind for question in questions]
        folds += [number if len(dialogues) > 1 else place % SINGLE_FOLDS for place in range(len(questions))]
        with temporary_folder() as folder:
            recaller = Recaller(dialogue, encoder, Path(folder) / "memory")
            parts.append(_answers(recaller, questions, ks, measure))
            declining.append(_Declining(recaller, dialogue, number if len(dialogues) > 1 else None))
        encoder.save()
        if length_only:
            by_length = sorted(range(len(dialogue.turns)), key=lambda turn: -len(dialogue.turns[turn].text))
            parts[-1]["length_only"] = at_each([by_length] * len(questions), questions, ks, measure)
    joined = {row: np.concatenate([part[row] for part in parts]) for row in parts[0]}
    chosen = _best_elsewhere(joined, np.array(folds))
    crossfit = np.array([joined[chosen[fold]][place] for place, fold in enumerate(folds)])
    abstention = _abstention(declining)
    rows = [
        ("reverie, cross-fitted", crossfit),
        ("reverie, shipped weights", joined["shipped"]),
        ("BM25", joined["bm25"]),
    ]
    if length_only:
        rows.append(("longest first", joined["length_only"]))
    rows += [(f"reverie, {row}", joined[row]) for row in (*WITHOUT, DRILL_DOWN)]
    intervals = {k: paired_interval(crossfit[:, i], joined["bm25"][:, i]) for i, k in enumerate(ks)}
    body = table(
        ("", *(f"@{k}" for k in ks)), [(label, *(f"{v:.1f}" for v in values.mean(axis=0))) for label, values in rows]
        + [("over BM25, 95 % interval", *(f"{low:+.1f} to {high:+.1f}" for low, high in intervals.values()))]
        + [(label, *figures) for label, figures in (published or {}).items()],
    )  # fmt: skip
    body += "\n\nBy kind of question, cross-fitted (BM25 in brackets).\n\n"
    by_kind = {kind: np.array([own == kind for own in kinds]) for kind in dict.fromkeys(kinds)}
    body += table(
        ("kind", "questions", *(f"@{k}" for k in ks)),
        [
            (
                kind, int(mask.sum()),
                *(f"{a:.1f} ({b:.1f})" for a, b in zip(
                    crossfit[mask].mean(axis=0), joined["bm25"][mask].mean(axis=0), strict=True
                )),
            )
            for kind, mask in by_kind.items()
        ],
    )  # fmt: skip
    body += f"\n\nWeights chosen for each fold on the others: {', '.join(chosen.values())}."
    body += (
        "\n\nDeclining what has no answer: how much of it is declined where 10 % of the answerable questions are.\n\n"
    )
    body += table(
        ("score", "AUC", "declined"),
        [(label, own["auc"], own["declined_at_10"]) for label, own in abstention["scores"].items()],
    )
    body += f"\n\n{abstention['unanswerable']} unanswerable, {abstention['answerable']} answerable."
    figures = {
        key: as_dict(ks, crossfit),
        "shipped": as_dict(ks, joined["shipped"]),
        "bm25": as_dict(ks, joined["bm25"]),
        "over_bm25_95": {str(k): interval for k, interval in intervals.items()},
        "ablation": {row: as_dict(ks, joined[row]) for row in (*WITHOUT, DRILL_DOWN)},
        "by_kind": {kind: as_dict(ks, crossfit[mask]) for kind, mask in by_kind.items()},
        "bm25_by_kind": {kind: as_dict(ks, joined["bm25"][mask]) for kind, mask in by_kind.items()},
        "abstention": abstention,
        "questions": len(kinds),
    }
    if length_only:
        figures["length_only"] = as_dict(ks, joined["length_only"])
    publish(name, title, body, figures, only_json)


def _answers(
    recaller: Recaller, questions: Sequence[Question], ks: Sequence[int], measure: Measure
) -> dict[str, np.ndarray]:
    """(questions, ks) of BM25 and of every configuration. The best k of a search are the first k of a longer one."""
    found = {row: recaller.ranked(questions, max(ks), config) for row, config in (TRIED | WITHOUT).items()}
    found[DRILL_DOWN] = recaller.drilled_down(questions, max(ks))
    found["bm25"], _ = recaller.search_bm25(questions, max(ks))
    return {row: at_each(ranked, questions, ks, measure) for row, ranked in found.items()}


def _best_elsewhere(joined: Mapping[str, np.ndarray], folds: np.ndarray) -> dict[int, str]:
    """For each fold the configuration with the best mean over all others."""
    return {
        int(fold): max(TRIED, key=lambda row: float(joined[row][folds != fold].mean())) for fold in np.unique(folds)
    }


class _Declining:
    """What says whether a dialogue's questions can be answered: for each question that is known to be or not."""

    def __init__(self, recaller: Recaller, dialogue: Dialogue, fold: int | None) -> None:
        asked = dialogue.questions
        hits = recaller.search(asked, 10)
        self.answerable = [question.answerable for question in asked]
        self.best = [found[0].score if found else 0.0 for found in hits]
        _, self.bm25 = recaller.search_bm25(asked, 1)
        self.features = [evidence_features(q.text, found) for q, found in zip(asked, hits, strict=True)]
        self.folds = [place % SINGLE_FOLDS if fold is None else fold for place in range(len(asked))]


def _abstention(parts: Sequence[_Declining]) -> dict[str, object]:
    answerable = np.array([holds for part in parts for holds in part.answerable])
    features = [rows for part in parts for rows in part.features]
    folds = np.array([fold for part in parts for fold in part.folds])
    shipped = Calibration()
    scores = {
        "BM25, best score": np.array([score for part in parts for score in part.bm25]),
        "reverie, best score": np.array([score for part in parts for score in part.best]),
        "reverie, probability": np.array([surest(rows, shipped)[0] for rows in features]),
        "reverie, probability cross-fitted": crossfitted(features, answerable, folds),
    }
    return {
        "scores": compared(scores, answerable),
        "answerable": int(answerable.sum()),
        "unanswerable": int((~answerable).sum()),
    }
