"""The reasoner: a question in, an answer with time-stamped evidence out.

    question -> kind, cues, time, senses (question.py)
             -> answered by a fact, if one is known (fact_answers.py)
             -> declined by name if it needs a sense that the profile lacks (senses.py)
             -> evidence with calibrated probabilities (evidence.py)
             -> a draft: found, listed or computed (locating.py, recounting.py, computing.py)
             -> optionally in a reader's words, checked against the evidence (reader.py)
             -> an Answer whose citations all come from what memory returned

What was seen or heard is quoted and never read as a question: only `ask`'s argument is parsed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from reverie.clock import Clock, SystemClock
from reverie.errors import UsageError
from reverie.reasoning.calibration import Example
from reverie.reasoning.computing import answer_duration, answer_how_many, answer_order
from reverie.reasoning.evidence import Candidate, Locator, Scope
from reverie.reasoning.fact_answers import answer_from_facts
from reverie.reasoning.grammar import QuestionKind
from reverie.reasoning.inquiry import Draft, Inquiry, ReasonerConfig, abstention
from reverie.reasoning.locating import answer_found, answer_from_quotes, quoted
from reverie.reasoning.names import NameBook
from reverie.reasoning.phrasing import clock, quote, through, upper_first
from reverie.reasoning.places import find_place
from reverie.reasoning.question import TEXT, Question, parse
from reverie.reasoning.reader import Evidence, Reader, ReaderError, checked
from reverie.reasoning.recounting import answer_colours, answer_now, answer_summary
from reverie.reasoning.retriever import Retriever
from reverie.reasoning.senses import Senses, asks_picture_colour, missing_sense
from reverie.reasoning.vocabulary import content_words, coverage, stem, stems
from reverie.reasoning.voices import NAMES, Voices, find_voice
from reverie.reasoning.wall import answer_at_calendar
from reverie.types import NS_PER_S, Answer, Modality, StreamRecord, TimeSpan

_LOG = logging.getLogger(__name__)

_ANSWERS = {
    QuestionKind.NOW: answer_now,
    QuestionKind.ORDER: answer_order,
    QuestionKind.HOW_MANY: answer_how_many,
    QuestionKind.DURATION: answer_duration,
    QuestionKind.SUMMARY: answer_summary,
}


class Reasoner:
    """Answers questions about one memory.

    `senses` says what the profile perceives; `reader` may rephrase what was found, never what was
    counted or compared; `clock` says what day "yesterday" is. Thread-safe if the retriever is: it keeps no
    state between questions.
    """

    def __init__(
        self,
        retriever: Retriever,
        senses: Senses,
        config: ReasonerConfig | None = None,
        reader: Reader | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._retriever, self._senses, self._reader = retriever, senses, reader
        self._clock = clock or SystemClock()
        self._config = config or ReasonerConfig()
        self._locator = Locator(retriever, NameBook(senses), self._config.calibration, self._config.k)

    def ask(self, text: str, *, stream_ids: tuple[str, ...] = (), now_ns: int | None = None) -> Answer:
        """Answer a question about the streams named, or all.

        `now_ns` is the media time that "now" means; by default the end of the stream watched last.
        Raises UsageError for an empty or overlong question and for an unknown stream.
        """
        inquiry = self._inquire(text, stream_ids, now_ns)
        draft = self._draft(inquiry)
        return self._finish(inquiry, draft)

    def looked_in(self, text: str) -> tuple[tuple[str, ...], TimeSpan | None]:
        """The streams that a question is of, and the span that it names; None if it names none. Raises as `ask`."""
        inquiry = self._inquire(text, (), None)
        return tuple(stream.stream_id for stream in inquiry.streams), inquiry.scope.span

    def examples(self, text: str, truth: Sequence[TimeSpan], *, stream_ids: tuple[str, ...] = ()) -> list[Example]:
        """Labelled features for `calibration.fit`: evidence for the question's cues, present if it meets the truth.

        Evidence is present when its middle lies in a true span; an empty truth makes all of it absent.
        """
        inquiry = self._inquire(text, stream_ids, None)
        found = [c for cue in inquiry.question.cues for c in self._locator.locate(cue, inquiry.scope)]
        return [
            Example(channel=c.channel, features=c.features, present=any(_holds(span, c.span) for span in truth))
            for c in found
        ]

    def _inquire(self, text: str, stream_ids: tuple[str, ...], now_ns: int | None) -> Inquiry:
        if not text.strip():
            raise UsageError('the question is empty; ask something like "when did the cat appear?"')
        if len(text) > self._config.max_question_chars:
            raise UsageError(
                f"the question has {len(text)} characters; ask one of at most {self._config.max_question_chars}"
            )
        streams = self._streams(stream_ids)
        there, rest = find_place(text, streams)
        if there:
            stream_ids, streams = there, tuple(stream for stream in streams if stream.stream_id in there)
        watched = _watched(streams)
        arousal, rest = find_voice(rest)
        question = replace(parse(rest), text=text)
        retriever = self._retriever if arousal is None else Voices(self._retriever, arousal)
        newest = streams[-1].watched.end_ns if streams else 0
        now = newest if now_ns is None else now_ns
        span = question.time.resolve(watched, now) if question.time is not None else None
        return Inquiry(
            question=question,
            scope=Scope(stream_ids=stream_ids, span=span),
            streams=streams,
            watched=watched,
            now_ns=now,
            several=len(streams) > 1,
            config=self._config,
            retriever=retriever,
            locator=self._locator.over(retriever),
            senses=self._senses,
            voices=NAMES[arousal] if arousal is not None else "",
        )

    def _streams(self, stream_ids: tuple[str, ...]) -> tuple[StreamRecord, ...]:
        known = self._retriever.streams()
        names = [stream.stream_id for stream in known]
        unknown = [name for name in stream_ids if name not in names]
        if unknown:
            raise UsageError(
                f"no stream is called {unknown[0]!r}; the memory has {', '.join(map(repr, names)) or 'none'}"
            )
        return tuple(s for s in known if s.stream_id in stream_ids or not (stream_ids or s.imagined))

    def _draft(self, inquiry: Inquiry) -> Draft:
        question = inquiry.question
        if not inquiry.streams:
            return Draft(text="Nothing has been watched yet, so there is nothing to answer from.", abstained=True)
        if question.calendar is not None:
            draft = answer_at_calendar(inquiry, self._clock.wall_ns(), self._perceived)
            if draft is not None:
                return draft
        return answer_from_facts(inquiry) or self._perceived(inquiry)

    def _perceived(self, inquiry: Inquiry) -> Draft:
        """The answer from what was perceived in the inquiry's scope."""
        question = inquiry.question
        if outside := _outside(inquiry):
            return outside
        if asks_picture_colour(question.plain) and Modality.VISION in inquiry.senses.modalities:
            return answer_colours(inquiry)
        sense = "" if question.is_verbal else missing_sense(question.plain, inquiry.senses)
        if sense and not (sense == "sound" and self._knows_sound(inquiry)):
            said = answer_from_quotes(inquiry, sense)
            return said or Draft(text=inquiry.senses.explain_missing(sense), abstained=True, confidence=0.9)
        if question.anchor is not None:
            return self._anchored(inquiry)
        return _ANSWERS.get(question.kind, answer_found)(inquiry)

    @staticmethod
    def _knows_sound(inquiry: Inquiry) -> bool:
        """Whether a sound was heard that has been taught by the name asked for."""
        return bool(inquiry.credible(inquiry.locator.taught_sounds(inquiry.question.cue, inquiry.scope)))

    def _anchored(self, inquiry: Inquiry) -> Draft:
        """Two hops: find the moment that the question hangs on, then answer inside, before or after it."""
        question = inquiry.question
        assert question.anchor is not None
        if (
            question.whole is not None
            and question.cues
            and (not question.modalities or set(question.modalities) <= set(TEXT))
        ):
            said = self._locator.locate(question.whole, inquiry.scope, question.modalities or TEXT)
            clause = [stem(word) for word in content_words(question.anchor.cue.text)]
            if whole := [c for c in inquiry.credible(said) if coverage(clause, stems(c.text)) == 1]:
                return quoted(inquiry, whole)
        found = inquiry.occurrences(self._locator.locate(question.anchor.cue, inquiry.scope))
        if not found:
            reason = f"The moment that the question hangs on was not found: {quote(question.anchor.cue.text)}."
            return abstention(inquiry, "", reason=reason)
        moment = max(found, key=lambda c: c.probability)
        span = _beside(question, moment, inquiry)
        second = replace(inquiry, scope=Scope(stream_ids=(moment.stream_id,), span=span), anchored=moment)
        draft = _ANSWERS.get(question.kind, answer_found)(second)
        if draft.abstained:
            return draft
        hinge = inquiry.tell(moment, question.anchor.cue)
        return replace(
            draft,
            text=f"{draft.text} ({hinge})" if hinge not in draft.text else draft.text,
            evidence=(*draft.evidence[: inquiry.config.max_citations - 1], moment),
            confidence=draft.confidence * moment.probability,
        )

    def _finish(self, inquiry: Inquiry, draft: Draft) -> Answer:
        searched = draft.searched or inquiry.searched()
        if draft.abstained:
            return Answer(text=draft.text, citations=(), confidence=draft.confidence, abstained=True, searched=searched)
        evidence = list(dict.fromkeys(draft.evidence))[: self._config.max_citations]
        text = draft.text
        if self._reader is not None and not draft.computed and evidence:
            text, evidence, note = self._read(inquiry, text, evidence)
            searched += note
        if inquiry.question.time is not None and inquiry.question.time.is_now and "newest" not in text:
            text = f"In the newest {self._config.now_s:g} s, up to {clock(inquiry.now_ns)}: {text}"
        imagined = {stream.stream_id for stream in inquiry.streams if stream.imagined}
        if any(candidate.stream_id in imagined for candidate in evidence):
            text = f"Imagined, not seen: {text}"
        return Answer(
            text=text,
            citations=tuple(candidate.citation() for candidate in evidence),
            confidence=draft.confidence,
            abstained=False,
            searched=searched,
        )

    def _read(self, inquiry: Inquiry, text: str, evidence: list[Candidate]) -> tuple[str, list[Candidate], str]:
        """The reader's words and the evidence it cites, or what was there before and why."""
        assert self._reader is not None
        items = [
            Evidence(id=f"e{i}", stream_id=c.stream_id, span=c.span, modality=c.modality, text=c.text)
            for i, c in enumerate(evidence, 1)
        ]
        try:
            reading = checked(self._reader.read(inquiry.question.text, items), items)
        except ReaderError as error:
            _LOG.warning("the reader failed, the extractive answer stands: %s", error)
            return text, evidence, f"; the reader failed: {error}"
        if reading is None:
            return text, evidence, "; the reader's answer did not hold up against the evidence"
        cited = [evidence[int(item[1:]) - 1] for item in reading.cited_ids]
        return reading.text, cited, ""


def _watched(streams: Sequence[StreamRecord]) -> TimeSpan:
    if not streams:
        return TimeSpan(start_ns=0, end_ns=0)
    return TimeSpan(
        start_ns=min(stream.watched.start_ns for stream in streams),
        end_ns=max(stream.watched.end_ns for stream in streams),
    )


def _outside(inquiry: Inquiry) -> Draft | None:
    """Abstain when the span asked for was never watched."""
    span, watched = inquiry.scope.span, inquiry.watched
    if span is None:
        return None
    if span.end_ns <= watched.start_ns < watched.end_ns:
        text = f"That is before what was watched, {through(watched)}."
    elif span.start_ns > watched.end_ns:
        text = f"{upper_first(through(span))} is after what was watched, {through(watched)}."
    else:
        return None
    return Draft(text=text, abstained=True, confidence=1.0)


def _beside(question: Question, moment: Candidate, inquiry: Inquiry) -> TimeSpan:
    """The span that a "while", "before" or "after" leaves, within what was asked for."""
    assert question.anchor is not None
    asked, anchor = inquiry.span, question.anchor
    margin, after_ns = NS_PER_S // 2, round(inquiry.config.after_s * NS_PER_S)
    reach = after_ns if anchor.close else asked.duration_ns + 1
    low, high = moment.span.start_ns - margin, moment.span.end_ns + margin
    if anchor.relation == "after":
        edge_ns = moment.span.start_ns if anchor.edge == "start" else moment.span.end_ns
        low, high = edge_ns - margin, edge_ns + reach
    elif anchor.relation == "before":
        edge_ns = moment.span.end_ns if anchor.edge == "end" else moment.span.start_ns
        low, high = edge_ns - reach, edge_ns + margin
    elif anchor.edge:  # "when the music stopped"
        edge_ns = moment.span.start_ns if anchor.edge == "start" else moment.span.end_ns
        low, high = edge_ns - margin, edge_ns + after_ns
    low, high = max(0, low, asked.start_ns), min(high, asked.end_ns)
    return TimeSpan(start_ns=low, end_ns=max(low, high))


def _holds(truth: TimeSpan, span: TimeSpan) -> bool:
    middle = (span.start_ns + span.end_ns) // 2
    return truth.start_ns <= middle < truth.end_ns
