"""Opened for writing with a smaller budget than it was kept with, a memory is in it when open returns, or refused."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from reverie.errors import ConfigError, MemoryFull
from reverie.types import Label, Query
from tests.memory.reading import assert_whole, rows_of
from tests.memory.test_budget import LIMIT, bytes_of, hour, open_memory
from tests.memory.worlds import said, seen, span

OLD_LIMIT = 8 << 20
HOURS = 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A memory of ten hours, none of which has faded. Only for copying."""
    root = tmp_path_factory.mktemp("whole") / "m"
    with open_memory(root, OLD_LIMIT) as memory:
        memory.write([said("the xylophone stands in the attic", 1.0, 3.0)])
        for number in range(HOURS):
            memory.write(hour(number + 1))
        assert {event.level for event in memory.timeline()} == {0}
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "m")
    return tmp_path / "m"


def files(root):
    """Every key frame, and the rows."""
    return {path.name: path.read_bytes() for path in root.glob("pictures/*/*")}, rows_of(root)


@pytest.mark.parametrize("limit", [3 << 19, LIMIT, 1 << 20], ids=["a little", "smaller", "the smallest"])
def test_reopened_with_a_smaller_budget_it_is_in_it_at_once_and_answers(root, limit):
    assert bytes_of(root) > limit
    with open_memory(root, limit) as memory:
        assert bytes_of(root) <= limit
        assert memory.verify().findings == ()
        assert max(event.level for event in memory.timeline()) >= 1
        hits = memory.search(Query(text="xylophone attic", k=3))
        assert hits[0].text == "the xylophone stands in the attic"
        assert memory.familiarity("the xylophone stands in the attic")
    assert bytes_of(root) <= limit
    assert_whole(root)
    before = files(root)
    with open_memory(root, limit) as memory:  # it fits: nothing fades once more
        assert files(root) == before
        assert memory.write(hour(HOURS)).committed == 0
        assert memory.write(hour(HOURS + 1)).committed == 488
        assert bytes_of(root) <= limit
    assert_whole(root)


def test_names_that_nothing_bears_any_more_go_before_what_was_seen(tmp_path):
    names = [tuple(Label(name=f"thing{10 * scene + number}", score=0.5) for number in range(10)) for scene in range(99)]
    with open_memory(tmp_path, OLD_LIMIT) as memory:
        memory.write([replace(seen(f"scene {n}", 6 * n, cut=True), labels=some) for n, some in enumerate(names)])
        memory.write([said(f"lantern number{n}", 6 * n, 6 * n + 2) for n in range(99)])
        for number in range(1, 9):
            memory.write(hour(number))
    with open_memory(tmp_path, 1 << 20) as memory:
        assert bytes_of(tmp_path) <= 1 << 20
        left = {name for (name,) in memory._store.reader.execute("SELECT name FROM label")}
        gone = tuple(label for some in names for label in some if label.name not in left)
        assert gone
        memory.write([replace(seen("scene 0", 36_000), labels=gone[:10])])  # they get other numbers
        assert {count.name for count in memory.labels()} >= {label.name for label in gone[:10]}
        assert memory.search(Query(text="lantern", k=3))
        assert memory.verify().findings == ()
    assert_whole(tmp_path)


def pin_much(memory):
    memory.pin(span(3600, 3600 * 6))


def note_much(memory):
    for number in range(20):
        memory.note(f"note {number} " + "of the lantern at the river " * 1200, stream_id="tv", about=span(1, 3))


@pytest.mark.parametrize("fill", [pin_much, note_much])
def test_what_cannot_fade_is_never_made_to_fit(root, fill):
    limit = 1 << 20
    with open_memory(root, OLD_LIMIT) as memory:
        fill(memory)
        hits = memory.search(Query(text="xylophone scene 3 4", k=10))
    before = files(root)
    with pytest.raises(ConfigError, match="max_bytes of at least") as refused:
        open_memory(root, limit)
    assert files(root) == before
    with open_memory(root, limit, mode="r") as reader:
        assert reader.search(Query(text="xylophone scene 3 4", k=10)) == hits
    with open_memory(root, OLD_LIMIT) as memory:
        assert memory.search(Query(text="xylophone scene 3 4", k=10)) == hits
        assert files(root) == before
    (enough,) = re.findall(r"max_bytes of at least (\d+)", str(refused.value))
    with open_memory(root, int(enough)) as memory:
        assert bytes_of(root) <= int(enough)
        assert memory.verify().findings == ()
    assert_whole(root)


def test_a_reader_that_holds_the_log_is_named_and_all_is_there_afterwards(root):
    with open_memory(root, OLD_LIMIT) as memory, open_memory(root, OLD_LIMIT, mode="r") as reader:
        reader._store.reader.execute("BEGIN")
        assert reader._store.reader.execute("SELECT count(*) FROM observation").fetchone()[0] > 0
        memory.write([said("a quetzal flew by", 40_000, 40_002)])
        memory.close()
        with pytest.raises(MemoryFull, match="a reader has held the log") as refused:
            open_memory(root, LIMIT, busy_s=0.02)
        assert refused.value.retryable
        reader._store.reader.execute("COMMIT")
    with open_memory(root, LIMIT) as memory:
        assert bytes_of(root) <= LIMIT
        assert memory.search(Query(text="quetzal", k=1))[0].text == "a quetzal flew by"
    assert_whole(root)
