"""How an answer about a sample stream is scored: its first citation, its text and its abstention, each apart.

- citation: the first one counts when its temporal intersection over union with a truth span is at least 0.5, or its
  middle lies in a truth span and it is no longer than max(10 s, twice that span);
- text: the expected keywords are there (see `text_right`); an abstention has no right text;
- abstention: for an unanswerable question `abstained` must be set. "Was there an elephant?" may also be answered "No":
  that is the same statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

SpanS = tuple[float, float]  # seconds of media time, half-open
Kind = Literal["when", "is_there", "what", "said", "written", "while", "order", "how_many", "where", "heard", "beyond"]

MIN_IOU = 0.5
LONGEST_S = 10.0
TIME_TOLERANCE_S = 2.0  # a time stamp in the text may miss the truth span by this much


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with what counts as right.

    `spans_s` are the truth spans that a citation may point at. `keywords` are groups: of each, one must be in the
    text. `rivals` must not be named before the first keyword. `number` is what a count must say; `tells_time` wants a
    time stamp of a truth span. `why` says what makes an unanswerable question so, `vocabulary` whose class list has the
    thing that is asked about ("coco", "imagenet", "open"; "" when no thing is).
    """

    question_id: str
    kind: Kind
    text: str
    answerable: bool
    spans_s: tuple[SpanS, ...] = ()
    keywords: tuple[tuple[str, ...], ...] = ()
    rivals: tuple[str, ...] = ()
    number: int | None = None
    tells_time: bool = False
    why: str = ""
    vocabulary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one answer did. `declined` is an abstention or, for "is there", a plain no."""

    question: Question
    citation: bool
    text: bool
    declined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Shares in [0, 1] over many verdicts; NaN-free: a share of nothing is 0 with its count beside it."""

    num_answerable: int
    num_unanswerable: int
    citations: float
    texts: float
    abstention_recall: float
    wrong_abstentions: float
    by_kind: dict[str, dict[str, float]] = field(default_factory=dict)


def judge(question: Question, text: str, abstained: bool, citations_s: Sequence[SpanS]) -> Verdict:
    """Score one answer; `citations_s` are its citations' spans in seconds, best first."""
    says_no = question.kind == "is_there" and _words(text).startswith("no ")
    declined = abstained or (says_no and not question.answerable)
    answered = question.answerable and not abstained
    return Verdict(
        question=question,
        citation=answered and bool(citations_s) and citation_right(question, citations_s[0]),
        text=answered and text_right(question, text),
        declined=declined,
    )


def citation_right(question: Question, cited_s: SpanS) -> bool:
    return any(
        _overlap_iou(cited_s, truth_s) >= MIN_IOU or _points_into(cited_s, truth_s) for truth_s in question.spans_s
    )


def text_right(question: Question, text: str) -> bool:
    """Whether the text says what is expected: the number, the time, the keywords, whichever the question asks for."""
    if question.kind == "is_there" and _words(text).startswith("no "):
        return False
    if question.number is not None and first_number(text) != question.number:
        return False
    if question.tells_time and not _tells_time_in(text, question.spans_s):
        return False
    places = [_first_place(text, group) for group in question.keywords]
    if any(place is None for place in places):
        return False
    rival = _first_place(text, question.rivals)
    return rival is None or all(place is not None and place < rival for place in places)


def summarise(verdicts: Iterable[Verdict]) -> Scores:
    """Scores over all verdicts, and the first three shares by kind of question."""
    verdicts = list(verdicts)
    answerable = [verdict for verdict in verdicts if verdict.question.answerable]
    unanswerable = [verdict for verdict in verdicts if not verdict.question.answerable]
    by_kind: dict[str, dict[str, float]] = {}
    for kind in sorted({verdict.question.kind for verdict in verdicts}):
        asked = [verdict for verdict in answerable if verdict.question.kind == kind]
        absent = [verdict for verdict in unanswerable if verdict.question.kind == kind]
        by_kind[kind] = {
            "num_answerable": len(asked),
            "citations": _share(verdict.citation for verdict in asked),
            "texts": _share(verdict.text for verdict in asked),
            "num_unanswerable": len(absent),
            "abstention_recall": _share(verdict.declined for verdict in absent),
        }
    return Scores(
        num_answerable=len(answerable),
        num_unanswerable=len(unanswerable),
        citations=_share(verdict.citation for verdict in answerable),
        texts=_share(verdict.text for verdict in answerable),
        abstention_recall=_share(verdict.declined for verdict in unanswerable),
        wrong_abstentions=_share(verdict.declined for verdict in answerable),
        by_kind=by_kind,
    )


# --- parts --------------------------------------------------------------------------------------

_STAMP = re.compile(
    r"\b(?:(?P<h>\d+):)?(?P<m>\d{1,3}):(?P<s>\d{2}(?:\.\d+)?)\b"
    r"|\b(?P<bare>\d+(?:\.\d+)?) ?(?:s|sec|secs|second|seconds)\b(?! second)"
)
_NUMBERS = {
    "zero": 0, "never": 0, "one": 1, "once": 1, "single": 1, "two": 2, "twice": 2, "three": 3, "thrice": 3, "four": 4,
    "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip


def time_stamps(text: str) -> list[float]:
    """The times that a text names, in seconds: 1:05, 0:01:05.5, 65 s, 65.5 seconds."""
    stamps = []
    for match in _STAMP.finditer(text):
        if match["bare"] is not None:
            stamps.append(float(match["bare"]))
        else:
            stamps.append(int(match["h"] or 0) * 3600 + int(match["m"]) * 60 + float(match["s"]))
    return stamps


def first_number(text: str) -> int | None:
    """The first count that a text names, time stamps left aside."""
    for word in re.findall(r"[a-z]+|\d+", _STAMP.sub(" ", text.lower())):
        if word.isdigit():
            return int(word)
        if word in _NUMBERS:
            return _NUMBERS[word]
    return None


def _tells_time_in(text: str, spans_s: Sequence[SpanS]) -> bool:
    """Whether the first time that the text names lies in a truth span, give or take the tolerance."""
    stamps = time_stamps(text)
    return bool(stamps) and any(a - TIME_TOLERANCE_S <= stamps[0] <= b + TIME_TOLERANCE_S for a, b in spans_s)


def _first_place(text: str, names: Iterable[str]) -> int | None:
    """Where in the text one of the names first stands, as a word or its plural; digits not in time stamps."""
    places = []
    for name in names:
        wanted = _words(name).strip()
        numeric = re.fullmatch(r"[\d ]+", wanted) is not None
        # a time stamp keeps its length, so that places in the two texts can be compared
        where = _STAMP.sub(lambda match: "_" * len(match[0]), text) if numeric else text
        letters = re.escape(wanted).replace(r"\ ", " *")  # text recognition loses spaces
        pattern = rf"(?<![0-9]){letters}(?![0-9])" if numeric else rf"(?<![a-z]){letters}(?:s|es|ed|ing)?(?![a-z])"
        match = re.search(pattern, _words(where))
        if match:
            places.append(match.start())
    return min(places, default=None)


def _words(text: str) -> str:
    """Lower case, every other character a space, one trailing space: as long as the text, and one."""
    return re.sub(r"[^a-z0-9]", " ", text.lower()) + " "


def _overlap_iou(a: SpanS, b: SpanS) -> float:
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return 0.0 if shared <= 0 else shared / (a[1] - a[0] + b[1] - b[0] - shared)


def _points_into(cited_s: SpanS, truth_s: SpanS) -> bool:
    middle = (cited_s[0] + cited_s[1]) / 2
    longest = max(LONGEST_S, 2 * (truth_s[1] - truth_s[0]))
    return truth_s[0] <= middle < truth_s[1] and cited_s[1] - cited_s[0] <= longest


def _share(outcomes: Iterable[bool]) -> float:
    outcomes = list(outcomes)
    return sum(outcomes) / len(outcomes) if outcomes else 0.0
