"""Calendar time: found in a question, and resolved at a moment in a zone."""

from contextlib import suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverie.reasoning.calendar_days import NoSuchDay
from reverie.reasoning.calendar_time import find_calendar, resolve

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 15, 20, tzinfo=BERLIN)  # a Monday


def shown(moment: datetime) -> str:
    return f"{moment:%d %b %Y %H:%M}"


@pytest.mark.parametrize(
    ("text", "start", "end", "rest"),
    [
        ("what happened this morning", "23 Nov 2026 05:00", "23 Nov 2026 12:00", "what happened"),
        (
            "what did she say yesterday about tea",
            "22 Nov 2026 00:00",
            "23 Nov 2026 00:00",
            "what did she say about tea",
        ),
        ("who came last night", "22 Nov 2026 18:00", "23 Nov 2026 06:00", "who came"),
        ("did a cat come two days ago", "21 Nov 2026 00:00", "22 Nov 2026 00:00", "did a cat come"),
        ("what happened two weeks ago", "08 Nov 2026 00:00", "11 Nov 2026 00:00", "what happened"),
        ("did a cat come on tuesday", "17 Nov 2026 00:00", "18 Nov 2026 00:00", "did a cat come"),
        ("what happened on tuesday evening", "17 Nov 2026 17:00", "18 Nov 2026 00:00", "what happened"),
        ("what happened at 3 pm", "23 Nov 2026 14:50", "23 Nov 2026 15:10", "what happened"),
        ("what was seen at 14:03", "23 Nov 2026 14:02", "23 Nov 2026 14:04", "what was seen"),
        ("what happened around noon", "23 Nov 2026 11:30", "23 Nov 2026 12:30", "what happened"),
        ("who spoke between 9 and 10 am", "23 Nov 2026 09:00", "23 Nov 2026 10:00", "who spoke"),
        ("who spoke between 9 and 10 am yesterday", "22 Nov 2026 09:00", "22 Nov 2026 10:00", "who spoke"),
        ("who spoke yesterday between 11 and 1 pm", "22 Nov 2026 11:00", "22 Nov 2026 13:00", "who spoke"),
        ("who came last night at 2 am", "23 Nov 2026 01:50", "23 Nov 2026 02:10", "who came"),
        ("what happened last week", "16 Nov 2026 00:00", "23 Nov 2026 00:00", "what happened"),
        ("what happened last weekend", "21 Nov 2026 00:00", "23 Nov 2026 00:00", "what happened"),
        ("what happened on 3 may", "03 May 2026 00:00", "04 May 2026 00:00", "what happened"),
        ("what happened on may 3rd, 2025", "03 May 2025 00:00", "04 May 2025 00:00", "what happened"),
        ("what happened on 24 december", "24 Dec 2025 00:00", "25 Dec 2025 00:00", "what happened"),
        ("what happened in may", "01 May 2026 00:00", "01 Jun 2026 00:00", "what happened"),
        ("what happened last month", "01 Oct 2026 00:00", "01 Nov 2026 00:00", "what happened"),
        ("did the cat come since friday", "20 Nov 2026 00:00", "23 Nov 2026 15:20", "did the cat come"),
        ("did the cat come before 3 pm", "23 Nov 2026 00:00", "23 Nov 2026 15:00", "did the cat come"),
        ("did the cat come before friday", "01 Jan 1970 00:00", "20 Nov 2026 00:00", "did the cat come"),
        ("who came in the last two weeks", "09 Nov 2026 00:00", "23 Nov 2026 15:20", "who came"),
        ("who came between monday and wednesday", "16 Nov 2026 00:00", "19 Nov 2026 00:00", "who came"),
        ("what will happen tomorrow", "24 Nov 2026 00:00", "25 Nov 2026 00:00", "what will happen"),
        ("what happened an hour ago", "23 Nov 2026 14:14", "23 Nov 2026 14:26", "what happened"),
        ("what did he say about an hour ago", "23 Nov 2026 14:14", "23 Nov 2026 14:26", "what did he say"),
        ("what happened half an hour ago", "23 Nov 2026 14:47", "23 Nov 2026 14:53", "what happened"),
        ("what happened 1.5 hours ago", "23 Nov 2026 13:41", "23 Nov 2026 13:59", "what happened"),
        ("what happened 30 hours ago", "22 Nov 2026 06:20", "22 Nov 2026 12:20", "what happened"),
        ("who came in the last hour", "23 Nov 2026 14:20", "23 Nov 2026 15:20", "who came"),
        ("who came in the last half hour", "23 Nov 2026 14:50", "23 Nov 2026 15:20", "who came"),
        ("summarise the last 2 hours", "23 Nov 2026 13:20", "23 Nov 2026 15:20", "summarise"),
        ("who came in the past two hours and 10 minutes", "23 Nov 2026 13:10", "23 Nov 2026 15:20", "who came"),
        ("did the cat come since two hours ago", "23 Nov 2026 13:08", "23 Nov 2026 15:20", "did the cat come"),
        (
            "who came between two hours ago and an hour ago",
            "23 Nov 2026 13:08",
            "23 Nov 2026 14:26",
            "who came",
        ),
        ("what happened on 29 february", "29 Feb 2024 00:00", "01 Mar 2024 00:00", "what happened"),
    ],
)
def test_words_mean(text, start, end, rest):
    calendar, left = find_calendar(text)
    assert calendar is not None
    found = resolve(calendar.words, NOW)
    assert (shown(found[0]), shown(found[1]), left) == (start, end, rest)


@pytest.mark.parametrize(
    "text",
    [
        "what may happen",
        "may i see the cat",
        "can you march",
        "is the second cup full",
        "in the last minute",
        "in the last 60 minutes",
        "ten minutes ago",
        "in the last hour of the film",
        "in the first hour",
        "at nine",
    ],
)
def test_no_calendar_time(text):
    assert find_calendar(text) == (None, text)


@pytest.mark.parametrize(("text", "bare", "firm"), [("at 14:03", True, False), ("at noon", False, False)])
def test_what_may_mean_something_else(text, bare, firm):
    calendar, _ = find_calendar(text)
    assert (calendar.bare, calendar.firm) == (bare, firm)


def test_a_night_after_midnight_is_the_one_that_goes_on():
    at_two = datetime(2026, 11, 23, 2, tzinfo=BERLIN)
    assert [shown(edge) for edge in resolve("tonight", at_two)] == ["22 Nov 2026 18:00", "23 Nov 2026 06:00"]


@pytest.mark.parametrize(("day", "hours"), [("29 march", 23), ("25 october", 25), ("26 october", 24)])
def test_days_on_which_clocks_change(day, hours):
    start, end = resolve(f"on {day}", NOW)
    assert end.timestamp() - start.timestamp() == hours * 3600


def test_an_hour_that_comes_twice_is_covered_twice():
    start, end = resolve("on 25 october at 2:30 am", NOW)
    assert end.timestamp() - start.timestamp() == 3600 + 2 * 60


def test_hours_count_as_they_pass_when_clocks_change():
    now = datetime(2026, 10, 25, 4, tzinfo=BERLIN)
    start, end = resolve("in the last 3 hours", now)
    assert end.timestamp() - start.timestamp() == 3 * 3600


def test_a_time_without_a_day_is_of_the_newest_day_on_which_it_was_watched():
    friday = datetime(2026, 11, 20, 14, tzinfo=BERLIN)
    start, _ = resolve("at 3 pm", NOW, [(friday, friday + timedelta(hours=2))])
    assert shown(start) == "20 Nov 2026 14:50"


@given(st.text(max_size=80))
def test_any_text_can_be_asked(text):
    calendar, _ = find_calendar(text.lower())
    if calendar is not None:
        with suppress(NoSuchDay):
            start, end = resolve(calendar.words, NOW)
            assert start <= end or calendar.words


@pytest.mark.parametrize("day", ["31 february", "29 february 2025", "april 31st", "2026-13-01", "0000-01-01", "0 may"])
def test_a_day_that_no_calendar_has_is_not_taken_for_another(day):
    calendar, _ = find_calendar(f"what was said on {day}")
    with pytest.raises(NoSuchDay):
        resolve(calendar.words, NOW)
