"""Voices in questions: "who shouted", "what did she whisper about the train" ask for excited or for calm voices.

How excited a voice was is measured against the minute of speech before (`Observation.arousal`), so shouting all day
long is as usual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reverie.reasoning.retriever import LabelCount, Retriever
from reverie.types import Event, Fact, Hit, Modality, Query, StreamRecord, TimeSpan, Track

Arousal = tuple[float, float]
EXCITED, CALM = (0.65, 1.0), (0.0, 0.35)
NAMES = {EXCITED: "excited voices", CALM: "calm voices"}

_VERBS = {"shout": EXCITED, "yell": EXCITED, "scream": EXCITED, "whisper": CALM, "murmur": CALM, "mutter": CALM}
_NOUN_AFTER = "".join(
    rf"(?<!\b{word} )" for word in ["the", "a", "an", "any", "some", "no", "of", "hear", "heard", "there"]
)
_VERB = re.compile(
    rf"{_NOUN_AFTER}\b(?P<verb>{'|'.join(_VERBS)})(?P<ending>s|ed|ing|)\b(?: at (?:me|us|him|her|them|you)\b)?"
)
_ASKED = re.compile(r"\b(?:do|does|did|to|can|could|will|would|not)\b", re.I)  # what a plain "shout" needs to be a verb
_SAYS = {"": "say", "s": "says", "ed": "said", "ing": "saying"}
_SAY = re.compile(
    r"\b(?:say|says|said|saying|spoken?|speak(?:s|ing)?|talk(?:s|ed|ing)?|tell|told|ask(?:s|ed)?)\b", re.I
)
_MANNER = re.compile(
    r"(?<!\bthe )(?<!\ba )(?<!\ban )\b(?:(?P<excited>loudly|excitedly|angrily)|(?P<calm>quietly|softly|calmly)|"
    r"in an? (?:(?P<excited_voice>loud|excited|angry|raised)|(?P<calm_voice>low|quiet|soft|calm)) voice)\b",
    re.I,
)
_ANOTHER_CLAUSE = re.compile(
    r"^(?:while|as|after|before|until|once|during)\b|^when\b[^?]*,|"
    r"(?<=\S) +(?:while|when|after|before|as|until|since|once)\b",
    re.I,
)


def find_voice(text: str) -> tuple[Arousal | None, str]:
    """The range of arousal that a question asks for, and the question with a plain "say" instead; None for any voice.

    Only verbs of its main clause count ("did you hear a scream" asks for a sound), and what stands in quotation marks
    never: it may be what was said.
    """
    clause = _ANOTHER_CLAUSE.search(text)
    main = text[: clause.start()] if clause else text
    if '"' in text or not main:
        return None, text
    if _SAY.search(main):
        if (manner := _MANNER.search(main)) is None:
            return None, text
        wanted = EXCITED if manner["excited"] or manner["excited_voice"] else CALM
        return wanted, " ".join((text[: manner.start()] + text[manner.end() :]).split())
    verb = _VERB.search(main)
    if verb is None or (not verb["ending"] and not _ASKED.search(main[: verb.start()])):
        return None, text
    return _VERBS[verb["verb"]], text[: verb.start()] + _SAYS[verb["ending"]] + text[verb.end() :]


@dataclass(frozen=True, slots=True)
class Voices:
    """A `Retriever` that shows of what was said only what was said in voices that excited; all else as it is."""

    retriever: Retriever
    arousal: Arousal

    def search(self, query: Query) -> list[Hit]:
        others, spoken = _parted(query.modalities)
        found = self.retriever.search(replace(query, modalities=others)) if others else []
        if spoken:
            said = replace(query, modalities=(Modality.SPEECH,), arousal=self.arousal)
            found += self._so_said(self.retriever.search(said))
        return sorted(found, key=lambda hit: -hit.score)[: query.k]

    def tracks(
        self, name: str | None = None, stream_ids: tuple[str, ...] = (), span: TimeSpan | None = None
    ) -> list[Track]:
        return self.retriever.tracks(name, stream_ids, span)

    def timeline(self, span: TimeSpan | None = None, stream_ids: tuple[str, ...] = ()) -> list[Event]:
        return self.retriever.timeline(span, stream_ids)

    def latest(self, duration_ns: int, stream_ids: tuple[str, ...] = ()) -> list[Hit]:
        return self._so_said(self.retriever.latest(duration_ns, stream_ids))

    def streams(self) -> list[StreamRecord]:
        return self.retriever.streams()

    def labels(self) -> Sequence[LabelCount]:
        return self.retriever.labels()

    def facts(self, subject: str | None = None, predicate: str | None = None, *, history: bool = False) -> list[Fact]:
        """None: they do not tell how they were said."""
        return []

    def observations(
        self,
        modalities: tuple[Modality, ...] = (),
        stream_ids: tuple[str, ...] = (),
        span: TimeSpan | None = None,
        limit: int = 1000,
    ) -> list[Hit]:
        others, spoken = _parted(modalities)
        found = self.retriever.observations(others, stream_ids, span, limit) if others else []
        if spoken:
            found += self.search(Query(k=limit, modalities=(Modality.SPEECH,), stream_ids=stream_ids, span=span))
        return sorted(found, key=lambda hit: (hit.span.start_ns, hit.stream_id))[:limit]

    def _so_said(self, hits: Sequence[Hit]) -> list[Hit]:
        low, high = self.arousal
        return [
            hit
            for hit in hits
            if hit.modality is not Modality.SPEECH or (hit.arousal is not None and low <= hit.arousal <= high)
        ]


def _parted(modalities: tuple[Modality, ...]) -> tuple[tuple[Modality, ...], bool]:
    """The senses but for speech, and whether speech is among them; none named means all."""
    asked = modalities or tuple(Modality)
    return tuple(modality for modality in asked if modality is not Modality.SPEECH), Modality.SPEECH in asked
