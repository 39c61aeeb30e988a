"""A backup is the memory as it was at one moment, whole, whatever is written meanwhile."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading

import pytest

from reverie.errors import MemoryDamaged, MemoryFull, MemoryStoreError, MemoryTooNew, UsageError
from reverie.memory import Memory
from reverie.memory import backup as backups
from reverie.memory.backup import copy_memory
from reverie.memory.schema import SCHEMA_VERSION
from reverie.memory.verify import verify
from reverie.types import Query
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, make_stream, said, seen


def open_memory(path, mode="w"):
    return Memory.open(path, text_encoder=BagOfWords(), mode=mode)


@pytest.fixture
def root(tmp_path):
    with open_memory(tmp_path / "m") as memory:
        memory.write(make_stream(1, duration_s=60))
    return tmp_path / "m"


def parts(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("mode", ["r", "w"])
def test_a_backup_is_an_equal_memory_of_its_own(root, tmp_path, mode):
    with open_memory(root, mode) as memory:
        receipt = memory.backup(tmp_path / "copies" / "monday")
        stats = memory.stats()
    assert receipt.path == tmp_path / "copies" / "monday"
    assert receipt.observations == sum(stats.observations.values())
    assert (receipt.streams, receipt.events, receipt.pictures) == (1, stats.events, stats.pictures)
    assert (receipt.linked, receipt.missing) == (receipt.pictures, 0)
    assert parts(tmp_path / "copies") == []
    assert rows_of(receipt.path) == rows_of(root)
    assert_whole(receipt.path)
    before = rows_of(root)
    with open_memory(receipt.path) as copy:  # it can be gone on with, and does not reach into the original
        copy.write([said("only here", 70, 71)])
        copy.forget(everything=True)
    assert rows_of(root) == before
    assert verify(root).findings == ()


def test_restoring_brings_back_what_was_backed_up(root, tmp_path):
    with open_memory(root) as memory:
        memory.backup(tmp_path / "backup")
        before = rows_of(tmp_path / "backup")
        memory.forget(everything=True)
    receipt = copy_memory(tmp_path / "backup", tmp_path / "again")
    assert receipt.observations > 0
    assert rows_of(tmp_path / "again") == before
    assert verify(tmp_path / "again").findings == ()
    with open_memory(tmp_path / "again") as memory:
        assert memory.search(Query(text="lantern"))
        assert memory.write(make_stream(1, duration_s=60)).committed == 0


def test_nothing_is_overwritten(root, tmp_path):
    kept = tmp_path / "there" / "letter"
    kept.parent.mkdir()
    kept.write_text("dear")
    with pytest.raises(UsageError, match="there already"):
        copy_memory(root, kept.parent)
    with pytest.raises(UsageError, match="there already"):
        copy_memory(root, kept)
    with pytest.raises(UsageError, match="inside of the memory"):
        copy_memory(root, root / "copy")
    assert kept.read_text() == "dear"
    (tmp_path / "empty").mkdir()
    copy_memory(root, tmp_path / "empty")
    assert_whole(tmp_path / "empty")


def test_there_must_be_something_to_copy(tmp_path):
    with pytest.raises(MemoryStoreError, match="no memory at"):
        copy_memory(tmp_path / "nothing", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_newer_memory_is_not_copied_and_a_damaged_one_neither(root, tmp_path):
    path = root / "memory.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 16384) + whole[-8192:])
    with pytest.raises(MemoryDamaged, match="memory verify"):
        copy_memory(root, tmp_path / "x")
    path.write_bytes(whole)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(MemoryTooNew, match="upgrade"):
        copy_memory(root, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert parts(tmp_path) == []


def test_where_links_cannot_be_made_pictures_are_copied(root, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refuse)
    receipt = copy_memory(root, tmp_path / "x")
    assert receipt.linked == 0
    assert receipt.pictures > 0
    assert_whole(tmp_path / "x")
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "x" / "pictures").glob("*/*"))


def test_missing_pictures_are_counted(root, tmp_path):
    next((root / "pictures").glob("*/*.jpg")).unlink()
    receipt = copy_memory(root, tmp_path / "x")
    assert receipt.missing == 1
    assert receipt.pictures == len(list((tmp_path / "x" / "pictures").glob("*/*.jpg")))


@pytest.mark.parametrize("small_disk", ["100k"], indirect=True)
def test_a_full_disk_leaves_nothing(root, small_disk):
    with pytest.raises(MemoryFull, match="no space left"):
        copy_memory(root, small_disk / "x")
    assert list(small_disk.iterdir()) == []


def test_what_is_forgotten_meanwhile_is_not_in_the_backup(root, tmp_path, monkeypatch):
    """The rows were copied, then they were forgotten: the copy begins again."""
    original, times = backups._copy_pictures, []
    with open_memory(root) as memory:

        def forget_first(*arguments):
            times.append(1)
            if len(times) == 1:
                memory.forget(everything=True)
            return original(*arguments)

        monkeypatch.setattr(backups, "_copy_pictures", forget_first)
        receipt = memory.backup(tmp_path / "x")
    assert len(times) == 2
    assert (receipt.observations, receipt.pictures, receipt.missing) == (0, 0, 0)
    assert parts(tmp_path) == []


def test_backups_under_a_writer_hold_whole_writes_and_the_writer_goes_on(root, tmp_path):
    """Every write holds a sentence and a picture: a backup never has one without the other, nor a hole before it."""
    written, stop, failures = [0], threading.Event(), []
    with open_memory(root) as memory:

        def write():
            index = 0
            try:
                while not stop.is_set():
                    at = 100 + index
                    memory.write(
                        [said(f"word {index}", at, at + 1, "live"), seen("cat", at, stream_id="live", picture=index)]
                    )
                    index += 1
                    written[0] = index
            except BaseException as error:
                failures.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            counts = []
            for number in range(4):
                acknowledged = written[0]
                memory.backup(tmp_path / f"backup {number}")
                counts.append((acknowledged, written[0]))
        finally:
            stop.set()
            writer.join()
    assert failures == []
    for number, (before, after) in enumerate(counts):
        copy = tmp_path / f"backup {number}"
        assert verify(copy).findings == ()
        rows = rows_of(copy)
        live = [row["id"] for row in rows["stream"] if row["name"] == "live"]
        seconds: dict[int, list[int]] = {0: [], 3: []}
        for row in rows["observation"]:
            if row["stream"] in live:
                seconds[row["modality"]].append(row["start_ns"] // 10**9)
        assert seconds[0] == seconds[3] == list(range(100, 100 + len(seconds[0])))
        assert before <= len(seconds[0]) <= after + 1
    assert counts[-1][1] > counts[0][0]  # it was written meanwhile


def test_the_command_line_backs_up_and_restores(cli, root, tmp_path):
    backup, again = tmp_path / "backup", tmp_path / "again"
    outcome = cli("memory", "backup", backup, "--memory", root, "--json")
    assert outcome.code == 0
    receipt = json.loads(outcome.out)
    assert (receipt["path"], receipt["streams"]) == (str(backup), 1)
    assert cli("memory", "restore", backup, "--memory", again).code == 0
    assert rows_of(again) == rows_of(root)
    outcome = cli("memory", "restore", backup, "--memory", again)
    assert (outcome.code, outcome.err[:9]) == (2, "reverie: ")
    assert "there already" in outcome.err
    stats = json.loads(cli("memory", "stats", "--memory", again, "--json").out)
    assert stats["streams"] == 1
    assert stats["total_bytes"] == sum(stats["bytes_on_disk"].values())
    assert "on disk" in cli("memory", "stats", "--memory", again).out
