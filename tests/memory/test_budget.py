"""The byte budget: kept at every moment, by making what was watched coarser and never by refusing it."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reverie.clock import ManualClock
from reverie.errors import MemoryFull, UsageError
from reverie.memory import Memory, MemoryConfig, StoreConfig
from reverie.memory.demotion import demote
from reverie.memory.pictures import PictureFolder
from reverie.memory.stretches import ROW_BYTES, Demoted
from reverie.types import EndOfStream, Gap, Label, Modality, Query, StreamStart, Watermark, ns
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, in_order, make_stream, said, seen, span, things

TOLERANCE = 1.05
LIMIT = 5 << 18  # the log's share and empty tables leave about half a megabyte of it


def bytes_of(root: Path) -> int:
    """What the directory takes: for each file and folder the larger of size and blocks."""
    total = 0
    for path in (root, *root.rglob("*")):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        total += max(found.st_size, found.st_blocks * 512)
    return total


class Watcher(threading.Thread):
    """Measures a directory over and over while it is written."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self._root, self._done, self.most = root, threading.Event(), 0

    def run(self) -> None:
        while not self._done.wait(0.002):
            try:
                self.most = max(self.most, bytes_of(self._root))
            except FileNotFoundError:
                continue  # a folder went while it was listed

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self.most


def open_memory(path, max_bytes, *, mode="w", busy_s=5.0, clock=None, **options):
    store = StoreConfig(busy_timeout_s=busy_s, durability="normal")
    config = MemoryConfig(max_bytes=max_bytes, store=store, **options)
    return Memory.open(path, text_encoder=BagOfWords(), mode=mode, config=config, clock=clock or ManualClock())


def hour(number, *, scenes=8, stream_id="tv"):
    """An hour in which a scene follows another, with talk, boxes and pictures; seconds count through."""
    rng = np.random.default_rng(number)
    start, items = 3600.0 * number, []
    for index in range(scenes):
        for at in np.arange(0, 60, 2.0):
            at_s = start + index * 60 + at
            picture = int(rng.integers(1 << 30)) if at % 20 == 0 else None
            name, cut = f"scene {number} {index}", bool(at == 0)
            items.append(seen(name, at_s, noise=0.3, picture=picture, cut=cut, stream_id=stream_id))
            items.append(things(at_s, {number * 100 + index: "person"}, stream_id=stream_id))
        words = " ".join(rng.choice(["river", "lantern", "copper", "garden", "winter"], size=6))
        items.append(said(f"{words} number{number}x{index}", start + index * 60 + 5, start + index * 60 + 9, stream_id))
    return [*in_order(items), Watermark(stream_id=stream_id, pts_ns=ns(start + scenes * 60))]


@pytest.mark.parametrize(
    ("limit", "hours"), [(LIMIT, 10), pytest.param(2 << 20, 24, marks=pytest.mark.slow)], ids=["small", "larger"]
)
def test_the_budget_is_kept_at_every_moment(tmp_path, limit, hours):
    watcher = Watcher(tmp_path)
    with open_memory(tmp_path, limit) as memory:
        watcher.start()
        received = 0
        for number in range(hours):
            items = hour(number)
            for start in range(0, len(items), 40):
                received += memory.write(items[start : start + 40]).committed
                assert bytes_of(tmp_path) <= TOLERANCE * limit
            memory.search(Query(text="lantern", k=5))
        assert received == hours * 488  # nothing was refused
        assert {event.level for event in memory.timeline()} >= {0, 3}
        assert memory._store.pictures.allocated_bytes() == PictureFolder(tmp_path).allocated_bytes()
    assert watcher.stop() <= TOLERANCE * limit
    assert_whole(tmp_path)


@pytest.mark.slow
def test_events_still_tile_what_was_watched_and_sending_it_again_brings_nothing_back(tmp_path):
    with open_memory(tmp_path, LIMIT) as memory:
        sent = [item for number in range(8) for item in hour(number)]
        for start in range(0, len(sent), 60):
            memory.write(sent[start : start + 60])
        before = rows_of(tmp_path)
        assert max(event.level for event in memory.timeline()) == 3
        covered = [event.span for event in memory.timeline()]
        for number in range(8):
            assert any(part.overlaps(span(3600 * number + 100, 3600 * number + 101)) for part in covered)
        assert memory.write(sent[:976]).committed == 0
        assert rows_of(tmp_path) == before


@pytest.mark.slow
def test_equal_calls_leave_equal_memories(tmp_path):
    for name in ("one", "other"):
        with open_memory(tmp_path / name, LIMIT) as memory:
            for number in range(6):
                memory.write(hour(number))
    assert rows_of(tmp_path / "one") == rows_of(tmp_path / "other")


@pytest.mark.slow
def test_an_old_needle_is_found_at_every_level(tmp_path):
    found = set()
    with open_memory(tmp_path, LIMIT, remember_recalls=False) as memory:
        memory.write([said("the xylophone stands in the attic", 1.0, 3.0), seen("quetzal", 4.0, picture=1)])
        for number in range(12):
            memory.write(hour(number + 1))
            said_hits = [hit for hit in memory.search(Query(text="xylophone", k=3)) if hit.lexical > 0]
            seen_hits = [hit for hit in memory.search(Query(text="quetzal", k=3)) if hit.dense > 0.9]
            assert [hit.span for hit in said_hits] == [span(1, 3)]
            assert any(hit.span.overlaps(span(4, 5)) for hit in seen_hits)
            found.add(memory.timeline(span(1, 3))[0].level)
    assert found >= {0, 3}


@pytest.mark.slow
def test_the_cache_of_a_reader_equals_one_that_is_read_anew(tmp_path):
    with open_memory(tmp_path, LIMIT) as memory, open_memory(tmp_path, LIMIT, mode="r") as reader:
        for number in range(7):
            memory.write(hour(number))
            with open_memory(tmp_path, LIMIT, mode="r") as fresh:
                for text in ("lantern", "person", f"scene {number} 3"):
                    query = Query(text=text, k=20, neighbours=1)
                    assert reader.search(query) == fresh.search(query)
                assert reader.labels() == fresh.labels()
                assert reader.observations() == fresh.observations()


@pytest.mark.slow
def test_a_reader_that_holds_the_log_pauses_writing_and_the_promise_stands(tmp_path):
    limit = LIMIT
    with open_memory(tmp_path, limit, busy_s=0.02) as memory, open_memory(tmp_path, limit, mode="r") as reader:
        memory.write(hour(0))
        reader._store.reader.execute("BEGIN")
        assert reader._store.reader.execute("SELECT count(*) FROM observation").fetchone()[0] > 0
        refused = None
        for number in range(1, 9):
            try:
                memory.write(hour(number))
            except MemoryFull as error:
                refused = error
            assert bytes_of(tmp_path) <= TOLERANCE * limit
        assert refused is not None
        assert "a reader has held the log" in str(refused)
        assert refused.retryable
        reader._store.reader.execute("COMMIT")
        for number in range(1, 9):
            memory.write(hour(number))
        assert bytes_of(tmp_path) <= TOLERANCE * limit
    assert_whole(tmp_path)


def test_what_is_forgotten_of_a_demoted_stretch_is_gone(tmp_path):
    with open_memory(tmp_path, LIMIT) as memory:
        memory.write([said("my xylophonewidow is 4711", 1.0, 3.0), seen("quetzal", 4.0, picture=1)])
        for number in range(1, 6):
            memory.write(hour(number))
        assert memory.timeline(span(1, 3))[0].level > 0
        memory.forget(span=span(0, 10))
        assert memory.search(Query(text="xylophonewidow", k=3, modalities=(Modality.SPEECH,), span=span(0, 10))) == []
    assert_whole(tmp_path)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"xylophonewidow" not in path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted", [{"span": span(3600, 30_000)}, {"stream_ids": ["tv"]}, {"everything": True}], ids=str
)
def test_forgetting_much_keeps_the_budget_and_leaves_nothing(tmp_path, wanted):
    limit = 4 << 20
    with open_memory(tmp_path, limit) as memory:
        watcher = Watcher(tmp_path)
        for number in range(9):
            memory.write([said(f"xylophonewidow {number}", 3600 * number + 1, 3600 * number + 3), *hour(number)])
        watcher.start()
        before = memory.stats()
        receipt = memory.forget(**wanted)
        assert receipt.complete
        assert receipt.observations > sum(before.observations.values()) // 2
        assert memory.stats().total_bytes < before.total_bytes
    assert watcher.stop() <= TOLERANCE * limit
    assert_whole(tmp_path)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"xylophonewidow 1" not in path.read_bytes()


def test_forgetting_words_that_were_said_often_keeps_the_budget_and_leaves_nothing(tmp_path, monkeypatch):
    limit = 2 << 20
    rng = np.random.default_rng(4)
    with open_memory(tmp_path, limit) as memory:
        for start in range(0, 2400, 100):
            talk = [" ".join(rng.choice(["lantern", "copper", "garden"], 6)) for _ in range(100)]
            memory.write([
                said(f"{words} xylophonewidow" if number % 2 else words, 3 * number, 3 * number + 2)
                for number, words in enumerate(talk, start)
            ])  # fmt: skip
            memory.write([seen(f"scene {start}", 3 * (start + 50), cut=True, picture=start)])
        assert bytes_of(tmp_path) > 0.7 * limit
        held, most = rows_with("xylophonewidow", tmp_path), 0
        transaction = memory._store.transaction

        @contextmanager
        def measured(**how):
            nonlocal most
            with transaction(**how) as db:
                yield db
            most = max(most, bytes_of(tmp_path))

        monkeypatch.setattr(memory._store, "transaction", measured)
        receipt = memory.forget(text="xylophonewidow")
        assert 0 < most <= TOLERANCE * limit
        assert held > 1000
        assert receipt.senses == {"speech": held}
        assert receipt.complete
        assert memory.verify().sound
    assert_whole(tmp_path)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"xylophonewidow" not in path.read_bytes()


def rows_with(word, root):
    return sum(word in (row["text"] or "") for row in rows_of(root)["observation"])


def test_forgetting_words_in_steps_takes_what_forgetting_them_at_once_does(tmp_path):
    receipts, left = [], []
    for name in ("at once", "in steps"):
        with open_memory(tmp_path / name, 64 << 20) as memory:
            for k in range(60):
                memory.write([
                    seen("garden" if k % 3 else "river", 4 * k, cut=k % 10 == 0, picture=k),
                    things(4 * k + 1, {k // 7: "garden" if k // 7 % 2 else "cat", 100: "dog"}),
                    said(f"the {'garden' if k % 4 else 'river'} {k}", 4 * k + 2, 4 * k + 5),
                ])  # fmt: skip
            memory.write([EndOfStream(stream_id="tv", pts_ns=ns(240))])
            if name == "in steps":
                memory._room.budget.log_bytes, memory._room.budget.part_bytes = 1000, 5 * ROW_BYTES
            receipts.append(replace(memory.forget(text="garden"), bytes_freed=0))
            left.append(memory.rows())
        assert_whole(tmp_path / name)
    assert receipts[0] == receipts[1]
    assert left[0] == left[1]
    assert receipts[0].senses == {"vision": 40, "speech": 45}
    assert receipts[0].tracks == 4
    one, other = (rows_of(tmp_path / name) for name in ("at once", "in steps"))
    assert [table for table in one if one[table] != other[table]] == []


def labelled(k):
    labels = tuple(Label(name=f"name {k} {j}", score=0.5) for j in range(4))
    return replace(seen(f"scene {k}", 5 * k, cut=k % 4 == 0), labels=labels)


def with_notes(memory):
    memory.write([seen("garden", 1.0), said("hello", 2, 4), EndOfStream(stream_id="tv", pts_ns=ns(5))])
    for k in range(80):
        text = " ".join(f"q{k}z{j}" for j in range(300))
        memory.note(text, stream_id="tv", about=span(1, 3))


def with_names(memory):
    memory.write([said("hello", 2, 4)])
    look = BagOfWords().encode(["cat"])
    for k in range(21):
        aliases = tuple(f"alias {k} {j} " + "z" * 70 for j in range(120))
        memory.teach(f"n{k}", looks=look, encoder="bag-of-words", aliases=aliases)


def in_twenties(item):
    def fill(memory):
        for first in range(0, 400, 20):
            memory.write([item(k) for k in range(first, first + 20)])

    return fill


@pytest.mark.slow
@pytest.mark.parametrize(
    "fill",
    [
        in_twenties(labelled),
        in_twenties(lambda k: things(5 * k, {20 * k + j: "car" for j in range(16)})),
        in_twenties(lambda k: said(" ".join(f"w{k}y{j}" for j in range(250)), 5 * k, 5 * k + 4)),
        with_notes,
        with_names,
    ],
    ids=["labels", "visits", "long texts", "notes", "names"],
)
def test_forgetting_all_stays_in_the_budget_whatever_there_is(tmp_path, fill, monkeypatch):
    with open_memory(tmp_path, LIMIT, short_term_s=60.0) as memory:
        fill(memory)
        most, checkpoint = 0, memory._store.checkpoint

        def measured():
            nonlocal most
            most = max(most, bytes_of(tmp_path))
            return checkpoint()

        monkeypatch.setattr(memory._store, "checkpoint", measured)
        assert memory.forget(everything=True).complete
        assert memory.verify().sound
    assert 0 < most <= TOLERANCE * LIMIT
    assert not any(rows_of(tmp_path)[table] for table in ("observation", "label", "track", "note", "alias", "encoder"))


def test_what_a_reader_states_stays_in_the_budget(tmp_path):
    class Talkative:
        def read_facts(self, passages):
            return [[(f"{word} {text.split()[-1]}", "is", word, text) for word in text.split()] for text in passages]

    with open_memory(tmp_path, LIMIT) as memory:
        for first in range(0, 1200, 40):
            memory.write([
                said(f"well the old river was near number{k}", 20 * k, 20 * k + 5) for k in range(first, first + 40)
            ])  # fmt: skip
        assert memory.read_facts(Talkative()).stored > 1000
        assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
        assert memory.verify().sound


def test_a_text_with_thousands_of_timed_words_stays_in_the_budget(tmp_path):
    with open_memory(tmp_path, LIMIT) as memory:
        for number in range(6):
            memory.write(hour(number))
        text = " ".join(f"w{j}" for j in range(2500))
        memory.write([said(text, 3600.0 * 6, 3600.0 * 6 + 20)])
        assert bytes_of(tmp_path) <= TOLERANCE * LIMIT


def test_forgetting_an_entity_that_was_cut_short_goes_on(tmp_path, monkeypatch):
    with open_memory(tmp_path, 64 << 20) as memory:
        for k in range(40):
            memory.write([seen("minka", 4 * k, cut=True, picture=k), said(f"there is minka {k}", 4 * k + 1, 4 * k + 3)])
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(160))])
        memory.teach("minka", stream_id="tv", span=span(156, 157))
        memory._room.budget.log_bytes, memory._room.budget.part_bytes = 1000, 5 * ROW_BYTES
        fold_log, folded = memory._room.fold_log, []

        def killed(share=2):
            folded.append(share)
            if len(folded) == 3:
                raise KeyboardInterrupt
            return fold_log(share)

        monkeypatch.setattr(memory._room, "fold_log", killed)
        with pytest.raises(KeyboardInterrupt):
            memory.forget(entity="minka")
        monkeypatch.undo()
        assert memory.verify().sound
        assert 0 < rows_with("minka", tmp_path) < 40
        assert memory.entities("minka")
        assert memory.forget(entity="minka").entities == 1
        assert memory.verify().sound
    assert rows_with("minka", tmp_path) == 0
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"minka" not in path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_calls_in_any_order_keep_the_budget_and_a_sound_memory(tmp_path, seed):
    rng, limit = np.random.default_rng(seed), LIMIT
    todo = [(number, start) for number in range(7) for start in range(0, 489, 35)]
    sent = {number: hour(number, stream_id=f"tv {number % 2}") for number in range(7)}
    calls = ["write"] * 12 + ["search"] * 4 + ["pin", "unpin", "forget", "consolidate", "reopen"]
    memory = open_memory(tmp_path, limit)
    watched_s = 1
    while todo:
        call, at_s = str(rng.choice(calls)), float(rng.integers(watched_s))
        if call == "write":
            number, start = todo.pop(0)
            memory.write(sent[number][start : start + 35])
            watched_s = 3600 * number + start + 1
        elif call == "search":
            memory.search(
                Query(text=str(rng.choice(["lantern", "person", "scene 2 3", "number1x4"])), k=8, neighbours=1)
            )
        elif call == "pin" and memory.streams():
            with suppress(UsageError):
                memory.pin(span(at_s, at_s + 60))
        elif call == "unpin":
            memory.unpin(span(at_s, at_s + 3600))
        elif call == "forget":
            memory.forget(span=span(at_s, at_s + float(rng.integers(1, 400))))
        elif call == "consolidate":
            memory.consolidate()
        elif call == "reopen":
            memory.close()
            memory = open_memory(tmp_path, limit)
        assert bytes_of(tmp_path) <= TOLERANCE * limit, call
    assert max(event.level for event in memory.timeline()) >= 3
    memory.consolidate()
    assert memory.verify().findings == ()
    assert memory.episodes()
    memory.close()
    assert_whole(tmp_path)


@pytest.mark.slow
def test_many_short_streams_fit_too(tmp_path):
    limit = LIMIT
    with open_memory(tmp_path, limit) as memory:
        for number in range(25):
            memory.write(make_stream(number, stream_id=f"clip {number}", duration_s=120))
            assert bytes_of(tmp_path) <= TOLERANCE * limit
        assert len(memory.streams()) == 25
        assert all(memory.timeline(stream_ids=(f"clip {number}",)) for number in range(25))
        memory.write([EndOfStream(stream_id="clip 0", pts_ns=ns(120))])
    assert_whole(tmp_path)


@pytest.mark.slow
def test_of_more_streams_than_fit_the_newest_are_left_and_the_oldest_let_go(tmp_path):
    clock = ManualClock(wall_ns=0)
    with open_memory(tmp_path, LIMIT, short_term_s=30.0, clock=clock) as memory:
        for number in range(200):
            shown = [seen(f"scene {number}", at_s, noise=0.3) for at_s in (0, 2, 4)]
            talk = [
                said(f"lantern river {number} {copy} " + "so it was told " * 20, 5 + copy, 6 + copy)
                for copy in range(8)
            ]
            items = [replace(item, stream_id=f"clip {number}") for item in (*shown, *talk)]
            begin = StreamStart(
                stream_id=f"clip {number}", uri="", live=False, has_video=True, has_audio=True,
                wall_anchor_ns=ns(86_400.0 * number),
            )  # fmt: skip
            clock.advance(86_400.0)
            memory.write([begin, *items, EndOfStream(stream_id=f"clip {number}", pts_ns=ns(60))])
            assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
        left = [bool(memory.timeline(stream_ids=(f"clip {number}",))) for number in range(200)]
        assert all(left[-20:])
        assert not all(left)
        assert {event.level for event in memory.timeline()} >= {0, 5}
        before = rows_of(tmp_path)
        gone = left.index(False)
        again = [replace(seen(f"scene {gone}", 2, noise=0.3), stream_id=f"clip {gone}")]
        assert memory.write(again).committed == 0
        assert rows_of(tmp_path) == before
        memory.consolidate()
        assert memory.verify().findings == ()
    assert_whole(tmp_path)


@pytest.mark.parametrize("picture_bytes", [20_000, 300_000], ids=["kept", "too large to be kept"])
def test_pictures_that_will_not_be_kept_take_no_room(tmp_path, picture_bytes):
    picture = b"\xff\xd8" + bytes(picture_bytes) + b"\xff\xd9"
    with open_memory(tmp_path, LIMIT) as memory:
        memory.write([replace(seen("one scene", at_s, noise=0.1), thumbnail=picture) for at_s in range(120)])
        assert {event.level for event in memory.timeline()} == {0}
        assert memory.stats().observations["vision"] == 120


@pytest.mark.slow
@pytest.mark.parametrize(
    ("texts_a_write", "words", "writes"),
    [(1, 8, 600), (1, 800, 200), (4, 800, 60)],
    ids=["many clips", "long texts", "long texts at once"],
)
def test_the_log_stays_in_its_share_whatever_an_event_weighs(tmp_path, texts_a_write, words, writes):
    """A clip gives up no row when it fades, and a long text far more of the index than a row."""
    rng = np.random.default_rng(1)
    limit = texts_a_write << 20
    watcher = Watcher(tmp_path / "m")
    watcher.start()
    with open_memory(tmp_path / "m", limit, short_term_s=60.0) as memory:
        for write in range(writes):
            items = []
            for number in range(write * texts_a_write, (write + 1) * texts_a_write):
                stream = f"clip {number}" if words == 8 else "chat"
                at_s = 0 if words == 8 else 10 * number
                text = " ".join(f"word{k}" for k in rng.integers(0, 20_000, words))
                items.append(said(text, at_s, at_s + 4, stream) if words == 8 else wrote(text, at_s))
                items += [EndOfStream(stream_id=stream, pts_ns=ns(5))] if words == 8 else []
            memory.write(items)
        assert memory._store.reader.execute("SELECT count(*) FROM faded").fetchone()[0]
        assert memory.verify().sound
    assert watcher.stop() <= TOLERANCE * limit


def wrote(text, at_s):
    return replace(said(text, at_s, at_s + 5, "chat"), modality=Modality.WRITING, words=())


def test_what_became_coarse_codes_gives_its_pages_back(tmp_path):
    """SQLite keeps the pages of rows that are overwritten by shorter ones."""
    taken = []
    with Memory.open(tmp_path / "m", text_encoder=BagOfWords(384), mode="w") as memory:
        memory.write([said(f"the {k}th thing that somebody said", 5 * k, 5 * k + 3) for k in range(400)])
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(2000))])
        for _ in range(3):
            pages = memory._store.writer.execute("SELECT sum(pgsize) FROM dbstat WHERE name IN ('vector', 'sentence')")
            taken.append(pages.fetchone()[0])
            with memory._store.transaction() as db:
                for event in memory.timeline():
                    demote(db, event.event_id, Demoted(), frame_strength=0.0)
        assert memory.verify().sound
    whole, representatives, codes = taken
    assert representatives <= whole
    assert codes < 2 * whole / 3


def test_what_is_left_of_events_fills_its_pages(tmp_path):
    """SQLite keeps pages of which more than a third is left: without packing about four tenths were holes."""
    with Memory.open(tmp_path, text_encoder=BagOfWords(384), mode="w") as memory:
        memory.write([wide_picture(at_s) for at_s in range(1200)])
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(1200))])
        for _ in range(2):
            for event in memory.timeline():
                with memory._store.transaction() as db:
                    demote(db, event.event_id, Demoted(), frame_strength=0.0)
            unused, size = memory._store.writer.execute(
                "SELECT sum(unused), sum(pgsize) FROM dbstat WHERE name IN ('vector', 'observation')"
            ).fetchone()
            assert unused < 0.15 * size
        assert memory.verify().sound
    assert_whole(tmp_path)


def wide_picture(at_s):
    vector = np.random.default_rng(at_s).standard_normal(512).astype(np.float32)
    picture = seen("scene", at_s, cut=at_s % 12 == 0, encoder="eyes")
    return replace(picture, embedding=vector / np.linalg.norm(vector))


def test_names_that_no_row_has_any_more_go_and_leave_the_room_to_rows(tmp_path):
    names_a_write = 60
    config = MemoryConfig(max_bytes=LIMIT, short_term_s=10.0, store=StoreConfig(durability="normal"))
    with Memory.open(tmp_path, text_encoder=BagOfWords(384), mode="w", config=config) as memory:
        for write in range(40):
            labels = tuple(
                Label(name=f"thing{write * names_a_write + number}", score=0.5) for number in range(names_a_write)
            )
            picture = replace(seen(f"scene {write}", 6 * write, cut=True, encoder="eyes"), labels=labels)
            memory.write([picture, said("a word", 6 * write, 6 * write + 3)])
            assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
        known = [count.name for count in memory.labels()]
        assert len(known) < 20 * names_a_write
        assert f"thing{40 * names_a_write - 1}" in known
        hits = memory.search(Query(text=f"thing{40 * names_a_write - 1}", k=1, modalities=(Modality.VISION,)))
        assert hits[0].span.start_ns == ns(6 * 39)
        assert memory.verify().sound
    assert_whole(tmp_path)


def test_what_comes_late_for_an_event_that_fades_in_the_same_write_counts_as_repeated(tmp_path):
    with open_memory(tmp_path, LIMIT, short_term_s=0) as memory:
        repeated = 0
        for number in range(3):
            items = hour(number)
            for start in range(0, len(items), 40):
                whole = [event for event in memory.timeline() if event.level == 0 and not event.open]
                middles = [(event.span.start_ns + event.span.end_ns) / 2e9 for event in whole[:3] if number]
                late = [things(at_s + after_s, {9: "person"}) for at_s in middles for after_s in (0, 0.001)]
                receipt = memory.write(items[start : start + 40] + late)
                repeated += receipt.repeated
        assert memory.verify().sound
        assert repeated


LONG = "x" * (3 << 20)


@pytest.mark.parametrize(
    "item",
    [
        Gap(stream_id="tv", span=span(0, 1), reason=LONG),
        StreamStart(stream_id="tv", uri=LONG, live=False, has_video=True, has_audio=True),
        StreamStart(stream_id="tv", uri="", place=LONG, live=False, has_video=True, has_audio=True),
        Watermark(stream_id=LONG, pts_ns=1),
        replace(seen("cat", 1), encoder=LONG),
        replace(seen("cat", 1), labels=(Label(name=LONG, score=0.5),)),
        things(1, {1: LONG}),
    ],
    ids=["reason", "uri", "place", "stream", "encoder", "label", "box"],
)
def test_names_that_do_not_fit_are_refused_as_texts_are(tmp_path, item):
    with open_memory(tmp_path, 2 << 20) as memory:
        for number in range(3):
            memory.write(hour(number))
        kept = memory.observations()
        with pytest.raises(MemoryFull, match="write it in pieces"):
            memory.write([item])
        assert memory.observations() == kept  # nothing faded for what can never fit
        assert bytes_of(tmp_path) <= 2 << 20
        assert memory.write([said("a river", 1, 2)]).committed == 1
