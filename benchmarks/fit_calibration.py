"""Learn the reasoner's calibration from a stream whose truth is known.

    python benchmarks/fit_calibration.py [--seed 7] [--stream STREAM.mp4 --memory DIR]

The stream of the seed is composed and watched with the embedded profile, or one that was watched before is taken with
the truth beside it. Every question about one thing, sentence or text gives labelled evidence (`Reasoner.examples`):
what lies in the truth is present, all else that memory offers for the same words is not. `fit` starts from the
coefficients that ship and is pulled towards them, because one stream has few examples. Printed are the new
coefficients and, for several thresholds, the scores on the same stream with the old coefficients and with the new
ones; copy what is better into reverie/reasoning/calibration.py and inquiry.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.answers import headline, watched
from benchmarks.questions import make_questions
from benchmarks.report import arguments, progress, publish, table
from benchmarks.scoring import Question, Scores, judge, summarise
from demos.sample.truth import Truth
from reverie.memory import Memory
from reverie.pipeline.build import open_memory, senses
from reverie.pipeline.config import Profile, load_profile
from reverie.reasoning import Calibration, Example, Reasoner, ReasonerConfig, fit
from reverie.types import TimeSpan, ns

ONE_CUE = ("when", "is_there", "said", "written", "how_many", "where", "heard")  # others mix several moments
PULL = 0.3
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


def examples(reasoner: Reasoner, questions: Sequence[Question]) -> list[Example]:
    """Labelled evidence of all questions about one thing. Listed things only: of others nothing can be learned."""
    found: list[Example] = []
    for question in questions:
        if question.kind in ONE_CUE and not (question.answerable and question.vocabulary == "open"):
            spans = [TimeSpan(start_ns=ns(a), end_ns=ns(b)) for a, b in question.spans_s]
            found += reasoner.examples(question.text, spans)
    return found


def scores(memory: Memory, profile: Profile, config: ReasonerConfig, questions: Sequence[Question]) -> Scores:
    reasoner = Reasoner(memory, senses(profile), config)
    verdicts = []
    for question in questions:
        answer = reasoner.ask(question.text)
        cited = [(citation.span.start_s, citation.span.end_s) for citation in answer.citations]
        verdicts.append(judge(question, answer.text, answer.abstained, cited))
    return summarise(headline(verdicts))


def main() -> None:
    args = arguments(
        __doc__, seed={"type": int, "default": 7}, stream={"type": Path, "help": "a stream that was watched before"},
        memory={"type": Path, "help": "its memory"},
    )  # fmt: skip
    if args.stream is not None and args.memory is not None:
        truth, directory = Truth.read(args.stream.with_suffix(".truth.json")), args.memory
    else:
        truth, directory = watched(args.seed, args.work)
    profile, questions = load_profile("embedded"), make_questions(truth)
    memory = open_memory(directory, profile, "r")
    try:
        learned_from = examples(Reasoner(memory, senses(profile)), questions)
        progress(
            f"{sum(e.present for e in learned_from)} of {len(learned_from)} pieces of evidence hold what was asked"
        )
        learned = fit(learned_from, pull=PULL)
        rows = []
        for name, calibration in (("shipped", Calibration()), ("learned", learned)):
            for threshold in THRESHOLDS:
                config = ReasonerConfig(calibration=calibration, threshold=threshold)
                s = scores(memory, profile, config, questions)
                shares = (s.citations, s.texts, s.abstention_recall, s.wrong_abstentions)
                rows.append([name, threshold, *(f"{share:.1%}" for share in shares)])
    finally:
        memory.close()
    headings = ("coefficients", "threshold", "citation", "text", "abstention recall", "wrong abstentions")
    body = table(headings, rows) + "\n\n" + "\n".join(f"{k}: {v}" for k, v in learned.model_dump().items())
    publish("calibration", f"Calibration on seed {truth.seed}", body, learned.model_dump(), args.json)


if __name__ == "__main__":
    main()
