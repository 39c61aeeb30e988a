"""Questions in calendar time against streams that know their wall clock, and one that does not."""

import re
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from reverie.clock import ManualClock
from reverie.reasoning import Reasoner, ReasonerConfig
from reverie.reasoning.places import find_place
from reverie.types import StreamStart, ns
from tests.reasoning.fakes import SENSES, FakeRetriever

BERLIN = ZoneInfo("Europe/Berlin")


def wall_ns(day: int, hour: int) -> int:
    return int(datetime(2026, 11, day, hour, tzinfo=BERLIN).timestamp()) * 10**9


def reasoner(*anchors: tuple[int, int] | None) -> Reasoner:
    """An hour from each (day, hour), asked on Monday 23 November 2026 at 15:20."""
    memory = FakeRetriever()
    for name, anchor in zip("ab", anchors, strict=False):
        memory.watched(3600, stream_id=name)
        anchor_ns = wall_ns(*anchor) if anchor else None
        memory.records[-1] = replace(memory.records[-1], wall_anchor_ns=anchor_ns)
    memory.say("The train to Boston leaves from platform seven.", 600, 604)
    memory.say("The train to Boston leaves from platform nine.", 3000, 3004)
    memory.track("cat", 1800, 1900)
    if len(anchors) > 1:
        memory.say("The train to Boston was cancelled.", 600, 604, stream_id="b").track("cat", 60, 70, stream_id="b")
    clock = ManualClock(wall_ns=wall_ns(23, 15) + ns(20 * 60))
    return Reasoner(memory, SENSES, ReasonerConfig(timezone="Europe/Berlin"), clock=clock)


def starts(answer) -> list[tuple[str, float]]:
    return [(citation.stream_id, citation.span.start_s) for citation in answer.citations]


@pytest.mark.parametrize(
    ("question", "where"),
    [
        ("What was said about the train to Boston yesterday?", ("a", 600)),
        ("What did she say about the train to Boston at 9:10 am?", ("a", 600)),
        ("What was said about the train to Boston at 9:50 am yesterday?", ("a", 3000)),
        ("What was said about the train between 9:45 and 10 am?", ("a", 3000)),
        ("Did you see a cat on Sunday?", ("a", 1800)),
        ("When did the cat appear between 9:00 and 10:00?", ("a", 1800)),
        ("What was said about the train to Boston after 9:40 am?", ("a", 3000)),
    ],
)
def test_answered_from_the_time_that_is_meant(question, where):
    answer = reasoner((22, 9)).ask(question)
    assert not answer.abstained, answer.text
    assert starts(answer)[0] == where


def test_answers_tell_wall_time_beside_media_time():
    answer = reasoner((22, 9)).ask("When did the cat appear?")
    assert "from 30:00 to 31:40 (Sun 22 Nov 2026, 09:30:00)" in answer.text


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (
            "What was said yesterday?",
            "“The train to Boston leaves from platform seven.” (10:00 [Sun 22 Nov 2026, 09:10:00])",
        ),
        ("What was seen yesterday?", "cat (30:00–31:40 [Sun 22 Nov 2026, 09:30:00])"),
        ("How many cats were seen yesterday?", "30:00–31:40 (Sun 22 Nov 2026, 09:30:00)"),
    ],
)
def test_lists_tell_wall_time_too(question, told):
    assert told in reasoner((22, 9)).ask(question).text


def test_lists_of_streams_without_a_wall_clock_tell_media_time_alone():
    assert "platform seven.” (10:00) and" in reasoner(None).ask("What was said?").text


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Did you see a cat at 9:05 am?", "Nothing was found"),
        ("Did you see a cat on Saturday?", "Nothing was watched from Sat 21 Nov 2026"),
        ("What will be said tomorrow?", "is still to come"),
        ("What was said on 31 February?", "“on 31 february”: There is no such day"),
        ("What was said since February 30?", "There is no such day"),
        ("What was said this morning?", "only from Sun 22 Nov 2026, 09:00:00 to Sun 22 Nov 2026, 10:00:00"),
    ],
)
def test_declined_with_a_reason(question, reason):
    answer = reasoner((22, 9)).ask(question)
    assert answer.abstained
    assert reason in answer.text


def test_without_a_wall_clock_calendar_time_is_declined():
    asked = reasoner(None)
    asked._retriever.say("This room is called Morning Star.", 700, 704)
    for question in ("Did you see a cat yesterday?", "What was said this morning?"):
        answer = asked.ask(question)
        assert answer.abstained
        assert "No wall-clock time is known" in answer.text


def test_a_clock_time_that_was_watched_as_media_time_is_media_time():
    answer = reasoner((22, 30 - 24 + 9)).ask("What was said at 10:01?")
    assert starts(answer)[0] == ("a", 600)


def test_each_of_several_streams_is_asked_for_its_own_part():
    both = reasoner((22, 9), (23, 9))
    assert starts(both.ask("What was said about the train to Boston this morning?")) == [("b", 600)]
    assert {stream for stream, _ in starts(both.ask("Did you see a cat since Saturday?"))} == {"a", "b"}
    cat = both.ask("How many cats were seen this week?")
    assert starts(cat) == [("b", 60)]


@pytest.mark.parametrize(
    ("question", "where"),
    [
        ("What was said about the train to Boston 6 hours ago?", ("b", 600)),
        ("What was said about the train to Boston in the last seven hours?", ("b", 600)),
        ("When did the cat appear 30 hours ago?", ("a", 1800)),
    ],
)
def test_hours_count_back_from_now(question, where):
    assert starts(reasoner((22, 9), (23, 9)).ask(question)) == [where]


@pytest.mark.parametrize("question", ["What was said in the last hour?", "Did you see a cat an hour ago?"])
def test_hours_in_which_nothing_was_watched_are_declined(question):
    answer = reasoner((22, 9)).ask(question)
    assert answer.abstained
    assert "Nothing was watched from Mon 23 Nov 2026, 14:" in answer.text
    assert "as in the last 60 minutes" in answer.text
    assert answer.searched.endswith("from 0:00 to 1:00:00 of stream 'a'")  # all of it, not an hour before its end


def test_hours_that_were_spoken_of_are_found_wherever_they_were():
    film = reasoner((22, 9))
    film._retriever.say("An hour ago the storm began.", 3500, 3502)
    assert starts(film.ask("What was said about the storm an hour ago?")) == [("a", 3500)]


@pytest.mark.parametrize("when", ["in the last 60 minutes", "30 minutes ago", "in the last hour of the recording"])
def test_minutes_and_the_hours_of_a_recording_are_media_time(when):
    assert starts(reasoner((22, 9)).ask(f"Did you see a cat {when}?")) == [("a", 1800)]


def test_hours_are_media_time_where_no_wall_clock_is_known():
    film = reasoner(None)
    assert starts(film.ask("Did you see a cat in the last hour?")) == [("a", 1800)]
    assert film.ask("Did you see a cat two hours ago?").text == "That is before what was watched, from 0:00 to 1:00:00."


def test_order_across_streams_goes_by_wall_time():
    both = reasoner((22, 9), (23, 9))
    answer = both.ask('Which came first, "was cancelled" or "platform nine"?')
    assert "“platform nine” came first" in answer.text


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValidationError, match="IANA"):
        ReasonerConfig(timezone="Europe/Nowhere")


def test_a_place_means_the_streams_recorded_there():
    memory = FakeRetriever().watched(60, stream_id="a").watched(60, stream_id="b")
    memory.records[:] = [replace(r, place=p) for r, p in zip(memory.records, ("kitchen", "back garden"), strict=True)]
    memory.track("cat", 10, 20, stream_id="a").track("cat", 30, 40, stream_id="b")
    reasoner = Reasoner(memory, SENSES)
    assert starts(reasoner.ask("When did you see a cat in the kitchen?")) == [("a", 10)]
    assert starts(reasoner.ask("When did you see a cat in the back garden?")) == [("b", 30)]
    assert {stream for stream, _ in starts(reasoner.ask("When did you see a cat?"))} == {"a", "b"}


def test_a_quote_that_holds_the_words_answers_where_no_clock_is_known():
    memory = FakeRetriever().watched(60).say("The election was held in 2020.", 10, 12)
    answer = Reasoner(memory, SENSES).ask("What was said about the election in 2020?")
    assert starts(answer) == [("a", 10)]


def test_a_stream_counts_days_in_its_own_zone():
    """Nine to ten in Berlin is five to six in the evening in Tokyo."""
    tokyo = reasoner((22, 9))
    records = tokyo._retriever.records
    records[-1] = replace(records[-1], timezone="Asia/Tokyo")
    assert tokyo.ask("Did you see a cat yesterday at 9:30 am?").abstained
    answer = tokyo.ask("Did you see a cat yesterday at 5:30 pm?")
    assert starts(answer) == [("a", 1800)]
    assert "Sun 22 Nov 2026, 17:30:00" in answer.text


def test_streams_of_two_zones_are_asked_each_for_its_own_hour():
    both = reasoner((22, 9), (22, 1))
    records = both._retriever.records
    records[-1] = replace(records[-1], timezone="Asia/Tokyo")  # 1:00 in Berlin, 9:00 in Tokyo
    found = starts(both.ask("When did you see a cat yesterday between 9 and 10 am?"))
    assert set(found) == {("a", 1800), ("b", 60)}


def test_a_stream_of_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone 'Europe/Nowhere'; give an IANA name"):
        StreamStart(stream_id="a", uri="", live=True, has_video=True, has_audio=True, timezone="Europe/Nowhere")


@pytest.mark.parametrize(
    ("asked", "streams"),
    [
        ("When did you see a cat in the Kitchen?", {"a", "b"}),
        ("When did you see a cat in the garage (left) yesterday?", {"c"}),
        ("Was a cat in the office after 0:05?", {"d"}),
        ("What was said in the kitchen two days ago?", {"a", "b"}),
        ("What was said in the kitchen an hour ago?", {"a", "b"}),
        ("What was said in the kitchen half an hour ago?", {"a", "b"}),
        ("What will be said in the kitchen next week?", {"a", "b"}),
        ("What was said in the kitchen around noon?", {"a", "b"}),
        ("When did you see a cat in the kitchen garden?", {"a", "b", "c", "d"}),
    ],
)
def test_a_place_is_known_however_it_is_written_and_only_whole(asked, streams):
    memory = FakeRetriever()
    for name in "abcd":
        memory.watched(60, stream_id=name).track("cat", 10, 20, stream_id=name)
    places = ("Kitchen", "kitchen", "garage (left)", " office ")
    memory.records[:] = [replace(r, place=p) for r, p in zip(memory.records, places, strict=True)]
    found, _ = find_place(asked, memory.records)
    assert set(found or "abcd") == streams


def days() -> Reasoner:
    """Saturday's, Sunday's, Monday's and Tuesday's stream, the earlier ones longer; asked on Wednesday the 25th."""
    memory = FakeRetriever()
    trains = (("k1", 21, 10, 60), ("k2", 22, 10, 2000), ("g1", 23, 11, 30), ("t1", 24, 12, 600))
    for name, day, hour, start_s in trains:
        memory.watched(3600, stream_id=name).track("cat", start_s, start_s + 4, stream_id=name)
        memory.records[-1] = replace(memory.records[-1], wall_anchor_ns=wall_ns(day, hour))
        memory.say(f"The train of day {day} is late.", start_s, start_s + 4, stream_id=name)
    return Reasoner(
        memory, SENSES, ReasonerConfig(timezone="Europe/Berlin"), clock=ManualClock(wall_ns=wall_ns(25, 12))
    )


@pytest.mark.parametrize(
    ("question", "streams"),
    [
        ("What was the last thing that was said?", ["t1"]),
        ("What was said first?", ["k1"]),
        ("When was the train mentioned last?", ["t1", "k1", "k2", "g1"]),
        ("When was the train mentioned first?", ["k1", "k2", "g1", "t1"]),
        ("When was the cat seen last?", ["t1", "k1", "k2", "g1"]),
        ("What was said in the last two weeks?", ["k1", "k2", "g1", "t1"]),
        ("How many times was the cat seen?", ["k1", "k2", "g1", "t1"]),
        ('How many times was "train" said?', ["k1", "k2", "g1", "t1"]),
        ("Did anyone say anything?", ["k1", "k2", "g1", "t1"]),
    ],
)
def test_what_happened_on_several_days_is_told_in_their_order(question, streams):
    answer = days().ask(question)
    assert [stream for stream, _ in starts(answer)] == streams, answer.text
    told = re.findall(r"stream '(\w+)'", answer.text)
    assert told == streams[: len(told)], answer.text


def test_where_one_stream_does_not_know_the_day_media_time_orders_all():
    reasoner = days()
    records = reasoner._retriever.records
    records[0] = replace(records[0], wall_anchor_ns=None)
    assert starts(reasoner.ask("When was the train mentioned last?"))[0] == ("k2", 2000)
