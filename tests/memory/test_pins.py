"""What is pinned never becomes coarser; pins take at most half of the budget."""

from __future__ import annotations

import json

import pytest

from reverie.errors import ConfigError, UsageError
from reverie.memory import Memory, MemoryConfig
from reverie.types import Query
from tests.memory.reading import assert_whole, rows_of
from tests.memory.test_budget import LIMIT, TOLERANCE, bytes_of, hour, open_memory
from tests.memory.worlds import BagOfWords, make_stream, said, seen, span


def stretches(pins):
    return [(pin.stream_id, pin.span.start_s, pin.span.end_s) for pin in pins]


def test_pins_are_joined_clipped_and_cut(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(make_stream(1))
        memory.write(make_stream(2, stream_id="radio"))
        assert stretches(memory.pin(span(10, 20), ["tv"])) == [("tv", 10, 20)]
        assert stretches(memory.pin(span(20, 30), ["tv"])) == [("tv", 10, 30)]
        assert stretches(memory.pin(span(100, 10**6), ["tv"]))[1] == ("tv", 100, memory.streams()[0].watched.end_s)
        assert stretches(memory.unpin(span(15, 110), ["tv"]))[0] == ("tv", 10, 15)
        assert {pin.stream_id for pin in memory.pin()} == {"tv", "radio"}
        memory.forget(span=span(0, 12), stream_ids=["tv"])
        assert stretches(memory.pins())[0][1] == 12
        memory.forget(stream_ids=["radio"])
        assert {pin.stream_id for pin in memory.pins()} == {"tv"}
        assert memory.unpin() == []
        with pytest.raises(UsageError, match="nothing was watched there"):
            memory.pin(span(10**6, 10**6 + 1))
        with pytest.raises(UsageError, match="no stream is called"):
            memory.pin(stream_ids=["cinema"])


@pytest.mark.slow
def test_what_is_pinned_stays_whole_while_all_else_fades(tmp_path):
    with open_memory(tmp_path, LIMIT) as memory:
        memory.write(hour(0, scenes=2))
        memory.pin(span(20, 40))
        before = memory.rows(span(20, 40))
        for number in range(1, 8):
            memory.write(hour(number))
            assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
        assert memory.rows(span(20, 40)) == before
        assert {event.level for event in memory.timeline(span(20, 40))} == {0}
        assert min(event.level for event in memory.timeline(span(3600, 7200))) >= 1
    assert_whole(tmp_path)


def test_pins_past_half_of_the_budget_are_refused_and_so_is_a_budget_below_them(tmp_path):
    with open_memory(tmp_path, LIMIT) as memory:
        memory.write([*hour(0), *hour(1), *hour(2)])
        before = rows_of(tmp_path)["pin"]
        with pytest.raises(UsageError, match="more than half of the budget"):
            memory.pin()
        assert rows_of(tmp_path)["pin"] == before == []
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([seen("quetzal", 20_000, picture=1), said("the quetzal is here", 20_001, 20_003)])
        memory.pin()
    with pytest.raises(ConfigError, match="reverie memory unpin"):
        open_memory(tmp_path, LIMIT)
    with open_memory(tmp_path, LIMIT, mode="r") as reader:
        assert reader.search(Query(text="quetzal", k=1))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=MemoryConfig(max_bytes=None)) as memory:
        memory.unpin(span(0, 10_000))
    with open_memory(tmp_path, LIMIT) as memory:
        assert len(memory.pins()) == 1


def test_the_command_line_pins_consolidates_and_unpins(cli, tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(make_stream(1))
    outcome = cli("memory", "pin", "--memory", tmp_path / "m", "--from", 10, "--to", 20, "--json")
    pinned = {"pins": [{"stream_id": "tv", "start_s": 10.0, "end_s": 20.0}]}
    assert (outcome.code, json.loads(outcome.out)) == (0, pinned)
    assert json.loads(cli("memory", "pins", "--memory", tmp_path / "m", "--json").out) == pinned
    done = json.loads(cli("memory", "consolidate", "--memory", tmp_path / "m", "--max-s", 60, "--json").out)
    assert done["complete"]
    assert done["episodes"] >= 1
    assert cli("memory", "consolidate", "--memory", tmp_path / "m").out.startswith("0 recalls folded in, ")
    assert cli("memory", "unpin", "--memory", tmp_path / "m").out == "nothing is pinned\n"
    outcome = cli("memory", "pin", "--memory", tmp_path / "m", "--from", 10**6)
    assert (outcome.code, outcome.out) == (2, "")
    assert "nothing was watched there" in outcome.err
    assert cli("memory", "pin", "--memory", tmp_path / "m", "--from", 9, "--to", 8).code == 2
    assert cli("memory", "consolidate", "--memory", tmp_path / "nothing").code == 1
