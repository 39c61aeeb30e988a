import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from reverie.clock import ManualClock
from reverie.errors import (
    MemoryDamaged,
    MemoryFull,
    MemoryLocked,
    MemoryStoreError,
    MemoryTooNew,
)
from reverie.memory import Memory, MemoryConfig, StoreConfig
from reverie.memory.schema import MIGRATIONS, SCHEMA_VERSION, migrate
from reverie.memory.store import Store
from reverie.types import Query
from tests.memory.reading import assert_whole, rows_of
from tests.memory.test_budget import bytes_of
from tests.memory.worlds import BagOfWords, jpeg, make_stream, said, seen


def open_memory(path, mode="w"):
    return Memory.open(path, text_encoder=BagOfWords(), mode=mode)


def open_and_read(path, mode):
    with open_memory(path, mode) as memory:
        memory.search(Query(text="lantern"))
        memory.rows(vectors=True)


def test_there_is_one_writer_and_the_lock_goes_with_it(tmp_path):
    first = open_memory(tmp_path)
    with pytest.raises(MemoryLocked, match="another process") as raised:
        open_memory(tmp_path)
    assert raised.value.retryable
    open_memory(tmp_path, "r").close()
    first.close()
    open_memory(tmp_path).close()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import os, sys; from reverie.memory import Memory; from tests.memory.worlds import BagOfWords\n"
        "memory = Memory.open(sys.argv[1], text_encoder=BagOfWords(), mode='w')\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(MemoryLocked):
            open_memory(tmp_path)
    finally:
        process.kill()
        process.communicate()
    open_memory(tmp_path).close()


def test_there_must_be_a_memory_to_read(tmp_path):
    with pytest.raises(MemoryStoreError, match="no memory at"):
        open_memory(tmp_path / "nothing", "r")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("mode", ["r", "w"])
@pytest.mark.parametrize("damage", ["text", "half", "page", "foreign"])
def test_a_damaged_file_is_named_and_left_alone(tmp_path, mode, damage):
    with open_memory(tmp_path) as memory:
        memory.write(make_stream(1, duration_s=60))
    path = tmp_path / "memory.sqlite"
    whole = path.read_bytes()
    if damage == "text":
        path.write_bytes(b"this is a letter, not a database\n" * 100)
    elif damage == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "page":
        path.write_bytes(whole[:4096] + os.urandom(len(whole) - 8192) + whole[-4096:])
    else:
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE something (x)")
        other.close()
    before = path.read_bytes()
    with pytest.raises(MemoryDamaged, match=r"memory\.sqlite"):
        open_and_read(tmp_path, mode)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["r", "w"])
def test_a_newer_schema_is_refused_and_left_alone(tmp_path, mode):
    open_memory(tmp_path).close()
    path = tmp_path / "memory.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(MemoryTooNew, match="upgrade reverie"):
        open_memory(tmp_path, mode)
    assert path.read_bytes() == before


def test_a_reader_does_not_upgrade_an_older_memory(tmp_path):
    open_memory(tmp_path).close()
    with sqlite3.connect(tmp_path / "memory.sqlite") as connection:
        connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(MemoryStoreError, match="open it once for writing"):
        open_memory(tmp_path, "r")


def test_migrations_run_in_order_once_and_together(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    assert migrate(connection) == len(MIGRATIONS)

    def add_column(db):
        db.execute("ALTER TABLE stream ADD COLUMN mood TEXT")

    def fail(db):
        db.execute("CREATE TABLE half (x)")
        raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        migrate(connection, (*MIGRATIONS, add_column, fail))
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert "mood" not in [row[1] for row in connection.execute("PRAGMA table_info(stream)")]
    assert migrate(connection, (*MIGRATIONS, add_column)) == 1
    assert migrate(connection, (*MIGRATIONS, add_column)) == 0
    assert "mood" in [row[1] for row in connection.execute("PRAGMA table_info(stream)")]
    connection.close()


def test_the_database_is_made_as_promised(tmp_path):
    with open_memory(tmp_path) as memory:
        writer = memory._store.writer
        values = {
            name: writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "auto_vacuum", "synchronous", "secure_delete", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "auto_vacuum": 2, "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}


def test_an_unfinished_creation_is_begun_again(tmp_path):
    (tmp_path / "memory.sqlite").touch()
    with open_memory(tmp_path) as memory:
        assert memory.write([said("hello", 1, 2)]).committed == 1


def test_pictures_of_uncommitted_rows_are_removed_by_the_next_writer(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write([seen("cat", 0, picture=1)])
        orphan = memory._store.pictures.write([("ab" + "0" * 30, jpeg(2))])
    assert orphan
    (tmp_path / "pictures" / "ab" / "half.part").write_bytes(b"x")
    open_memory(tmp_path, "r").close()
    assert len(list((tmp_path / "pictures").glob("*/*"))) == 3
    open_memory(tmp_path).close()
    assert len(list((tmp_path / "pictures").glob("*/*"))) == 1


def test_full_database_pauses_writing_and_nothing_else(tmp_path):
    with open_memory(tmp_path / "m") as memory, open_memory(tmp_path / "whole") as whole:
        items = make_stream(4, duration_s=300)
        memory.write(items[:60])
        (pages,) = memory._store.writer.execute("PRAGMA page_count").fetchone()
        memory._store.writer.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(MemoryFull, match="no space left") as raised:
            memory.write(items[60:])
        assert raised.value.retryable
        assert len(memory.timeline()) > 0  # reading goes on
        memory.search(Query(text="lantern"))
        named = set((tmp_path / "m" / "pictures").glob("*/*.jpg"))
        assert len(named) == memory.stats().pictures  # what the failed write brought is gone
        memory._store.writer.execute("PRAGMA max_page_count = 100000000")
        memory.write(items[60:])
        whole.write(items)
    assert rows_of(tmp_path / "m") == rows_of(tmp_path / "whole")
    assert_whole(tmp_path / "m")


@pytest.mark.parametrize("small_disk", ["1500k"], indirect=True)
def test_full_disk_pauses_writing_until_there_is_space(small_disk):
    ballast = small_disk / "ballast"
    with open_memory(small_disk / "m") as memory:
        memory.write(make_stream(1, stream_id="first", duration_s=60))
        ballast.write_bytes(b"\0" * 600_000)
        for index in range(200):
            try:
                memory.write(make_stream(index, stream_id=f"more {index}", duration_s=60))
            except MemoryFull:
                break
        else:
            pytest.fail("the disk was never full")
        watched = len(memory.streams())
        assert memory.search(Query(text="lantern", k=3))
        with open_memory(small_disk / "m", "r") as reader:
            assert len(reader.streams()) == watched
        ballast.unlink()
        assert memory.write(make_stream(index, stream_id=f"more {index}", duration_s=60)).committed > 0
        assert len(memory.streams()) == watched + 1
    assert_whole(small_disk / "m")


def killed_after_writing(directory):
    """A memory of five sentences and pictures whose writer was killed with all of them in the log."""
    code = (
        "import os, sys; from reverie.memory import Memory; from tests.memory.worlds import *\n"
        "memory = Memory.open(sys.argv[1], text_encoder=BagOfWords(), mode='w')\n"
        "for i in range(5): memory.write([said(f'word {i}', i, i + 1), seen('cat', i, picture=i)])\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(directory)]).returncode == -9


def test_the_index_of_the_log_is_made_anew(tmp_path):
    killed_after_writing(tmp_path)
    (tmp_path / "memory.sqlite-shm").unlink()
    with open_memory(tmp_path, "r") as reader:
        assert len(reader.rows()) == 10
    open_memory(tmp_path).close()
    assert_whole(tmp_path)


def test_without_its_log_a_memory_is_whole_as_it_was_before(tmp_path):
    killed_after_writing(tmp_path)
    (tmp_path / "memory.sqlite-wal").unlink()
    with open_memory(tmp_path) as memory:  # what was in the log is gone, and so are its pictures
        assert memory.rows() == []
        assert memory.verify().findings == ()
        memory.write([said(f"word {index}", index, index + 1) for index in range(5)])
    assert_whole(tmp_path)


def test_a_torn_log_gives_the_writes_before_the_tear(tmp_path):
    killed_after_writing(tmp_path)
    log = tmp_path / "memory.sqlite-wal"
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) * 4 // 5] + b"\xa5" * 100)
    with open_memory(tmp_path) as memory:
        count = len(memory.rows())
        assert 0 < count < 10
        assert count % 2 == 0  # never half of a write
        assert memory.verify().findings == ()


def test_a_missing_picture_stops_nothing(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write([seen("cat", 0, picture=1), said("a cat", 1, 2)])
    next((tmp_path / "pictures").glob("*/*.jpg")).unlink()
    with open_memory(tmp_path) as memory:
        assert memory.search(Query(text="cat"))
        assert memory.timeline()[0].thumbnail is not None
        assert [finding.check for finding in memory.verify().findings] == ["missing pictures"]
        assert memory.write([seen("dog", 30, picture=1)]).pictures == 1  # the same picture again: the file is back
        assert memory.verify().findings == ()


def test_a_read_only_directory_can_be_read_and_says_that_it_cannot_be_written(small_disk):
    root = small_disk / "m"
    with open_memory(root) as memory:
        memory.write([said("hello there", 1, 2), seen("cat", 1, picture=1)])
    for name in ("memory.sqlite-wal", "memory.sqlite-shm"):
        (root / name).unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with open_memory(root, "r") as reader:
        assert len(reader.rows()) == 2
        assert reader.verify().findings == ()
    with pytest.raises(MemoryStoreError, match="Read-only file system"):
        open_memory(root)


def test_a_clock_that_jumps_back_moves_nothing(tmp_path):
    clock = ManualClock(wall_ns=10**18)
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", clock=clock) as memory:
        memory.write([said("first", 1, 2)])
    earlier = ManualClock(wall_ns=10**17)
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", clock=earlier) as memory:
        memory.write([said("second", 3, 4), said("elsewhere", 1, 2, "radio")])
        assert [row.text for row in memory.rows(stream_ids=("tv",))] == ["first", "second"]
        started = memory._store.reader.execute("SELECT started_ns FROM stream ORDER BY id").fetchall()
        assert memory.verify().findings == ()
    assert started == [(10**18,), (10**17,)]


def test_what_comes_from_the_future_is_kept_and_what_comes_after_it_is_counted_as_late(tmp_path):
    with open_memory(tmp_path) as memory:
        memory.write([said("now", 1, 2)])
        assert memory.write([said("in a hundred years", 3e9, 3e9 + 1)]).committed == 1
        receipt = memory.write([said("now again", 5, 6), seen("cat", 6, picture=1)])
        assert (receipt.committed, receipt.late) == (2, 2)
        assert [row.text for row in memory.rows() if row.text] == ["now", "now again", "in a hundred years"]
        assert memory.verify().findings == ()


def test_an_interrupt_after_the_commit_takes_no_picture(tmp_path, monkeypatch):
    original = Store.transaction

    @contextmanager
    def interrupted(store, synced=False):
        with original(store, synced) as connection:
            yield connection
        raise KeyboardInterrupt

    with open_memory(tmp_path) as memory:
        monkeypatch.setattr(Store, "transaction", interrupted)
        with pytest.raises(KeyboardInterrupt):
            memory.write([seen("cat", 1, picture=1)])
        monkeypatch.undo()
        assert len(memory.rows()) == 1
        assert memory.verify().findings == ()
        assert memory.write([seen("cat", 1, picture=1), seen("dog", 2, picture=2)]).committed == 1
    assert_whole(tmp_path)


def test_an_erasure_is_synced_whatever_the_durability(tmp_path):
    config = MemoryConfig(store=StoreConfig(durability="normal"))
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w", config=config) as memory:
        with memory._store.transaction(synced=True) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert memory._store.writer.execute("PRAGMA synchronous").fetchone() == (1,)


def test_what_is_undone_takes_no_disk(tmp_path):
    with closing(Store(tmp_path, "w", StoreConfig())) as store:
        with store.transaction() as db:
            db.execute("CREATE TABLE large (data BLOB)")
        before = bytes_of(tmp_path)
        with store.transaction(undone=True) as db:
            db.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
                "INSERT INTO large SELECT randomblob(2000) FROM n"
            )
            assert bytes_of(tmp_path) == before
        with store.transaction() as db:
            assert db.execute("SELECT count(*) FROM large").fetchone() == (0,)
