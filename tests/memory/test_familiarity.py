"""Seen before? Each hour knows its moments, also when they are merged, and nothing of what was forgotten."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from scipy.stats import binom

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.memory.demotion import Demoted, demote
from reverie.memory.familiarity import CODE_BYTES, MATCH_BITS, MAX_CODES, NUM_BITS, codes_of, distinct
from reverie.types import EndOfStream, Modality, ns
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import WIDTH, BagOfWords, said, seen, span, unit

HOUR_S = 3600


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(), mode="w") as memory:
        yield memory


def vector(name):
    return BagOfWords().encode([name])[0]


def hours_of(memory, cue, encoder="bag-of-words"):
    return [known.span.start_ns // ns(HOUR_S) for known in memory.familiarity(cue, encoder)]


def watch(memory, hours, stream_id="tv"):
    """Each hour shows its own things, and says their names."""
    for hour in range(hours):
        for at in range(40):
            thing = f"thing{hour}x{at // 10}"
            memory.write([
                seen(thing, HOUR_S * hour + 10 * at, stream_id=stream_id, noise=0.2),
                said(f"here is {thing}", HOUR_S * hour + 10 * at + 1, HOUR_S * hour + 10 * at + 3, stream_id),
            ])  # fmt: skip
    memory.write([EndOfStream(stream_id=stream_id, pts_ns=ns(HOUR_S * hours))])


def test_an_hour_knows_what_was_seen_and_said_in_it_and_nothing_else(memory, tmp_path):
    watch(memory, 3)
    assert hours_of(memory, vector("thing1x2")) == [1]
    (heard,) = memory.familiarity("here is thing2x0")
    assert (heard.span, heard.modality, heard.stream_id) == (span(2 * HOUR_S, 3 * HOUR_S), Modality.SPEECH, "tv")
    assert heard.cosine == 1.0
    assert hours_of(memory, vector("elephant")) == []
    assert memory.familiarity("nothing of the kind was ever told") == []
    assert memory.familiarity(vector("thing1x2"), "bag-of-words", span=span(0, HOUR_S)) == []
    assert memory.familiarity(vector("thing1x2"), "bag-of-words", stream_ids=("radio",)) == []
    assert_whole(tmp_path / "m")


def test_what_is_looked_at_now_is_not_familiar_yet(memory):
    memory.write([seen("cat", at) for at in range(3)])
    assert hours_of(memory, vector("cat")) == []
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(60))])
    assert hours_of(memory, vector("cat")) == [0]


def test_it_outlives_demotion(memory):
    watch(memory, 2)
    num_moments = memory.stats().observations["vision"]
    before = [hours_of(memory, vector(f"thing{hour}x{k}")) for hour in range(2) for k in range(4)]
    with memory._store.transaction() as db:
        for _ in range(8):
            for (event,) in db.execute("SELECT id FROM event ORDER BY id").fetchall():
                demote(db, event, Demoted(), 0.0, need="all")
    assert memory.stats().observations["vision"] < num_moments / 2
    assert [hours_of(memory, vector(f"thing{hour}x{k}")) for hour in range(2) for k in range(4)] == before


def test_a_forgotten_span_is_not_recognised_and_the_rest_of_its_hour_is(memory, tmp_path):
    watch(memory, 2)
    receipt = memory.forget(span=span(HOUR_S + 100, HOUR_S + 200))  # thing1x1
    assert receipt.less_familiar_hours == 0
    assert hours_of(memory, vector("thing1x1")) == []
    assert hours_of(memory, vector("thing1x2")) == [1]
    assert hours_of(memory, vector("thing0x1")) == [0]
    codes = codes_of(vector("here is thing1x1")[None]).astype("<u8").tobytes()
    assert not any(codes in path.read_bytes() for path in (tmp_path / "m").rglob("*") if path.is_file())


def test_a_receipt_tells_of_hours_that_know_less_because_they_had_been_demoted(memory):
    watch(memory, 2)
    with memory._store.transaction() as db:
        for _ in range(5):
            for (event,) in db.execute("SELECT id FROM event WHERE start_ns < ?", (ns(HOUR_S),)).fetchall():
                demote(db, event, Demoted(), 0.0)
    assert memory.forget(span=span(0, 50)).less_familiar_hours == 1
    assert memory.forget(span=span(HOUR_S + 500, HOUR_S + 600)).less_familiar_hours == 0


def test_a_stream_that_is_forgotten_takes_its_filters_along(memory, tmp_path):
    watch(memory, 1, "secret")
    memory.forget(stream_ids=["secret"])
    assert rows_of(tmp_path / "m")["familiarity"] == []
    assert rows_of(tmp_path / "m")["encoder"] == []


def test_the_rows_do_not_depend_on_how_writes_are_cut(tmp_path):
    items = [seen(f"scene{at // 7}", at, noise=0.5) for at in range(60)]
    items.append(EndOfStream(stream_id="tv", pts_ns=ns(60)))
    found = []
    for name, size in (("a", 1), ("b", 13), ("c", 61)):
        with Memory.open(tmp_path / name, text_encoder=BagOfWords(), mode="w") as memory:
            for start in range(0, len(items), size):
                memory.write(items[start : start + size])
        found.append(rows_of(tmp_path / name)["familiarity"])
    assert found[0]
    assert found[0] == found[1] == found[2]


def test_a_straggler_is_known_too(memory):
    memory.write([seen("cat", at) for at in range(60)])
    memory.write([EndOfStream(stream_id="tv", pts_ns=ns(60))])
    memory.write([seen("owl", 5.25)])
    assert hours_of(memory, vector("owl")) == [0]


def test_a_full_hour_keeps_every_second_code_and_goes_on():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((3000, WIDTH)).astype(np.float32)
    codes = distinct(codes_of(vectors[:0]), codes_of(vectors))
    assert MAX_CODES // 2 < len(codes) <= MAX_CODES
    assert (codes == codes_of(vectors[-1:])).all(axis=1).any()


def test_the_chance_of_a_false_match_is_what_the_formula_says():
    """1000 moments at a cosine of 0.3 to each other: well below 1e-4 an hour."""
    angle = np.arccos(0.3) / np.pi
    assert MAX_CODES * binom.cdf(MATCH_BITS, NUM_BITS, angle) < 1e-6
    assert binom.cdf(MATCH_BITS, NUM_BITS, np.arccos(0.95) / np.pi) > 0.9
    rng = np.random.default_rng(4)
    shared = unit(rng.standard_normal(384))
    own = rng.standard_normal((2000, 384))
    own -= np.outer(own @ shared, shared)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    vectors = (np.sqrt(0.3) * shared + np.sqrt(0.7) * own).astype(np.float32)
    codes = codes_of(vectors)
    differing = np.bitwise_count(codes[:1000, None] ^ codes[None, 1000:]).sum(axis=2)
    assert (differing > MATCH_BITS).all()  # a million pairs
    assert abs(differing.mean() / NUM_BITS - angle) < 0.01
    again = np.stack([unit(v + 0.3 * unit(rng.standard_normal(384))) for v in vectors[:500]])  # a cosine of 0.96
    assert (np.bitwise_count(codes[:500] ^ codes_of(again)).sum(axis=1) <= MATCH_BITS).mean() > 0.95


def test_the_newest_hours_stay_in_a_small_budget(memory):
    from reverie.memory.familiarity import trim

    watch(memory, 4)
    with memory._store.transaction() as db:
        total = db.execute("SELECT sum(length(codes)) FROM familiarity").fetchone()[0]
        assert not trim(db, total, total)
        assert db.execute("SELECT count(DISTINCT hour) FROM familiarity").fetchone() == (4,)
        assert trim(db, total // 2, total // 8)
        assert not trim(db, total // 2, total)
        assert db.execute("SELECT min(hour), max(hour) FROM familiarity").fetchone() == (2, 3)


def test_a_damaged_filter_is_found(memory, tmp_path):
    watch(memory, 1)
    memory.close()
    db = sqlite3.connect(tmp_path / "m" / "memory.sqlite")
    db.execute("UPDATE familiarity SET codes = substr(codes, 1, ?)", (CODE_BYTES - 1,))
    db.commit()
    db.close()
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords()) as reader:
        assert reader.verify().found["familiarity"] == 2


def test_a_cue_that_cannot_be_is_told(memory):
    watch(memory, 1)
    with pytest.raises(UsageError, match="needs the name of its encoder"):
        memory.familiarity(vector("cat"))
    with pytest.raises(UsageError, match="unit length"):
        memory.familiarity(vector("cat") * 2, "bag-of-words")
    with pytest.raises(UsageError, match="64 numbers here, and this one has 32"):
        memory.familiarity(unit(np.ones(32)), "bag-of-words")
    with pytest.raises(UsageError, match="empty sentence"):
        memory.familiarity(" ")
