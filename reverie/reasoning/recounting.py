"""Answers that list what was perceived: now, what happened in a span, and questions without content of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from reverie.reasoning.evidence import Candidate, from_hit, joined
from reverie.reasoning.grammar import QuestionKind
from reverie.reasoning.inquiry import Draft, Inquiry, abstention
from reverie.reasoning.names import GENUS
from reverie.reasoning.phrasing import between, clock, counted, listing, quote, through, upper_first
from reverie.reasoning.question import SEEN
from reverie.types import NS_PER_S, Hit, Modality, TimeSpan

SURE_CLASS, LEAST_CLASS = 0.3, 0.1  # a picture class is named in a list from the first on, "perhaps" from the second

CERTAIN_CLASS, LASTING_NS = 0.5, 3 * NS_PER_S // 2  # a summary names a class from here on, or a sure one that lasts
PAGE_CHARS = 90  # text longer than this is a page, not a caption


def answer_listing(inquiry: Inquiry) -> Draft:
    """WHAT, SAID, WRITTEN, WHO, WHEN and IS_THERE without content: all that the named senses perceived in the span."""
    question = inquiry.question
    asked = listed_modalities(inquiry)
    items = perceived(inquiry, asked, inquiry.span)
    if inquiry.anchored is not None:
        items = beside(inquiry, items)
    if not items:
        return abstention(inquiry, "", reason=f"Nothing of the kind was perceived {through(inquiry.span)}.")
    if question.relation in ("first", "last"):
        ordered = inquiry.in_order(items)
        items = ordered[:1] if question.relation == "first" else ordered[-1:]
    if question.kind is QuestionKind.IS_THERE or (question.kind is QuestionKind.WHEN and len(items) > 3):
        first, *others = inquiry.in_order(items)
        start = "Yes. " if question.kind is QuestionKind.IS_THERE else ""
        return Draft(text=start + inquiry.tell(first) + inquiry.also(others), evidence=(first, *others), confidence=0.9)
    return _told(inquiry, items, "")


def answer_now(inquiry: Inquiry) -> Draft:
    """NOW: what the newest seconds hold. Never goes to older memory."""
    asked = listed_modalities(inquiry)
    hits = newest(inquiry)
    if not hits and Modality.OBJECTS not in asked:
        return abstention(inquiry, "", reason=f"Nothing was perceived in the newest {inquiry.config.now_s:g} s.")
    items = _from_hits(inquiry, [hit for hit in hits if hit.modality in asked], asked, inquiry.span)
    if not items:
        return abstention(
            inquiry, "", reason=f"Nothing of the kind was perceived in the newest {inquiry.config.now_s:g} s."
        )
    return _told(inquiry, items, f"In the newest {inquiry.config.now_s:g} s, up to {clock(inquiry.now_ns)}: ")


def newest(inquiry: Inquiry) -> list[Hit]:
    """What was perceived in the newest seconds in scope."""
    duration_ns = round(inquiry.config.now_s * NS_PER_S)
    if inquiry.now_ns == inquiry.watched.end_ns:
        return inquiry.retriever.latest(duration_ns, inquiry.scope.stream_ids)
    span = TimeSpan(start_ns=max(0, inquiry.now_ns - duration_ns), end_ns=inquiry.now_ns)
    return inquiry.retriever.observations((), inquiry.scope.stream_ids, span, limit=200)


def answer_summary(inquiry: Inquiry) -> Draft:
    """SUMMARY: what was seen, written and said in the span, in time order, each with its time."""
    span = inquiry.span
    if inquiry.anchored is not None:
        span = near(inquiry)
    items = [item for item in perceived(inquiry, tuple(inquiry.senses.modalities), span) if _worth_telling(item)]
    if not items:
        return abstention(inquiry, "", reason=f"Nothing was perceived {through(span)}.")
    events = inquiry.retriever.timeline(span, inquiry.scope.stream_ids)
    scenes = f", {counted(len(events), 'event')}" if len(events) > 1 else ""
    start = f"{upper_first(through(span))}{scenes}. "
    return _told(inquiry, items, start)


def _worth_telling(item: Candidate) -> bool:
    """Whether a summary names it: no unsure class that came and went, no page of text."""
    if item.modality is Modality.VISION:
        lasted = item.span.duration_ns >= LASTING_NS and item.probability >= SURE_CLASS
        return item.probability >= CERTAIN_CLASS or lasted
    return item.modality is not Modality.WRITING or len(item.text) <= PAGE_CHARS


def answer_colours(inquiry: Inquiry) -> Draft:
    """The dominant colours of the pictures in a span, each with the share of pictures that have it."""
    scope = inquiry.scope
    hits = inquiry.retriever.observations(
        (Modality.VISION,), scope.stream_ids, scope.span, limit=inquiry.config.max_observations
    )
    pictures = [picture for picture in map(from_hit, hits) if picture.colours]
    if not pictures:
        return abstention(inquiry, "", reason=f"No picture with a clear colour was seen {through(inquiry.span)}.")
    counts = Counter(colour for picture in pictures for colour in picture.colours).most_common(3)
    shares = listing([f"{name} (in {100 * count / len(pictures):.0f} % of the pictures)" for name, count in counts])
    shown = [picture for picture in pictures if counts[0][0] in picture.colours]
    evidence = [
        replace(run, text=f"dominant colour {counts[0][0]}", name=counts[0][0]) for run in _runs(inquiry, shown)
    ]
    return Draft(
        text=f"The dominant colours {through(inquiry.span)}: {shares}.",
        evidence=tuple(evidence),
        confidence=0.8,
        computed=True,
    )


def _runs(inquiry: Inquiry, pictures: Sequence[Candidate]) -> list[Candidate]:
    return joined([replace(picture, name="") for picture in pictures], inquiry.gap_ns)


def listed_modalities(inquiry: Inquiry) -> tuple[Modality, ...]:
    """The senses that a list covers: those named; "on screen" includes text, "hear" includes music."""
    question = inquiry.question
    asked = question.modalities
    if not asked:
        return tuple(inquiry.senses.modalities)
    on_screen = question.anchor is None or "screen" in question.plain
    if asked == SEEN and question.kind in (QuestionKind.WHAT, QuestionKind.NOW) and on_screen:
        return (*SEEN, Modality.WRITING)
    if asked == (Modality.SPEECH,) and "hear" in question.text:
        return (Modality.SPEECH, Modality.SOUND)
    return asked


def perceived(inquiry: Inquiry, modalities: Sequence[Modality], span: TimeSpan) -> list[Candidate]:
    """All evidence of some senses in a span, as it happened, pictures joined into runs of one class."""
    plain = tuple(m for m in modalities if m in (Modality.SPEECH, Modality.WRITING, Modality.SOUND))
    limit = inquiry.config.max_observations
    hits = inquiry.retriever.observations(plain, inquiry.scope.stream_ids, span, limit=limit) if plain else []
    if Modality.VISION in modalities:
        hits = hits + inquiry.retriever.observations((Modality.VISION,), inquiry.scope.stream_ids, span, limit=limit)
    return _from_hits(inquiry, hits, modalities, span)


def _from_hits(
    inquiry: Inquiry, hits: Sequence[Hit], modalities: Sequence[Modality], span: TimeSpan
) -> list[Candidate]:
    texts = joined([from_hit(hit) for hit in hits if hit.modality not in (Modality.VISION, Modality.OBJECTS)], 0)
    things: list[Candidate] = []
    if Modality.OBJECTS in modalities:
        visits = inquiry.retriever.tracks(None, inquiry.scope.stream_ids, span)
        things = [inquiry.locator.thing_candidate(visit) for visit in visits]
        things = [thing for thing in things if thing.probability >= inquiry.config.threshold]
    shown = [from_hit(hit) for hit in hits if hit.modality is Modality.VISION]
    pictures = joined([p for p in shown if p.name and p.probability >= LEAST_CLASS], inquiry.gap_ns)
    pictures = [p for p in pictures if p.probability >= SURE_CLASS or p.span.duration_ns > NS_PER_S]
    return inquiry.in_order([*texts, *things, *pictures])


def beside(inquiry: Inquiry, items: list[Candidate]) -> list[Candidate]:
    """Of the items around a found moment, those that the question means: during it, or the nearest after or before."""
    anchor, moment = inquiry.question.anchor, inquiry.anchored
    if anchor is None or moment is None:
        return items
    items = [
        item for item in items if (item.modality, item.text, item.span) != (moment.modality, moment.text, moment.span)
    ]
    slack = NS_PER_S // 4
    if anchor.relation == "while":
        inside = [item for item in items if item.span.overlaps(moment.span)]
        return sorted(inside, key=lambda c: -_shared_ns(c.span, moment.span))
    if anchor.relation == "after":
        later = [item for item in items if item.span.start_ns >= moment.span.end_ns - slack]
        return sorted(later, key=lambda c: c.span.start_ns)[:1]
    earlier = [item for item in items if item.span.end_ns <= moment.span.start_ns + slack]
    return sorted(earlier, key=lambda c: -c.span.end_ns)[:1]


def near(inquiry: Inquiry) -> TimeSpan:
    """The seconds after or before a found moment, or the moment itself."""
    anchor, moment, watched = inquiry.question.anchor, inquiry.anchored, inquiry.watched
    if anchor is None or moment is None:
        return inquiry.span
    reach = round(inquiry.config.after_s * NS_PER_S)
    if anchor.relation == "after":
        start = min(moment.span.end_ns, watched.end_ns)
        return TimeSpan(start_ns=start, end_ns=max(start, min(start + reach, watched.end_ns)))
    if anchor.relation == "before":
        end = max(moment.span.start_ns, watched.start_ns)
        return TimeSpan(start_ns=max(watched.start_ns, end - reach), end_ns=end)
    return moment.span


def _shared_ns(a: TimeSpan, b: TimeSpan) -> int:
    return min(a.end_ns, b.end_ns) - max(a.start_ns, b.start_ns)


def _told(inquiry: Inquiry, items: Sequence[Candidate], start: str) -> Draft:
    """Sentences by sense: what was seen, what the screen showed, what was said, what was heard."""
    parts = [
        _seen(inquiry, items),
        _quotes(inquiry, items, Modality.WRITING, "The screen showed"),
        _quotes(inquiry, items, Modality.SPEECH, "Someone said"),
        _heard(inquiry, items),
    ]
    text = start + " ".join(part for part in parts if part)
    return Draft(text=text, evidence=tuple(_spread(items)), confidence=_confidence(items))


def _confidence(items: Sequence[Candidate]) -> float:
    return min(0.95, max(item.probability for item in items))


def _spread(items: Sequence[Candidate]) -> list[Candidate]:
    """One of each sense first, then the rest, so that a few citations still cover an answer."""
    seen: Counter[Modality] = Counter()
    ranked = []
    for position, item in enumerate(items):
        ranked.append((seen[item.modality], position, item))
        seen[item.modality] += 1
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]


def _seen(inquiry: Inquiry, items: Sequence[Candidate]) -> str:
    names: dict[str, list[Candidate]] = {}
    for item in items:
        if item.modality in SEEN and item.name:
            names.setdefault(item.name, []).append(item)
    things = {name for name, found in names.items() if found[0].modality is Modality.OBJECTS}
    parts = []
    for name, found in sorted(names.items(), key=lambda entry: entry[0] not in things):  # things first, then by time
        if name not in things and any(inquiry.locator.names.fit(thing, name) >= GENUS for thing in things):
            continue  # a tabby beside a tracked cat is the same sight
        times = listing([inquiry.bracketed(between(item.span), item) for item in found[:3]])
        more = counted(len(found) - 3, "more time")
        parts.append(f"{_hedged(found)} ({times}{f' and {more}' if len(found) > 3 else ''})")
    shown, rest = parts[:6], len(parts) - 6
    return f"Seen: {listing([*shown, *([f'{rest} more'] if rest > 0 else [])])}." if parts else ""


def _hedged(found: Sequence[Candidate]) -> str:
    """The name of a sight; with its alternatives, as a perhaps, if the classifier was not sure."""
    best = max(found, key=lambda c: c.probability)
    if best.modality is Modality.OBJECTS or best.probability >= SURE_CLASS:
        return best.name
    return "perhaps " + listing([best.name, *best.alternatives], "or")


def _quotes(inquiry: Inquiry, items: Sequence[Candidate], modality: Modality, start: str) -> str:
    found = [item for item in items if item.modality is modality]
    if not found:
        return ""
    shown = found[: max(inquiry.config.max_quotes, 1)]
    parts = [f"{quote(item.text)} ({inquiry.bracketed(clock(item.span.start_ns), item)})" for item in shown]
    rest = len(found) - len(shown)
    return f"{start}: {listing(parts)}{f', and {rest} more' if rest else ''}."


def _heard(inquiry: Inquiry, items: Sequence[Candidate]) -> str:
    found = [item for item in items if item.modality is Modality.SOUND]
    parts = [f"{item.name or 'sound'} ({inquiry.bracketed(between(item.span), item)})" for item in found[:3]]
    return f"{upper_first('heard')}: {listing(parts)}." if parts else ""
