"""Answers that are computed on spans, never generated: order, counts and durations.

Rules. Things are counted by visit: one track is one visit, and something that left and came back
counts again. "How many times" counts separate stretches of time: sightings closer than `join_gap_s`
are one. Words are counted where they stand, one after the other, in what was said or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reverie.reasoning.evidence import Candidate, from_hit, joined
from reverie.reasoning.inquiry import Draft, Inquiry, abstention
from reverie.reasoning.locating import not_found, quoted
from reverie.reasoning.phrasing import between, counted, lasting, listing, quote, through, upper_first
from reverie.reasoning.question import SEEN, TEXT, Cue
from reverie.reasoning.vocabulary import occurrences, stem, stems, words
from reverie.types import NS_PER_S, Modality, TimeSpan


def answer_order(inquiry: Inquiry) -> Draft:
    """ORDER: compare the first occurrences of two cues by when they begin.

    Starts less than the tolerance apart are simultaneous; an overlap is said. Symmetric: asking the
    other way round gives the opposite answer.
    """
    first, second = inquiry.question.cues
    found = [_first_occurrence(inquiry, cue) for cue in (first, second)]
    a, b = found
    if a is None or b is None:
        return _order_unknown(inquiry, (first, second), found)
    if a.is_text and (a.stream_id, a.span, a.text) == (b.stream_id, b.span, b.text):
        return _order_unknown(inquiry, (first, second), found)
    gap_ns = b.span.start_ns - a.span.start_ns
    if inquiry.several and a.stream_id != b.stream_id:
        a_ns, b_ns = inquiry.wall_ns(a), inquiry.wall_ns(b)
        if a_ns is None or b_ns is None:
            return abstention(
                inquiry, "", reason="The two were found in different streams, whose media times do not compare."
            )
        gap_ns = b_ns - a_ns
    facts = f"{_mention(inquiry, a, first)}; {_mention(inquiry, b, second, lower=True)}."
    verdict = order_verdict(inquiry.question.relation, gap_ns, round(inquiry.config.order_tolerance_s * NS_PER_S))
    text = verdict.replace("{a}", _named(first)).replace("{b}", _named(second)) + " " + facts
    if a.stream_id == b.stream_id and a.span.overlaps(b.span) and "same time" not in verdict:
        text += " They overlap."
    ranked = (a, b) if gap_ns >= 0 else (b, a)
    if inquiry.question.relation == "last":
        ranked = (ranked[1], ranked[0])
    return Draft(text=text, evidence=ranked, confidence=min(a.probability, b.probability), computed=True)


def order_verdict(relation: str, gap_ns: int, tolerance_ns: int) -> str:
    """The sentence that answers, with {a} and {b} for the two; `gap_ns` is how long after a's start b starts."""
    if abs(gap_ns) <= tolerance_ns:
        return "Unclear: {a} and {b} began at about the same time."
    earlier, later = ("{a}", "{b}") if gap_ns > 0 else ("{b}", "{a}")
    if relation in ("first", "which"):
        return f"{earlier} came first, before {later}."
    if relation == "last":
        return f"{later} came last, after {earlier}."
    holds = (relation == "before") == (gap_ns > 0)
    return f"{'Yes' if holds else 'No'}: {earlier} came before {later}."


def _first_occurrence(inquiry: Inquiry, cue: Cue) -> Candidate | None:
    chosen = inquiry.occurrences(inquiry.locator.locate(cue, inquiry.scope))
    return chosen[0] if chosen else None


def _order_unknown(inquiry: Inquiry, cues: tuple[Cue, Cue], found: Sequence[Candidate | None]) -> Draft:
    """One or both were not found; but "did he say to water them before noon" may be one sentence."""
    whole = inquiry.question.whole
    if whole is not None and not whole.is_empty and inquiry.question.relation in ("before", "after"):
        said = [c for c in inquiry.locator.locate(whole, inquiry.scope, TEXT) if c.features and c.features[0] == 1]
        if chosen := inquiry.credible(said):
            draft = quoted(inquiry, chosen)
            return replace(draft, text="Yes. " + draft.text)
    missing = [quote(cue.text) for cue, candidate in zip(cues, found, strict=True) if candidate is None]
    present = [c for c in found if c is not None]
    if not missing:
        reason = f"Both are in one passage, which does not tell their order. {inquiry.tell(present[0])}"
        return abstention(inquiry, "", reason=reason)
    reason = f"The order cannot be told, because nothing was found for {listing(missing)}."
    if present:
        reason += f" {inquiry.tell(present[0])}"
    return abstention(inquiry, "", reason=reason)


def _named(cue: Cue) -> str:
    return quote(cue.text)


def _mention(inquiry: Inquiry, candidate: Candidate, cue: Cue, lower: bool = False) -> str:
    told = inquiry.tell(candidate, cue).rstrip(".")
    return told[:1].lower() + told[1:] if lower else told


def answer_how_many(inquiry: Inquiry) -> Draft:
    """HOW_MANY: tracks, stretches of time, or occurrences of words."""
    question, cue = inquiry.question, inquiry.question.cue
    if structure := _count_structure(inquiry):
        return structure
    if cue.is_empty:
        return abstention(inquiry, "", reason="It is not clear what should be counted.")
    times = "times" in question.text.split() or "often" in question.text.split()
    if cue.verbatim or (cue.modalities and set(cue.modalities) <= set(TEXT)):
        in_words = _count_words(inquiry, cue)
        if cue.verbatim or not in_words.abstained or not times:
            return in_words  # else it may be heard without words: a sound that was taught
    found = inquiry.locator.locate(cue, inquiry.scope)
    chosen = inquiry.credible(found)
    things = [c for c in found if c.modality is Modality.OBJECTS and c.probability >= inquiry.config.threshold]
    if things and (not chosen or not chosen[0].is_text or cue.modalities == SEEN):
        return _count_things(inquiry, things, times)
    if chosen and chosen[0].is_text:
        counted_words = _count_words(inquiry, cue) if times else None
        return counted_words if counted_words and not counted_words.abstained else quoted(inquiry, chosen)
    if chosen and times:
        stretches = inquiry.in_order(joined(inquiry.occurrences(found), inquiry.gap_ns))
        return _count_stretches(inquiry, stretches, cue)
    if chosen:
        name = quote(cue.text)
        return abstention(
            inquiry,
            "",
            reason=f"{name} was seen, but only tracked things can be counted. {inquiry.tell(chosen[0], cue)}",
        )
    return not_found(inquiry, cue, found)


def _count_things(inquiry: Inquiry, things: Sequence[Candidate], times: bool) -> Draft:
    visits = inquiry.in_order(things)
    if times:
        stretches = inquiry.in_order(joined(visits, inquiry.gap_ns))
        return _count_stretches(inquiry, stretches, inquiry.question.cue)
    names = sorted({visit.name for visit in visits})
    what = names[0] if len(names) == 1 else "thing"
    shown = listing([between(visit.span) + inquiry.beside_clock(visit) for visit in visits[:6]])
    more = f" and {len(visits) - 6} more" if len(visits) > 6 else ""
    kinds = f" ({listing(names)})" if len(names) > 1 else ""
    text = f"{counted(len(visits), what)}{kinds}, counted by visit: {shown}{more}."
    return Draft(text=text, evidence=tuple(visits), confidence=_least(visits), computed=True)


def _count_stretches(inquiry: Inquiry, stretches: Sequence[Candidate], cue: Cue) -> Draft:
    shown = listing([inquiry.when(stretch) for stretch in stretches[:6]])
    more = f" and {len(stretches) - 6} more" if len(stretches) > 6 else ""
    times = "Once" if len(stretches) == 1 else f"{len(stretches)} times"
    text = f"{times}: {quote(cue.text)} was perceived {shown}{more}."
    return Draft(text=text, evidence=tuple(stretches), confidence=_least(stretches), computed=True)


def _count_words(inquiry: Inquiry, cue: Cue) -> Draft:
    modalities = tuple(m for m in (cue.modalities or TEXT) if m in TEXT) or TEXT
    hits = inquiry.retriever.observations(
        modalities, inquiry.scope.stream_ids, inquiry.scope.span, limit=inquiry.config.max_observations
    )
    phrase = stems(cue.text)
    counts = [(occurrences(phrase, stems(hit.text)), hit) for hit in hits]
    passages = inquiry.in_order(from_hit(hit, 0.95) for count, hit in counts if count)
    total = sum(count for count, _ in counts)
    if not total:
        return not_found(inquiry, cue, [])
    times = "Once" if total == 1 else f"{total} times"
    shown = " ".join(inquiry.tell(passage) for passage in passages[: inquiry.config.max_quotes])
    more = (
        f" And in {len(passages) - inquiry.config.max_quotes} more."
        if len(passages) > inquiry.config.max_quotes
        else ""
    )
    text = f"{times}, in {counted(len(passages), 'passage')}. {shown}{more}"
    return Draft(text=text, evidence=tuple(passages), confidence=0.95, computed=True)


def _count_structure(inquiry: Inquiry) -> Draft | None:
    """How many streams, events, sentences, words or captions there are."""
    found = words(inquiry.question.text)
    asked = next((stem(word) for word in found[2:5] if stem(word) in _STRUCTURES), "")
    if not asked or (not inquiry.question.cue.is_empty and stem(inquiry.question.cue.text.split()[0]) != asked):
        return None
    span = through(inquiry.span)
    if asked == "stream":
        return Draft(text=f"{counted(len(inquiry.streams), 'stream')} watched.", confidence=1.0, computed=True)
    if asked in (stem("event"), stem("scene")):
        events = inquiry.retriever.timeline(inquiry.scope.span, inquiry.scope.stream_ids)
        return Draft(text=f"{counted(len(events), 'event')} {span}.", confidence=1.0, computed=True)
    modality = Modality.WRITING if asked in (stem("caption"), stem("text"), stem("title")) else Modality.SPEECH
    hits = inquiry.retriever.observations(
        (modality,), inquiry.scope.stream_ids, inquiry.scope.span, limit=inquiry.config.max_observations
    )
    number = sum(len(words(hit.text)) for hit in hits) if asked == stem("word") else len(hits)
    name = {Modality.WRITING: "caption", Modality.SPEECH: "word" if asked == stem("word") else "sentence"}[modality]
    evidence = tuple(from_hit(hit, 0.9) for hit in hits)
    if not number:
        return abstention(inquiry, "", reason=f"No {name} was found {span}.")
    return Draft(text=f"{counted(number, name)} {span}.", evidence=evidence, confidence=0.9, computed=True)


_STRUCTURES = frozenset(stems("stream event scene sentence utterance word caption text title"))


def answer_duration(inquiry: Inquiry) -> Draft:
    """DURATION: how long something was perceived; of the whole stream, how long it was watched."""
    question, cue = inquiry.question, inquiry.question.cue
    if cue.is_empty:
        return _duration_of_sense(inquiry)
    found = inquiry.locator.locate(cue, inquiry.scope)
    chosen = inquiry.credible(found)
    if not chosen:
        return not_found(inquiry, cue, found)
    if chosen[0].is_text and not question.modalities:
        return quoted(inquiry, chosen)
    stretches = inquiry.in_order(_disjoint(inquiry.occurrences(found)))
    best = max(stretches, key=lambda c: c.probability)
    total = sum(stretch.span.duration_ns for stretch in stretches)
    if len(stretches) == 1:
        text = f"About {lasting(total)}: {_mention(inquiry, best, cue, lower=True)}"
    else:
        each = listing([f"{inquiry.when(s)} ({lasting(s.span.duration_ns)})" for s in stretches[:5]])
        text = f"About {lasting(total)} in all: {each}"
    ranked = (best, *(stretch for stretch in stretches if stretch is not best))
    return Draft(text=text.rstrip(".") + ".", evidence=ranked, confidence=best.probability, computed=True)


def _disjoint(stretches: Sequence[Candidate]) -> list[Candidate]:
    """Overlapping stretches of one stream made one, so that no second counts twice."""
    merged: list[Candidate] = []
    for stretch in sorted(stretches, key=lambda c: (c.stream_id, c.span.start_ns)):
        if merged and merged[-1].stream_id == stretch.stream_id and merged[-1].span.overlaps(stretch.span):
            merged[-1] = replace(merged[-1], span=merged[-1].span.union(stretch.span))
        else:
            merged.append(stretch)
    return merged


def _duration_of_sense(inquiry: Inquiry) -> Draft:
    modalities = inquiry.question.modalities
    if not modalities or set(modalities) == set(SEEN):
        watched = sum(stream.watched.duration_ns for stream in inquiry.streams)
        return Draft(text=f"{upper_first(lasting(watched))} were watched.", confidence=1.0, computed=True)
    hits = inquiry.retriever.observations(
        modalities, inquiry.scope.stream_ids, inquiry.scope.span, limit=inquiry.config.max_observations
    )
    stretches = inquiry.in_order(_disjoint([from_hit(hit, 0.9) for hit in hits]))
    if not stretches:
        return abstention(inquiry, "", reason=f"Nothing of the kind was perceived {through(inquiry.span)}.")
    total = sum(_within(stretch.span, inquiry.span) for stretch in stretches)
    text = f"About {lasting(total)} in {counted(len(stretches), 'stretch')}, the first {inquiry.when(stretches[0])}."
    return Draft(text=text, evidence=tuple(stretches), confidence=0.9, computed=True)


def _within(span: TimeSpan, window: TimeSpan) -> int:
    return max(0, min(span.end_ns, window.end_ns) - max(span.start_ns, window.start_ns))


def _least(candidates: Sequence[Candidate]) -> float:
    return min((candidate.probability for candidate in candidates), default=0.0)
