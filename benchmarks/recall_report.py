"""One table for every benchmark of text recall: ours cross-fitted, as shipped, BM25, with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

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
from reverie.memory.search_config import SearchConfig
from reverie.perception.minilm import MiniLM

SHIPPED = SearchConfig()
# What the cross-fit chooses from: the shipped weights, and others on every side of them.
TRIED = {
    "shipped": SHIPPED,
    "words less": SHIPPED.model_copy(update={"text_dense_weight": 0.5, "text_lexical_weight": 0.5}),
    "words more": SHIPPED.model_copy(update={"text_dense_weight": 0.3, "text_lexical_weight": 0.7}),
    "nearer context": SHIPPED.model_copy(update={"context_decay": 0.6}),
    "wider context": SHIPPED.model_copy(update={"context_decay": 0.85}),
}
WITHOUT = {
    "no context": SHIPPED.model_copy(update={"context_reach": 0}),
    "no sentences": SHIPPED.model_copy(update={"sentence_share": 0.0}),
    "words alone": SHIPPED.model_copy(update={"text_dense_weight": 0.0, "text_lexical_weight": 1.0}),
    "vectors alone": SHIPPED.model_copy(update={"text_dense_weight": 1.0, "text_lexical_weight": 0.0}),
}
Measure = Callable[[Ranks, Sequence[int]], float]


def report_recall(
    *,
    name: str,
    title: str,
    dialogues: Sequence[Dialogue],
    ks: Sequence[int],
    measure: Measure,
    key: str,
    only_json: bool,
    published: Mapping[str, Sequence[float]] | None = None,
    length_only: bool = False,
) -> None:
    """Ask every question that has evidence, write the table, print the figures."""
    encoder = MiniLM()
    folds: list[dict[str, np.ndarray]] = []
    kinds: list[str] = []
    for dialogue in dialogues:
        questions = [question for question in dialogue.questions if question.evidence]
        progress(f"{dialogue.name}: {len(dialogue.turns)} turns, {len(questions)} questions")
        kinds += [question.kind for question in questions]
        with temporary_folder() as folder:
            recaller = Recaller(dialogue, encoder, Path(folder) / "memory")
            folds.append(_answers(recaller, questions, ks, measure))
        if length_only:
            by_length = sorted(range(len(dialogue.turns)), key=lambda turn: -len(dialogue.turns[turn].text))
            folds[-1]["length_only"] = at_each([by_length] * len(questions), questions, ks, measure)
    chosen = [_best_elsewhere(folds, fold) for fold in range(len(folds))]
    crossfit = np.concatenate([fold[choice] for fold, choice in zip(folds, chosen, strict=True)])
    joined = {row: np.concatenate([fold[row] for fold in folds]) for row in folds[0]}
    rows = [
        ("reverie, cross-fitted", crossfit),
        ("reverie, shipped weights", joined["shipped"]),
        ("BM25", joined["bm25"]),
    ]
    if length_only:
        rows.append(("longest first", joined["length_only"]))
    rows += [(f"reverie, {row}", joined[row]) for row in WITHOUT]
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
    body += f"\n\nWeights chosen for each dialogue on the others: {', '.join(chosen)}."
    figures = {
        key: as_dict(ks, crossfit),
        "shipped": as_dict(ks, joined["shipped"]),
        "bm25": as_dict(ks, joined["bm25"]),
        "over_bm25_95": {str(k): interval for k, interval in intervals.items()},
        "ablation": {row: as_dict(ks, joined[row]) for row in WITHOUT},
        "by_kind": {kind: as_dict(ks, crossfit[mask]) for kind, mask in by_kind.items()},
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
    found["bm25"] = recaller.ranked_by_bm25(questions, max(ks))
    return {row: at_each(ranked, questions, ks, measure) for row, ranked in found.items()}


def _best_elsewhere(folds: Sequence[Mapping[str, np.ndarray]], held_out: int) -> str:
    """The configuration with the best mean over all other dialogues."""
    others = [fold for number, fold in enumerate(folds) if number != held_out]
    return max(TRIED, key=lambda row: float(np.concatenate([fold[row] for fold in others]).mean()))
