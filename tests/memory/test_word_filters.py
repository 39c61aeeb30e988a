"""Which words a minute held is known when its text is gone, until it is forgotten."""

from __future__ import annotations

import shutil
import sqlite3

import numpy as np
import pytest

from reverie.errors import UsageError
from reverie.memory import Memory, MemoryConfig
from reverie.memory.demotion import demote
from reverie.memory.stretches import Demoted
from reverie.memory.word_filters import BLOCK_NS, MAX_EVENT_BYTES, MINUTE_NS
from reverie.types import EndOfStream, ns
from tests.memory.reading import assert_whole
from tests.memory.worlds import BagOfWords, said, span

NUM_MINUTES = 100


def word(number):
    letters = "bcdfghklmnprstvz"
    return "".join(letters[number // 16**place % 16] + "ao"[place % 2] for place in range(4)) + "x"


def told(minute):
    """Three sentences of a minute: twelve words each that no other one holds, and some that all do."""
    numbers = np.random.default_rng(minute).permutation(36)
    return [
        " ".join(["The people walked", *(word(minute * 36 + own) for own in numbers[part::3])]) for part in range(3)
    ]


def make(path, **config):
    return Memory.open(path, text_encoder=BagOfWords(), mode="w", config=MemoryConfig(max_bytes=None, **config))


def hear(memory, minutes=NUM_MINUTES, stream_id="radio"):
    memory.write([
        said(text, 60 * minute + 20 * part, 60 * minute + 20 * part + 15, stream_id)
        for minute in range(minutes) for part, text in enumerate(told(minute))
    ])  # fmt: skip
    memory.write([EndOfStream(stream_id=stream_id, pts_ns=ns(60.0 * minutes))])


def fade(memory, bits=128, times=6):
    """Take every event through all levels, and merged ones together `times - 3` times more."""
    for _ in range(times):
        with memory._store.transaction() as db:
            for (event,) in db.execute("SELECT id FROM event WHERE NOT open ORDER BY id").fetchall():
                demote(db, event, Demoted(), 0.0, bits)


@pytest.fixture(scope="module")
def faded(tmp_path_factory):
    """A radio that was heard long ago. Only for copying."""
    root = tmp_path_factory.mktemp("faded") / "m"
    with make(root) as memory:
        hear(memory)
        fade(memory)
    return root


@pytest.fixture
def memory(faded, tmp_path):
    shutil.copytree(faded, tmp_path / "m")
    with make(tmp_path / "m") as memory:
        yield memory


def minutes_of(sayings):
    return [saying.span.start_ns // MINUTE_NS for saying in sayings]


def gone(memory):
    """Sentences, with their minutes, of which no text is left."""
    left = {said.text for said in memory.rows()}
    return [(minute, text) for minute in range(NUM_MINUTES) for text in told(minute) if text not in left]


def test_a_sentence_that_is_gone_is_found_in_its_minute(memory, tmp_path):
    lost = gone(memory)[:100]
    assert len(lost) == 100
    found = [minutes_of(memory.when_said(text))[:1] == [minute] for minute, text in lost]
    assert np.mean(found) > 0.9
    for number in range(100):  # and what was never said is seldom found
        assert len(memory.when_said(told(1000 + number)[0], at_least=0.99)) <= 1
    false = sum(len(memory.when_said(told(1000 + number)[0])) for number in range(100))
    assert false <= 10
    assert_whole(tmp_path / "m")
    assert memory.verify().sound


def test_only_what_is_asked_for_is_looked_at(memory):
    minute, text = gone(memory)[5]
    here = span(60 * minute, 60 * minute + 60)
    (saying,) = memory.when_said(text, span=span(60 * minute - 600, 60 * minute + 600), stream_ids=("radio",))
    assert saying.span == here
    assert saying.probability > 0.5
    assert memory.when_said(text, stream_ids=("tv",)) == []
    assert memory.when_said("the and of") == []
    everywhere = memory.when_said(text, at_least=0.0)
    assert sum(saying.probability for saying in everywhere) < 1
    assert len(everywhere) == NUM_MINUTES
    with pytest.raises(UsageError):
        memory.when_said(text, at_least=2.0)


def test_words_match_in_any_inflection_and_accent(tmp_path):
    with make(tmp_path / "m") as memory:
        hear(memory)
        fade(memory)
        _, text = gone(memory)[3]
        changed = " ".join(word.upper() for word in text.replace("a", "á").split())
        assert memory.when_said(changed) == memory.when_said(text) != []


@pytest.mark.slow
def test_joining_a_long_stream_keeps_its_filters_within_their_share(tmp_path):
    with make(tmp_path / "m") as memory:
        hear(memory, 900)
        fade(memory, times=9)
        with sqlite3.connect(tmp_path / "m" / "memory.sqlite") as db:
            events = db.execute("SELECT start_ns, end_ns FROM event").fetchall()
            for start_ns, end_ns in events:
                (taken,) = db.execute(
                    "SELECT sum(length(bits)) FROM word_filter WHERE block * ?1 >= ?2 AND block * ?1 < ?3",
                    (BLOCK_NS, start_ns, end_ns),
                ).fetchone()
                assert (taken or 0) <= MAX_EVENT_BYTES
            assert max(end_ns - start_ns for start_ns, end_ns in events) > 4 * BLOCK_NS
            assert db.execute("SELECT min(num_filters) FROM word_filter").fetchone()[0] < 64
        left = {said.text for said in memory.rows()}
        lost = [(minute, text) for minute in range(0, 900, 15) for text in told(minute) if text not in left]
        found = [memory.when_said(text, at_least=0.0)[0].span for _, text in lost]
        near = [
            there.overlaps(span(60 * minute, 60 * minute + 60)) for there, (minute, _) in zip(found, lost, strict=True)
        ]
        assert np.mean(near) > 0.6


def test_forgetting_a_span_empties_its_minutes_and_no_other(memory):
    lost = dict(gone(memory))
    before = {minute for minute, text in lost.items() if minute in minutes_of(memory.when_said(text))}
    receipt = memory.forget(span=span(60 * 50, 60 * 60), stream_ids=("radio",))
    after = {minute for minute, text in lost.items() if minute in minutes_of(memory.when_said(text))}
    assert receipt.word_filters == 11  # a text of the minute before may have reached in
    assert not after & set(range(49, 60))
    assert len(before - after - set(range(49, 60))) <= 2
    assert memory.forget(stream_ids=("radio",)).complete
    assert memory.when_said(next(iter(lost.values())), at_least=0.0) == []


def test_forgetting_words_empties_every_minute_that_may_have_held_them(memory):
    minute, text = gone(memory)[7]
    cue = " ".join(text.split()[3:6])
    preview = memory.forget(text=cue, dry_run=True)
    receipt = memory.forget(text=cue)
    assert preview.word_filters == receipt.word_filters
    assert 1 <= receipt.word_filters < NUM_MINUTES // 3
    assert minute not in minutes_of(memory.when_said(text, at_least=0.0))
    assert memory.when_said(cue) == []


def test_two_memories_hash_alike_words_differently(tmp_path):
    packed = []
    for name in ("a", "b"):
        with make(tmp_path / name) as memory:
            hear(memory, 20)
            fade(memory)
        with sqlite3.connect(tmp_path / name / "memory.sqlite") as db:
            packed.append(db.execute("SELECT bits FROM word_filter").fetchall())
    assert packed[0] != packed[1]


def test_none_are_kept_when_not_wanted(tmp_path):
    with make(tmp_path / "m", word_filter_bits=0) as memory:
        hear(memory, 20)
        fade(memory, bits=0)
        assert memory.when_said(told(3)[0], at_least=0.0) == []


def test_a_filter_that_does_not_fill_its_row_is_found(memory, tmp_path):
    with sqlite3.connect(tmp_path / "m" / "memory.sqlite") as db:
        db.execute("UPDATE word_filter SET bits = x'0102ff'")
    assert "word_filters" in {finding.check for finding in memory.verify().findings}
