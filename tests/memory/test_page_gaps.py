"""What SQLite moved is not left in the unused middle of its pages."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np

from reverie.memory import Memory
from reverie.memory.page_gaps import zero_gaps
from reverie.types import EndOfStream, ns
from tests.memory.reading import assert_whole
from tests.memory.worlds import BagOfWords, said

PAGE_BYTES = 4096
SECRET = b"zqsecretxyzzy"


def gaps_of(path):
    """By page with room for the secret: where its unused middle begins, read as the file format says."""
    found = {}
    whole = path.read_bytes()
    for number in range(1, len(whole) // PAGE_BYTES + 1):
        page = whole[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
        header = 100 if number == 1 else 0
        is_pointer_map = (number - 2) % (PAGE_BYTES // 5 + 1) == 0
        if page[header] in (2, 5, 10, 13) and not is_pointer_map:
            cells = int.from_bytes(page[header + 3 : header + 5], "big")
            begin = header + (12 if page[header] in (2, 5) else 8) + 2 * cells
            end = int.from_bytes(page[header + 5 : header + 7], "big")
            if end - begin > len(SECRET):
                found[number] = begin
    return found


def plant(path):
    """Leave the secret in every gap, as a cell that was moved away does."""
    gaps = gaps_of(path)
    with path.open("r+b") as file:
        for number, begin in gaps.items():
            file.seek((number - 1) * PAGE_BYTES + begin)
            file.write(SECRET)
    return len(gaps)


def dump(path):
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(db.iterdump())


def test_gaps_are_zeroed_and_nothing_else_is(tmp_path):
    path = tmp_path / "any.sqlite"
    rng = np.random.default_rng(2)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT, code BLOB)")
        db.execute("CREATE INDEX said_text ON said (text)")
        for number in range(4000):
            row = (number, f"{number} " * int(rng.integers(1, 40)), rng.bytes(int(rng.integers(0, 9000))))
            db.execute("INSERT INTO said VALUES (?, ?, ?)", row)
        db.execute("DELETE FROM said WHERE id % 3 = 0")
    before = dump(path)
    planted = plant(path)
    assert planted > 100
    assert SECRET in path.read_bytes()
    assert zero_gaps(path, PAGE_BYTES) >= planted
    assert SECRET not in path.read_bytes()
    assert dump(path) == before
    assert zero_gaps(path, PAGE_BYTES) == 0


def test_forgetting_leaves_nothing_that_was_moved_and_no_write_brings_it_back(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(
            [said(f"the {number}th thing that somebody said", 5 * number, 5 * number + 3) for number in range(600)]
        )
        memory.write([EndOfStream(stream_id="tv", pts_ns=ns(3000))])
    path = tmp_path / "memory.sqlite"
    assert plant(path) > 20
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(
            [said(f"more of the {number}th thing", 5 * number, 5 * number + 3, "radio") for number in range(50)]
        )
        receipt = memory.forget(stream_ids=["radio"])
        assert receipt.complete
        assert SECRET not in path.read_bytes()
        memory.write(
            [said(f"again the {number}th thing", 5 * number, 5 * number + 3, "radio 2") for number in range(300)]
        )
        assert memory.verify().sound
    assert all(SECRET not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert_whole(tmp_path)


def test_forgotten_sentences_of_many_streams_are_in_no_file(tmp_path):
    """Cells of many streams move between pages; before, one in some hundreds left a copy behind."""
    rng = np.random.default_rng(4)
    streams = [f"cam {number}" for number in range(6)]
    token = {stream: [f"zq{place}x{number}xyzzy" for number in range(60)] for place, stream in enumerate(streams)}
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for number in range(60):
            words = [f"{token[stream][number]} " + "garden river " * int(rng.integers(1, 30)) for stream in streams]
            start_s = 9 * number
            memory.write([said(text, start_s, start_s + 4, own) for text, own in zip(words, streams, strict=True)])
        for gone, stream in enumerate(streams[:-1], 1):
            memory.forget(stream_ids=[stream])
            files = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
            assert not [word for own in streams[:gone] for word in token[own] if word.encode() in files]
    assert_whole(tmp_path)
