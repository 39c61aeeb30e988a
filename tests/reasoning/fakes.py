"""An in-memory memory for tests of reasoning: observations in, passages out. Real search, no mocks."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reverie.reasoning.retriever import LabelCount
from reverie.reasoning.senses import EMBEDDED_MISSING, Senses
from reverie.reasoning.vocabulary import listed
from reverie.types import (
    Box,
    Event,
    Fact,
    Hit,
    Label,
    Modality,
    Query,
    StreamRecord,
    TextEncoder,
    TimeSpan,
    Track,
    ns,
)

COCO = (
    *listed(
        "person bicycle car motorcycle airplane bus train truck boat bird cat dog horse sheep cow elephant bear zebra "
        "giraffe backpack umbrella handbag suitcase bottle cup fork knife spoon bowl banana apple sandwich orange "
        "pizza donut cake chair couch bed toilet tv laptop mouse keyboard book clock vase scissors"
    ),
    *("sports ball", "dining table", "cell phone", "teddy bear", "potted plant", "wine glass", "hot dog"),
)

MEANINGS = {
    "tabby": "tabby, tabby cat: a cat with a grey or tawny coat mottled with black",
    "Egyptian cat": "Egyptian cat: a domestic cat of Egypt",
    "missile": "missile: a rocket carrying a warhead of conventional or nuclear explosives",
    "espresso": "espresso: strong black coffee brewed by forcing hot water under pressure through ground coffee beans",
    "red fox": "red fox, Vulpes vulpes: the common Old World fox",
    "palace": "palace: official residence of an exalted person",
    "analog clock": "analog clock: a clock that displays the time of day by the position of hands on a dial",
    "castle": "castle: a large building formerly occupied by a ruler and fortified against attack",
}

SENSES = Senses(
    profile="embedded",
    object_names=COCO,
    class_meanings=MEANINGS,
    missing=EMBEDDED_MISSING,
)


def span(start_s: float, end_s: float) -> TimeSpan:
    return TimeSpan(start_ns=ns(start_s), end_ns=ns(end_s))


class BagOfWords:
    """A TextEncoder without weights: hashed words, unit norm."""

    encoder_id = "bag-of-words"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 256), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % 256] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@dataclass(frozen=True)
class Count:
    name: str
    kind: str
    count: int


@dataclass
class FakeRetriever:
    """Keeps hits and tracks. `dense` is a real cosine of the given encoder, `lexical` idf-weighted coverage."""

    encoder: TextEncoder = field(default_factory=BagOfWords)
    hits: list[Hit] = field(default_factory=list)
    visits: list[Track] = field(default_factory=list)
    records: list[StreamRecord] = field(default_factory=list)
    searches: list[Query] = field(default_factory=list)

    # --- filling ---------------------------------------------------------------------------------

    def watched(self, end_s: float, stream_id: str = "a", start_s: float = 0.0) -> FakeRetriever:
        self.records.append(
            StreamRecord(
                stream_id=stream_id, uri=f"{stream_id}.mp4", live=False, watched=span(start_s, end_s), ended=True,
                wall_anchor_ns=None,
            )
        )  # fmt: skip
        return self

    def perceive(
        self, modality: Modality, text: str, start_s: float, end_s: float, stream_id: str = "a"
    ) -> FakeRetriever:
        self.hits.append(_hit(stream_id, span(start_s, end_s), modality, text))
        return self

    def say(
        self, text: str, start_s: float, end_s: float, stream_id: str = "a", arousal: float | None = None
    ) -> FakeRetriever:
        self.hits.append(replace(_hit(stream_id, span(start_s, end_s), Modality.SPEECH, text), arousal=arousal))
        return self

    def write(self, text: str, start_s: float, end_s: float, stream_id: str = "a") -> FakeRetriever:
        return self.perceive(Modality.WRITING, text, start_s, end_s, stream_id)

    def play(self, start_s: float, end_s: float, stream_id: str = "a") -> FakeRetriever:
        return self.perceive(Modality.SOUND, "music", start_s, end_s, stream_id)

    def picture(
        self, classes: dict[str, float], start_s: float, end_s: float, stream_id: str = "a", colour: str = "grey"
    ) -> FakeRetriever:
        labels = tuple(Label(name=name, score=score) for name, score in classes.items())
        labels += (Label(name=colour, score=0.6, kind="colour"),)
        text = ", ".join(classes)
        self.hits.append(replace(_hit(stream_id, span(start_s, end_s), Modality.VISION, text), labels=labels))
        return self

    def track(
        self, name: str, start_s: float, end_s: float, score: float = 0.8, x: float = 0.5, stream_id: str = "a"
    ) -> FakeRetriever:
        number = len(self.visits) + 1
        box = Box(
            track_id=number, name=name, score=score, x0=max(0.0, x - 0.1), y0=0.4, x1=min(1.0, x + 0.1), y1=0.6,
            since_ns=ns(start_s),
        )  # fmt: skip
        self.visits.append(
            Track(
                stream_id=stream_id, track_id=number, name=name, span=span(start_s, end_s), score=score,
                thumbnail=None, box=box,
            )
        )  # fmt: skip
        return self

    # --- the protocol ----------------------------------------------------------------------------

    def search(self, query: Query) -> list[Hit]:
        self.searches.append(query)
        found = self.observations(query.modalities, query.stream_ids, query.span)
        if query.arousal is not None:
            low, high = query.arousal
            found = [h for h in found if h.arousal is not None and (query.text or low <= h.arousal <= high)]
        if not found:
            return []
        vectors = self.encoder.encode([query.text, *(hit.text for hit in found)])
        dense = vectors[1:] @ vectors[0]
        words = set(re.findall(r"\w+", query.text.lower()))
        document = [set(re.findall(r"\w+", hit.text.lower())) for hit in found]
        frequency = Counter(word for one in document for word in one)
        weight = {word: 1.0 / (1 + frequency[word]) for word in words}
        lexical = [sum(weight[w] for w in words & one) / max(1e-9, sum(weight.values())) for one in document]
        scored = [
            replace(hit, dense=float(d), lexical=float(x), score=float(min(1.0, max(0.0, 0.5 * d + 0.5 * x))))
            for hit, d, x in zip(found, dense, lexical, strict=True)
        ]
        best = sorted(scored, key=lambda hit: -hit.score)[: query.k]
        return sorted(best, key=lambda hit: (hit.span.start_ns, hit.stream_id))

    def tracks(
        self, name: str | None = None, stream_ids: tuple[str, ...] = (), span: TimeSpan | None = None
    ) -> list[Track]:
        return [v for v in self.visits if name in (None, v.name) and _in(v.stream_id, v.span, stream_ids, span)]

    def timeline(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Event]:
        return [
            Event(event_id=i, stream_id=h.stream_id, span=h.span, text=h.text, labels=h.labels, thumbnail=None)
            for i, h in enumerate(self.observations((Modality.VISION,), stream_ids, span))
        ]

    def latest(self, duration_ns: int, stream_ids: tuple[str, ...] = ()) -> list[Hit]:
        records = [r for r in self.records if not stream_ids or r.stream_id in stream_ids]
        if not records:
            return []
        end_ns = records[-1].watched.end_ns
        window = TimeSpan(start_ns=max(0, end_ns - duration_ns), end_ns=end_ns)
        return self.observations((), (records[-1].stream_id,), window)

    def streams(self) -> list[StreamRecord]:
        return list(self.records)

    def facts(self, subject: str | None = None, predicate: str | None = None, *, history: bool = False) -> list[Fact]:
        return []

    def labels(self) -> Sequence[LabelCount]:
        counts = Counter((label.name, label.kind) for hit in self.hits for label in hit.labels)
        return [Count(name, kind, count) for (name, kind), count in counts.items()]

    def observations(
        self,
        modalities: tuple[Modality, ...] = (),
        stream_ids: tuple[str, ...] = (),
        span: TimeSpan | None = None,
        limit: int = 1000,
    ) -> list[Hit]:
        found = [
            hit
            for hit in self.hits
            if (not modalities or hit.modality in modalities) and _in(hit.stream_id, hit.span, stream_ids, span)
        ]
        return sorted(found, key=lambda hit: (hit.span.start_ns, hit.stream_id))[:limit]


def _hit(stream_id: str, at: TimeSpan, modality: Modality, text: str) -> Hit:
    return Hit(stream_id=stream_id, span=at, modality=modality, text=text, score=1.0, dense=0.0, lexical=0.0)


def _in(stream_id: str, at: TimeSpan, stream_ids: tuple[str, ...], window: TimeSpan | None) -> bool:
    return (not stream_ids or stream_id in stream_ids) and (window is None or at.overlaps(window))
