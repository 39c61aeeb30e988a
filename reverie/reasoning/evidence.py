"""Finding a cue in a memory: candidates with a calibrated probability each, best first.

Speech and writing are judged by the words they share with the cue, tracked things by the detector's
names, pictures by class names and vectors. A question's own words decide which senses are asked; when
they name none, the evidence decides. Two searches and one track look-up a cue at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from reverie.reasoning.calibration import Calibration, Channel
from reverie.reasoning.names import NameBook
from reverie.reasoning.question import Cue
from reverie.reasoning.retriever import Retriever
from reverie.reasoning.vocabulary import content_words, coverage, occurrences, same_word, stem, stems
from reverie.types import NS_PER_S, Box, Citation, Hit, Modality, Query, TimeSpan, Track

TEXT_MODALITIES = (Modality.SPEECH, Modality.WRITING, Modality.SOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a question looks: which streams, and which span of them (None: all)."""

    stream_ids: tuple[str, ...] = ()
    span: TimeSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A piece of evidence. `name` is what was seen, `probability` that it holds the cue; features as in calibration."""

    stream_id: str
    span: TimeSpan
    modality: Modality
    text: str
    probability: float
    name: str = ""
    thumbnail: str | None = None
    box: Box | None = None
    features: tuple[float, ...] = ()
    colours: tuple[str, ...] = field(default=())

    @property
    def is_text(self) -> bool:
        return self.modality in (Modality.SPEECH, Modality.WRITING)

    @property
    def channel(self) -> Channel:
        if self.modality is Modality.OBJECTS:
            return Channel.THING
        return Channel.PICTURE if self.modality is Modality.VISION else Channel.TEXT

    def citation(self) -> Citation:
        return Citation(
            stream_id=self.stream_id,
            span=self.span,
            modality=self.modality,
            text=self.text,
            thumbnail=self.thumbnail,
            score=self.probability,
        )


class Locator:
    """Finds cues. Holds no state of a question."""

    def __init__(self, retriever: Retriever, names: NameBook, calibration: Calibration, k: int) -> None:
        self._retriever, self._calibration, self._k = retriever, calibration, k
        self.names = names

    def locate(self, cue: Cue, scope: Scope, modalities: tuple[Modality, ...] = ()) -> list[Candidate]:
        """Evidence for a cue, most probable first. `modalities` overrides the senses that the cue names."""
        wanted = modalities or cue.modalities or tuple(Modality)
        found: list[Candidate] = []
        spoken = tuple(m for m in TEXT_MODALITIES if m in wanted)
        if spoken:
            found += [self.text_candidate(cue, hit) for hit in self._search(cue, scope, spoken)]
        if Modality.OBJECTS in wanted:
            found += self._things(cue, scope)
        if Modality.VISION in wanted:
            found += [self.picture_candidate(cue, hit) for hit in self._search(cue, scope, (Modality.VISION,))]
        return sorted(found, key=lambda c: (-c.probability, c.span.start_ns, c.stream_id))

    def among(self, cue: Cue, hits: Iterable[Hit]) -> list[Candidate]:
        """The same judgement over hits that are already there (the newest seconds), without a search."""
        wanted = cue.modalities or tuple(Modality)
        found = []
        for hit in hits:
            if hit.modality not in wanted:
                continue
            if hit.modality in TEXT_MODALITIES:
                found.append(self.text_candidate(cue, hit))
            elif hit.modality is Modality.VISION:
                found.append(self.picture_candidate(cue, hit))
        return sorted(found, key=lambda c: -c.probability)

    def _search(self, cue: Cue, scope: Scope, modalities: tuple[Modality, ...]) -> list[Hit]:
        return self._retriever.search(
            Query(text=cue.text, k=self._k, modalities=modalities, stream_ids=scope.stream_ids, span=scope.span)
        )

    def text_candidate(self, cue: Cue, hit: Hit) -> Candidate:
        features = text_features(cue, hit)
        return Candidate(
            stream_id=hit.stream_id,
            span=hit.span,
            modality=hit.modality,
            text=hit.text,
            thumbnail=hit.thumbnail,
            name=hit.text if hit.modality is Modality.SOUND else "",
            probability=self._calibration.probability(Channel.TEXT, features),
            features=features,
        )

    def picture_candidate(self, cue: Cue, hit: Hit) -> Candidate:
        name, features = self._picture_features(cue, hit)
        return Candidate(
            stream_id=hit.stream_id,
            span=hit.span,
            modality=hit.modality,
            text=picture_text(hit),
            thumbnail=hit.thumbnail,
            name=name,
            probability=self._calibration.probability(Channel.PICTURE, features),
            features=features,
            colours=tuple(label.name for label in hit.labels if label.kind == "colour"),
        )

    def _picture_features(self, cue: Cue, hit: Hit) -> tuple[str, tuple[float, ...]]:
        classes = [label for label in hit.labels if label.kind == "class"]
        best, fit, support = "", 0.0, 0.0
        for label in classes:
            label_fit = self.names.fit(cue.text, label.name)
            if label_fit * math.sqrt(label.score) > support:
                best, fit, support = label.name, label_fit, label_fit * math.sqrt(label.score)
        if not best and classes:
            best = max(classes, key=lambda label: label.score).name
        return best, (fit, support, max(0.0, hit.dense))

    def _things(self, cue: Cue, scope: Scope) -> list[Candidate]:
        fits = self.names.objects(cue.text, cue.names)
        if not fits:
            return []
        name = next(iter(fits)) if len(fits) == 1 else None
        visits = self._retriever.tracks(name, scope.stream_ids, scope.span)
        return [self.thing_candidate(visit, fits[visit.name]) for visit in visits if visit.name in fits]

    def thing_candidate(self, visit: Track, fit: float = 1.0) -> Candidate:
        features = (fit, visit.score, math.log1p(visit.span.duration_ns / NS_PER_S))
        return Candidate(
            stream_id=visit.stream_id,
            span=visit.span,
            modality=Modality.OBJECTS,
            text=visit.name,
            thumbnail=visit.thumbnail,
            name=visit.name,
            box=visit.box,
            probability=self._calibration.probability(Channel.THING, features),
            features=features,
        )


def text_features(cue: Cue, hit: Hit) -> tuple[float, ...]:
    """`calibration.FEATURES[Channel.TEXT]` of one passage."""
    wanted, have = [stem(word) for word in content_words(cue.text)], stems(hit.text)
    names = [stem(word) for word in cue.names]
    phrase = stems(cue.text)
    head = max(wanted, key=len, default="")
    return (
        coverage(wanted, have),
        min(1.0, max(0.0, hit.lexical)),
        max(0.0, hit.dense),
        1.0 if len(phrase) > 1 and occurrences(phrase, have) else 0.0,
        1.0 - coverage(names, have) if names else 0.0,
        0.0 if head and any(same_word(head, word) for word in have) else 1.0,
    )


def picture_text(hit: Hit) -> str:
    """What a picture passage shows, for a citation: its classes, most probable first."""
    classes = sorted((label for label in hit.labels if label.kind == "class"), key=lambda label: -label.score)
    return ", ".join(f"{label.name} ({label.score:.2f})" for label in classes[:3]) or hit.text or "picture"


def from_hit(hit: Hit, probability: float = 1.0) -> Candidate:
    """A passage as evidence for itself: it was perceived, so listing it needs no judgement."""
    is_picture = hit.modality is Modality.VISION
    classes = sorted((label for label in hit.labels if label.kind == "class"), key=lambda label: -label.score)
    name = classes[0].name if is_picture and classes else hit.text if hit.modality is Modality.SOUND else ""
    return Candidate(
        stream_id=hit.stream_id,
        span=hit.span,
        modality=hit.modality,
        text=picture_text(hit) if is_picture else hit.text,
        thumbnail=hit.thumbnail,
        name=name,
        probability=probability,
        colours=tuple(label.name for label in hit.labels if label.kind == "colour"),
    )


def joined(candidates: Sequence[Candidate], gap_ns: int) -> list[Candidate]:
    """In time order, with neighbours of one stream, sense and name that lie less than `gap_ns` apart made one."""
    runs: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.stream_id, c.modality, c.name, c.span.start_ns)):
        last = runs[-1] if runs else None
        same = last is not None and (last.stream_id, last.modality, last.name) == (
            candidate.stream_id,
            candidate.modality,
            candidate.name,
        )
        if last is not None and same and candidate.span.start_ns - last.span.end_ns <= gap_ns:
            best = max(last, candidate, key=lambda c: c.probability)
            runs[-1] = replace(best, span=last.span.union(candidate.span))
        else:
            runs.append(candidate)
    return sorted(runs, key=lambda c: (c.span.start_ns, c.stream_id))
