"""Finding a cue in a memory: candidates with a calibrated probability each, best first.

Speech and writing are judged by the words they share with the cue, tracked things by the detector's
names, pictures by class names and vectors. A question's own words decide which senses are asked; when
they name none, the evidence decides. Five searches and one track look-up a cue at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reverie.reasoning.calibration import Calibration, Channel
from reverie.reasoning.names import GENUS, NameBook
from reverie.reasoning.question import Cue
from reverie.reasoning.retriever import Retriever
from reverie.reasoning.vocabulary import (
    CARRIERS,
    LIGHT_WORDS,
    RIDERS,
    STOPWORDS,
    content_words,
    coverage,
    occurrences,
    same_word,
    stem,
    stems,
    words,
)
from reverie.types import NS_PER_S, Box, Citation, Hit, Label, Modality, Query, TimeSpan, Track

MAX_MEANINGS = 2  # class names searched besides the cue's own words
TEXT_MODALITIES = (Modality.SPEECH, Modality.WRITING, Modality.SOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a question looks: which streams, and which span of them (None: all)."""

    stream_ids: tuple[str, ...] = ()
    span: TimeSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A piece of evidence. `name` is what was seen, `probability` that it holds the cue; features as in calibration.

    `alternatives` are what else a picture may show, about as probable as `name`.
    """

    stream_id: str
    span: TimeSpan
    modality: Modality
    text: str
    probability: float
    name: str = ""
    thumbnail: str | None = None
    box: Box | None = None
    features: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()

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

    def over(self, retriever: Retriever) -> Locator:
        """The same over another view of the memory."""
        return Locator(retriever, self.names, self._calibration, self._k)

    def locate(self, cue: Cue, scope: Scope, modalities: tuple[Modality, ...] = ()) -> list[Candidate]:
        """Evidence for a cue, most probable first. `modalities` overrides the senses that the cue names."""
        wanted = modalities or cue.modalities or tuple(Modality)
        found: list[Candidate] = []
        spoken = tuple(m for m in TEXT_MODALITIES if m in wanted)
        if spoken:
            found += [self.text_candidate(cue, hit) for hit in self._search(cue.text, scope, spoken)]
        if Modality.SPEECH in wanted and Modality.SOUND not in wanted:
            found += self.taught_sounds(cue, scope)
        pictures = self._pictures(cue, scope) if Modality.VISION in wanted else []
        shown = [self.picture_candidate(cue, hit) for hit in pictures]
        if Modality.OBJECTS in wanted:
            found += self._things(cue, scope, pictures)
        return sorted([*found, *shown], key=lambda c: (-c.probability, c.span.start_ns, c.stream_id))

    def taught_sounds(self, cue: Cue, scope: Scope) -> list[Candidate]:
        """Sounds known by a name that was taught: "when was Gong heard" asks for them as well as for words."""
        hits = self._search(cue.text, scope, (Modality.SOUND,))
        return [heard_candidate(hit, taught) for hit in hits if (taught := _taught(hit)) is not None]

    def _pictures(self, cue: Cue, scope: Scope) -> list[Hit]:
        """Pictures that the cue finds; if none has a class that fits it, those that a class which fits finds."""
        known = {label.name: label.count for label in self._retriever.labels() if label.kind == "class"}
        hits = self._search(cue.text, scope, (Modality.VISION,))
        if any(self.names.fit(cue.text, label.name) >= GENUS for hit in hits for label in hit.labels):
            return hits
        meant = [name for name in known if self.names.fit(cue.text, name) >= GENUS]
        for name in sorted(meant, key=lambda name: (-self.names.fit(cue.text, name), -known[name]))[:MAX_MEANINGS]:
            seen = {(hit.stream_id, hit.span) for hit in hits}
            found = self._search(name, scope, (Modality.VISION,))
            hits += [hit for hit in found if (hit.stream_id, hit.span) not in seen]
        return hits

    def _search(self, text: str, scope: Scope, modalities: tuple[Modality, ...]) -> list[Hit]:
        return self._retriever.search(
            Query(text=text, k=self._k, modalities=modalities, stream_ids=scope.stream_ids, span=scope.span)
        )

    def text_candidate(self, cue: Cue, hit: Hit) -> Candidate:
        if hit.modality is Modality.SOUND and (taught := _taught(hit)) is not None:
            return heard_candidate(hit, taught)
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
        top = max(classes, key=lambda label: label.score, default=None)
        best, fit, support, share = top.name if top else "", 0.0, 0.0, 0.0
        for label in classes:
            label_fit = self.names.fit(cue.text, label.name)
            if top is not None and label_fit * math.sqrt(label.score) > support:
                best, fit, support = label.name, label_fit, label_fit * math.sqrt(label.score)
                share = label_fit * label.score / top.score
        return best, (fit, support, share, max(0.0, hit.dense), _log_seconds(hit.span))

    def _things(self, cue: Cue, scope: Scope, pictures: Sequence[Hit]) -> list[Candidate]:
        fits = self.names.objects(cue.text, cue.names)
        if not fits:
            return []
        name = next(iter(fits)) if len(fits) == 1 else None
        visits = self._retriever.tracks(name, scope.stream_ids, scope.span)
        found = [self.thing_candidate(visit, fits[visit.name], pictures) for visit in visits if visit.name in fits]
        if name is not None and RIDERS & set(words(cue.text)):
            people = self._retriever.tracks("person", scope.stream_ids, scope.span)
            return self._ridden(found, people) or found
        return found

    @staticmethod
    def _ridden(vehicles: Sequence[Candidate], people: Sequence[Track]) -> list[Candidate]:
        """Vehicles while somebody is on them or beside them: the time that the two share, where their boxes touch."""
        found = []
        for vehicle in vehicles:
            near = [p for p in people if p.stream_id == vehicle.stream_id and _touch(vehicle.box, p.box)]
            shared = [s for p in near if (s := _shared(vehicle.span, p.span)) is not None]
            if shared:
                found.append(replace(vehicle, span=max(shared, key=lambda span: span.duration_ns)))
        return found

    def thing_candidate(self, visit: Track, fit: float = 1.0, pictures: Sequence[Hit] = ()) -> Candidate:
        """A visit as evidence; pictures whose classes fit its name support it where they overlap."""
        beside = [h.labels for h in pictures if h.stream_id == visit.stream_id and h.span.overlaps(visit.span)]
        classes = [label for labels in beside for label in labels if label.kind == "class"]
        support = max((self.names.fit(visit.name, c.name) * math.sqrt(c.score) for c in classes), default=0.0)
        unsupported = 1.0 - min(1.0, 2 * support) if self.names.has_class(visit.name) else 0.0
        features = (fit, visit.score, _log_seconds(visit.span), support, unsupported)
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


def _touch(a: Box | None, b: Box | None) -> bool:
    return a is None or b is None or (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1)


def _shared(a: TimeSpan, b: TimeSpan) -> TimeSpan | None:
    start_ns, end_ns = max(a.start_ns, b.start_ns), min(a.end_ns, b.end_ns)
    return TimeSpan(start_ns=start_ns, end_ns=end_ns) if start_ns < end_ns else None


def _log_seconds(span: TimeSpan) -> float:
    return math.log1p(span.duration_ns / NS_PER_S)


def text_features(cue: Cue, hit: Hit) -> tuple[float, ...]:
    """`calibration.FEATURES[Channel.TEXT]` of one passage.

    Words that name the kind of answer, light words and, for writing, what carries it ("sign") count when
    the text has them; when it has not, they are not missed.
    """
    have = stems(hit.text) if hit.modality is not Modality.WRITING else stems(parted(hit.text, words(cue.text)))
    found = content_words(cue.text)
    light = LIGHT_WORDS if hit.modality is not Modality.WRITING else LIGHT_WORDS | CARRIERS
    missable = set(cue.optional) | (set() if cue.verbatim else light)
    firm = [stem(word) for word in found if word not in missable]
    extra = [stem(word) for word in found if word in missable]
    wanted = [*firm, *(word for word in extra if word in have)] if firm else extra
    names = [stem(word) for word in cue.names]
    phrase = stems(cue.text)
    head = max(firm or wanted, key=len, default="")
    return (
        coverage(wanted, have),
        min(1.0, max(0.0, hit.lexical)),
        max(0.0, hit.dense),
        1.0 if len(phrase) > 1 and occurrences(phrase, have) else 0.0,
        1.0 - coverage(names, have) if names else 0.0,
        0.0 if head and any(same_word(head, word) for word in have) else 1.0,
    )


def parted(text: str, wanted: Sequence[str]) -> str:
    """Text with spaces where recognition lost them between two wanted words, or one and a function word ("EXITON")."""
    known = set(wanted)
    shown: list[str] = []
    for word in words(text):
        cuts = [(word[:at], word[at:]) for at in range(2, len(word) - 1)] if word not in known else []
        pairs = [pair for pair in cuts if known & set(pair) and all(part in known | STOPWORDS for part in pair)]
        shown += pairs[0] if pairs else (word,)
    return " ".join(shown)


def heard_candidate(hit: Hit, taught: Label) -> Candidate:
    """A sound that bears a taught name which the cue holds: as probable as it is alike."""
    return Candidate(
        stream_id=hit.stream_id,
        span=hit.span,
        modality=hit.modality,
        text=f"{taught.name} ({hit.text})",
        name=taught.name,
        probability=taught.score,
    )


def _taught(hit: Hit) -> Label | None:
    """The name that a sound owes to what was taught: sounds have no classes of their own."""
    return next((label for label in hit.labels if label.kind == "class"), None)


def picture_text(hit: Hit) -> str:
    """What a picture passage shows, for a citation: its classes, most probable first."""
    classes = sorted((label for label in hit.labels if label.kind == "class"), key=lambda label: -label.score)
    return ", ".join(f"{label.name} ({label.score:.2f})" for label in classes[:3]) or hit.text or "picture"


def from_hit(hit: Hit, probability: float = 1.0) -> Candidate:
    """A passage as evidence for itself: it was perceived, so listing it needs no judgement.

    A picture is as probable as its best class; classes half as probable are alternatives.
    """
    classes = sorted((label for label in hit.labels if label.kind == "class"), key=lambda label: -label.score)
    is_picture = hit.modality is Modality.VISION
    alternatives: tuple[str, ...] = ()
    name = hit.text if hit.modality is Modality.SOUND else ""
    if is_picture and classes:
        name, probability = classes[0].name, classes[0].score
        alternatives = tuple(label.name for label in classes[1:3] if label.score >= probability / 2)
    return Candidate(
        stream_id=hit.stream_id,
        span=hit.span,
        modality=hit.modality,
        text=picture_text(hit) if is_picture else hit.text,
        thumbnail=hit.thumbnail,
        name=name,
        probability=min(1.0, probability),
        colours=tuple(label.name for label in hit.labels if label.kind == "colour"),
        alternatives=alternatives,
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
