"""Media-time expressions: taken out of a question, resolved against what was watched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverie.reasoning.timewords import parse_time
from reverie.types import TimeSpan, ns
from tests.reasoning.fakes import span

WATCHED = span(0, 120)


@pytest.mark.parametrize(
    ("text", "start_s", "end_s", "rest"),
    [
        ("what was seen at 0:35", 34, 36, "what was seen"),
        ("what was seen at 35 seconds", 34, 36, "what was seen"),
        ("what was on screen 35 seconds in", 34, 36, "what was on screen"),
        ("what was seen at 1:02:03", 3722, 3724, "what was seen"),
        ("what was seen around the 1:10 mark", 69, 71, "what was seen"),
        ("what happened between 0:30 and 1:00", 30, 60, "what happened"),
        ("what happened from 1:10 to 2:00", 70, 120, "what happened"),
        ("what happened from 10 seconds to 1 minute 20 seconds", 10, 80, "what happened"),
        ("what was said in the first minute", 0, 60, "what was said"),
        ("what was said during the first 30 seconds", 0, 30, "what was said"),
        ("what was said in the last ten seconds", 110, 120, "what was said"),
        ("what was said in the last half a minute", 90, 120, "what was said"),
        ("what was said in the last half minute", 90, 120, "what was said"),
        ("what was said in the last half", 60, 120, "what was said"),
        ("what was said in the second half", 60, 120, "what was said"),
        ("what was said in the first half", 0, 60, "what was said"),
        ("what was said in the second minute", 60, 120, "what was said"),
        ("did you see a cat before 1:00", 0, 60, "did you see a cat"),
        ("did you see a cat after 1:30", 90, 120, "did you see a cat"),
        ("did you see a cat after 0:30 and before 1:00", 30, 60, "did you see a cat and"),
        ("what was seen at the beginning", 0, 10, "what was seen"),
        ("what was seen at the end", 110, 120, "what was seen"),
        ("what was said a minute ago", 54, 66, "what was said"),
        ("what do you see right now", 115, 120, "what do you see"),
    ],
)
def test_expressions(text, start_s, end_s, rest):
    expression, left = parse_time(text)
    assert expression is not None
    assert expression.resolve(WATCHED, WATCHED.end_ns) == span(start_s, end_s)
    assert left == rest


@pytest.mark.parametrize(
    "text",
    [
        "when did the cat appear",
        "what was said about platform seven",
        "did she say the meeting is at nine",
        "is the second cup full",
        "who came first, anna or ben",
        "the 12 apostles",
    ],
)
def test_no_expression(text):
    assert parse_time(text) == (None, text)


def test_now_is_marked_and_until_now_is_not():
    expression, _ = parse_time("is there a cat now")
    assert expression is not None
    assert expression.is_now
    assert parse_time("what happened until now")[0] is None


def test_now_moves_with_the_time_that_is_given():
    expression, _ = parse_time("in the last 10 seconds")
    assert expression is not None
    assert expression.resolve(WATCHED, ns(50)) == span(40, 50)


def test_the_first_minute_counts_from_where_watching_began():
    expression, _ = parse_time("in the first minute")
    assert expression is not None
    assert expression.resolve(span(100, 300), ns(300)) == span(100, 160)


@given(st.text(max_size=200))
def test_any_text_resolves_to_a_span(text):
    expression, _ = parse_time(text)
    if expression is not None:
        resolved = expression.resolve(WATCHED, WATCHED.end_ns)
        assert 0 <= resolved.start_ns <= resolved.end_ns


@given(st.integers(0, 5999), st.integers(0, 5999))
def test_between_is_what_it_says(a, b):
    text = f"what happened between {a // 60}:{a % 60:02d} and {b // 60}:{b % 60:02d}"
    expression, rest = parse_time(text)
    assert expression is not None
    assert rest == "what happened"
    low, high = sorted((a, b))
    assert expression.resolve(WATCHED, 0) == TimeSpan(start_ns=ns(low), end_ns=ns(high))
