"""What the benchmarks of text recall share: dialogues as streams of utterances, BM25 beside, paired intervals.

A dialogue is written through `Memory.write` as one stream of speech, an utterance a turn with its time stamp and its
speaker named in front, and asked through `Memory.search` with no other help: k counts every hit that is returned.
BM25 (bm25s, Lucene's variant, k1 = 1.5, b = 0.75, Snowball's English stemmer and stop words) sees the same texts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bm25s
import numpy as np
import Stemmer

from reverie.memory.config import MemoryConfig
from reverie.memory.memory import Memory
from reverie.memory.search_config import SearchConfig
from reverie.types import EndOfStream, Hit, Item, Modality, Observation, Query, StreamStart, TextEncoder, TimeSpan, ns

SPEAKING_S, TURN_S = 4.0, 10.0  # a turn lasts 4 s and the next one begins 10 s after it began
SESSION_GAP_S, WIDE_K, LENT = 1800.0, 200, 0.3  # drilling down: between sessions; hits read; of a session's best
STREAM = "dialogue"
Ranks = Sequence[int]  # of turns by number, best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One utterance. `turn_id` is the data set's own."""

    turn_id: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and the numbers of the turns that hold the evidence (none: it is not scored for recall).

    `answerable`: whether the dialogue holds an answer.
    """

    text: str
    kind: str
    evidence: tuple[int, ...]
    answerable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """Turns in time order, and questions about them."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


def spaced(start: datetime, texts: Iterable[tuple[str, str]]) -> list[Turn]:
    """Turns of one session, (id, text) each, at a speaker's pace."""
    return [
        Turn(turn_id=turn_id, text=text, at=start + timedelta(seconds=TURN_S * place))
        for place, (turn_id, text) in enumerate(texts)
    ]


class Recaller:
    """A memory that has heard a dialogue, and BM25 over the same texts."""

    def __init__(self, dialogue: Dialogue, encoder: TextEncoder, folder: Path) -> None:
        self._folder, self._encoder, self._turns = folder, encoder, dialogue.turns
        first = min(turn.at for turn in dialogue.turns)
        starts_ns = [ns((turn.at - first).total_seconds()) for turn in dialogue.turns]
        if sorted(set(starts_ns)) != starts_ns:
            raise ValueError(f"{dialogue.name}: turns are not in time order, or two have one time")
        self._number = {start_ns: number for number, start_ns in enumerate(starts_ns)}
        items: list[Item] = [
            StreamStart(
                stream_id=STREAM, uri=dialogue.name, live=False, has_video=False, has_audio=True,
                wall_anchor_ns=int(first.replace(tzinfo=first.tzinfo or UTC).timestamp()) * 10**9,
            )
        ]  # fmt: skip
        items += [
            Observation(
                stream_id=STREAM, seq=number, span=TimeSpan(start_ns=start_ns, end_ns=start_ns + ns(SPEAKING_S)),
                modality=Modality.SPEECH, confidence=1.0, text=turn.text,
            )
            for number, (start_ns, turn) in enumerate(zip(starts_ns, dialogue.turns, strict=True))
        ]  # fmt: skip
        items.append(EndOfStream(stream_id=STREAM, pts_ns=starts_ns[-1] + ns(SPEAKING_S)))
        with Memory.open(folder, text_encoder=encoder, mode="w") as memory:
            for begin in range(0, len(items), 256):
                memory.write(items[begin : begin + 256])
        self._stem = Stemmer.Stemmer("english")
        self._bm25 = bm25s.BM25()
        self._bm25.index(self._tokens([turn.text for turn in dialogue.turns]), show_progress=False)

    def search(self, questions: Sequence[Question], k: int, config: SearchConfig | None = None) -> list[list[Hit]]:
        """For each question the k hits, best first."""
        options = MemoryConfig(search=config or SearchConfig(), remember_recalls=False)
        with Memory.open(self._folder, text_encoder=self._encoder, config=options) as memory:
            found = [memory.search(Query(text=question.text, k=k)) for question in questions]
        return [sorted(hits, key=lambda hit: -hit.score) for hits in found]

    def ranked(self, questions: Sequence[Question], k: int, config: SearchConfig | None = None) -> list[list[int]]:
        """For each question the numbers of the turns of the k hits, best first."""
        found = self.search(questions, k, config)
        return [[self._number[hit.span.start_ns] for hit in hits] for hits in found]

    def drilled_down(self, questions: Sequence[Question], k: int) -> list[list[int]]:
        """The same, each hit with a share of the best score of its session on top: sessions first, then their turns."""
        times = [turn.at.timestamp() for turn in self._turns]
        session_of = np.cumsum(np.diff(times, prepend=times[0]) > SESSION_GAP_S)
        ranked = []
        for hits in self.search(questions, max(WIDE_K, k)):
            numbers = [self._number[hit.span.start_ns] for hit in hits]
            best: dict[int, float] = {}
            for number, hit in zip(numbers, hits, strict=True):
                best.setdefault(session_of[number], hit.score)
            lent = {n: hit.score + LENT * best[session_of[n]] for n, hit in zip(numbers, hits, strict=True)}
            ranked.append(sorted(numbers, key=lambda number: -lent[number])[:k])
        return ranked

    def search_bm25(self, questions: Sequence[Question], k: int) -> tuple[list[list[int]], list[float]]:
        """For each question the numbers of BM25's k turns, best first, and the score of the best."""
        tokens = self._tokens([question.text for question in questions])
        numbers, scores = self._bm25.retrieve(tokens, k=min(k, len(self._turns)), show_progress=False)
        return [row.tolist() for row in numbers], scores[:, 0].tolist()

    def _tokens(self, texts: list[str]) -> bm25s.tokenization.Tokenized:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stem, show_progress=False)


def recall_share(found: Ranks, evidence: Sequence[int]) -> float:
    """The share of the evidence that was found."""
    return len(set(found) & set(evidence)) / len(evidence)


def recall_all(found: Ranks, evidence: Sequence[int]) -> float:
    """1 if all the evidence was found."""
    return float(set(evidence) <= set(found))


def at_each(
    ranked: Sequence[Ranks],
    questions: Sequence[Question],
    ks: Sequence[int],
    measure: Callable[[Ranks, Sequence[int]], float],
) -> np.ndarray:
    """(questions, ks) of a measure, in percent."""
    rows = [[measure(found[:k], q.evidence) for k in ks] for found, q in zip(ranked, questions, strict=True)]
    return 100 * np.array(rows).reshape(len(rows), len(ks))


def paired_interval(ours: np.ndarray, theirs: np.ndarray, seed: int = 0, rounds: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean difference over questions."""
    difference = ours - theirs
    drawn = np.random.default_rng(seed).integers(0, len(difference), (rounds, len(difference)))
    low, high = np.percentile(difference[drawn].mean(axis=1), (2.5, 97.5))
    return round(float(low), 1), round(float(high), 1)


def as_dict(ks: Sequence[int], values: np.ndarray) -> Mapping[str, float]:
    """Means by k, for the JSON object."""
    return {str(k): round(float(value), 1) for k, value in zip(ks, values.mean(axis=0), strict=True)}


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Where memories of one run lie."""
    return tempfile.TemporaryDirectory(prefix="dialogues-")
