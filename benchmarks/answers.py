"""How well questions about composed streams are answered: citations, text, abstention.

    python benchmarks/answers.py [--seeds 11 12 13] [--json]

Each seed is a stream of two minutes that is watched with the embedded profile and then asked about 30
answerable and 30 unanswerable questions of all kinds (benchmarks/questions.py). Thresholds were set on
seed 7 (benchmarks/fit_calibration.py); the default seeds were never looked at while tuning. Beside it in the
same run: BM25 alone over what was heard and read, answering always with its best passage.

The scores are of questions about words, music and things that a class list of the profile has (by membership,
demos/sample/catalogue.py). Questions about other things are asked too and stand in a row of their own: there the right
behaviour is to abstain or to answer rightly, and the shares of both are given.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.questions import make_questions
from benchmarks.report import arguments, progress, publish, table
from benchmarks.scoring import Scores, Verdict, judge, summarise
from demos.sample.compose import compose
from demos.sample.truth import Truth
from reverie.pipeline.session import Session
from reverie.types import Modality, Query

SECONDS = 120


def watched(seed: int, work: Path) -> tuple[Truth, Path]:
    """The stream of a seed, composed and watched."""
    path = work / f"answers-{seed}.mp4"
    progress(f"seed {seed}: composing")
    truth = compose(seed, SECONDS, path)
    memory = work / f"answers-{seed}.memory"
    shutil.rmtree(memory, ignore_errors=True)
    progress(f"seed {seed}: watching")
    with Session(memory) as session:
        session.watch(path)
    return truth, memory


def ask_all(truth: Truth, memory: Path) -> tuple[list[Verdict], list[Verdict], list[float]]:
    """Verdicts of reverie, of BM25 alone, and reverie's latencies in ms."""
    ours: list[Verdict] = []
    baseline: list[Verdict] = []
    latencies_ms: list[float] = []
    with Session(memory, runner="local") as session:
        session.ask("What was seen?")
        for question in make_questions(truth):
            started = time.perf_counter()
            answer = session.ask(question.text)
            latencies_ms.append((time.perf_counter() - started) * 1000)
            cited = [(citation.span.start_s, citation.span.end_s) for citation in answer.citations]
            ours.append(judge(question, answer.text, answer.abstained, cited))
            modalities = (Modality.SPEECH, Modality.WRITING)
            hits = session.memory.search(Query(text=question.text, k=10, modalities=modalities))
            best = max(hits, key=lambda hit: hit.lexical, default=None)
            spans = [(best.span.start_s, best.span.end_s)] if best else []
            baseline.append(judge(question, best.text if best else "", best is None, spans))
    return ours, baseline, latencies_ms


def headline(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those about words, music and things of the class lists."""
    return [verdict for verdict in verdicts if verdict.question.vocabulary != "open"]


def outside(verdicts: Iterable[Verdict]) -> tuple[int, float, float]:
    """Of what no class list has: how many answerable questions, the share answered rightly, the share declined."""
    asked = [v for v in verdicts if v.question.vocabulary == "open" and v.question.answerable]
    right = sum(verdict.citation and verdict.text for verdict in asked)
    declined = sum(verdict.declined for verdict in asked)
    return len(asked), right / max(1, len(asked)), declined / max(1, len(asked))


def row(name: str, scores: Scores) -> list[object]:
    return [
        name,
        scores.num_answerable,
        f"{scores.citations:.1%}",
        f"{scores.texts:.1%}",
        scores.num_unanswerable,
        f"{scores.abstention_recall:.1%}",
        f"{scores.wrong_abstentions:.1%}",
    ]


def main() -> None:
    args = arguments(__doc__, seeds={"type": int, "nargs": "+", "default": [11, 12, 13]})
    rows: list[list[object]] = []
    every: list[Verdict] = []
    every_baseline: list[Verdict] = []
    latencies_ms: list[float] = []
    for seed in args.seeds:
        ours, baseline, times = ask_all(*watched(seed, args.work))
        rows.append(row(f"seed {seed}", summarise(headline(ours))))
        every, every_baseline, latencies_ms = every + ours, every_baseline + baseline, latencies_ms + times
    total = summarise(headline(every))
    rows += [row("all", total), row("BM25 alone", summarise(headline(every_baseline)))]
    num_open, open_right, open_declined = outside(every)
    headings = ("", "answerable", "citation", "text", "unanswerable", "abstention recall", "wrong abstentions")
    body = table(headings, rows)
    body += (
        f"\n\nOutside the class lists: {num_open} answerable questions, {open_right:.1%} answered rightly (citation "
        f"and text), {open_declined:.1%} declined, {1 - open_right - open_declined:.1%} answered wrongly."
    )
    kinds: dict[str, list[Verdict]] = {}
    for verdict in headline(every):
        kinds.setdefault(verdict.question.kind, []).append(verdict)
    body += "\n\nBy kind.\n\n" + table(headings, [row(kind, summarise(part)) for kind, part in sorted(kinds.items())])
    p50 = statistics.median(latencies_ms)
    body += f"\n\nWarm latency: p50 {p50:.0f} ms, p95 {statistics.quantiles(latencies_ms, n=20)[-1]:.0f} ms."
    figures: dict[str, Any] = {
        "seeds": args.seeds,
        "citation": total.citations,
        "text": total.texts,
        "abstention_recall": total.abstention_recall,
        "wrong_abstentions": total.wrong_abstentions,
        "num_answerable": total.num_answerable,
        "outside": {"num_answerable": num_open, "right": open_right, "declined": open_declined},
        "num_unanswerable": total.num_unanswerable,
        "latency_p50_ms": p50,
        "misses": [
            {"id": verdict.question.question_id, "question": verdict.question.text}
            for verdict in every
            if not (verdict.citation and verdict.text if verdict.question.answerable else verdict.declined)
        ],
    }
    publish("answers", "Answers on composed streams", body, figures, args.json)


if __name__ == "__main__":
    main()
