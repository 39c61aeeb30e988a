"""Readers in other threads and processes while one writer writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack

import numpy as np
import pytest

from reverie.memory import Memory
from reverie.types import Query
from tests.memory.worlds import BagOfWords, batches, make_stream, said, seen, span, things

READER = """
import json, sys
from reverie.memory import Memory
from reverie.types import Query
from tests.memory.worlds import BagOfWords
counts = []
with Memory.open(sys.argv[1], text_encoder=BagOfWords()) as memory:
    print("open", flush=True)
    for line in sys.stdin:
        hits = memory.search(Query(text="lantern", k=1000))
        counts.append([memory.stats().observations.get("speech", 0), len(hits), len(memory.labels())])
        print("read", flush=True)
print(json.dumps(counts))
"""


def test_another_process_reads_each_commit(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout.readline() == "open\n"
        for index in range(5):
            memory.write([said(f"the lantern {index}", index, index + 1)])
            reader.stdin.write("go\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == "read\n"
        out, _ = reader.communicate()
    assert json.loads(out) == [[n, n, 0] for n in range(1, 6)]


def test_threads_read_whole_batches_while_one_writes(tmp_path):
    """Every batch holds one sentence and its echo: a reader never sees one without the other."""
    failures: list[str] = []
    done = threading.Event()
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:

        def read(own: Memory) -> None:
            last = 0
            while not done.is_set():
                count = len(own.rows())
                if count % 2 or count < last:
                    failures.append(f"saw {count} rows after {last}")
                last = count
                own.search(Query(text="river", k=5, neighbours=1))
                own.timeline()

        others = [Memory.open(tmp_path, text_encoder=BagOfWords()) for _ in range(2)]
        threads = [threading.Thread(target=read, args=(own,)) for own in [memory, *others]]
        for thread in threads:
            thread.start()
        for index in range(60):
            memory.write([said(f"river {index}", index, index + 0.4), said(f"echo {index}", index + 0.5, index + 0.9)])
        done.set()
        for thread in threads:
            thread.join()
        for other in others:
            other.close()
    assert failures == []


WATCHER = """
import json, sys, time
from reverie.memory import Memory
from reverie.types import Query
from tests.memory.worlds import BagOfWords
failures, last, reads, longest_s = [], 0, 0, 0.0
with Memory.open(sys.argv[1], text_encoder=BagOfWords()) as memory:
    print("open", flush=True)
    while last < int(sys.argv[2]):
        calls = (
            lambda: memory.rows(), lambda: memory.search(Query(text="river", k=5, neighbours=1)), memory.timeline,
            memory.labels, memory.stats, lambda: memory.latest(10**10), memory.tracks, memory.verify,
        )
        for number, call in enumerate(calls):
            began_s = time.thread_time()
            found = call()
            longest_s = max(longest_s, time.thread_time() - began_s)
            if number == 0:
                seconds = sorted(row.span.start_ns // 10**9 for row in found)
                if seconds != [second for second in range(len(seconds) // 3) for _ in range(3)]:
                    failures.append(f"not whole writes in order: {seconds}")
                if len(seconds) // 3 < last:
                    failures.append(f"went back from {last} to {len(seconds) // 3}")
                last = len(seconds) // 3
            if number == 7 and found.findings:
                failures.append(f"not sound: {found.findings}")
        reads += 1
print(json.dumps({"failures": failures, "reads": reads, "longest_s": longest_s}))
"""


@pytest.mark.slow
def test_four_processes_see_whole_writes_in_order_while_one_writes(tmp_path):
    """Each write is three observations of one second. No call of a reader takes a second of work, so none holds the
    log for longer; between calls none holds it at all.
    """
    writes = 150
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory._store.writer.execute("PRAGMA wal_autocheckpoint = 50")
        command = [sys.executable, "-c", WATCHER, str(tmp_path), str(writes)]
        readers = [
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        assert [reader.stdout.readline() for reader in readers] == ["open\n"] * 4
        for at in range(writes):
            box = things(at, {at // 7: "person"})
            memory.write([said(f"river {at}", at, at + 0.9), seen("cat", at, noise=0.5, picture=at), box])
        told = [json.loads(reader.communicate()[0]) for reader in readers]
        assert memory._store.reclaim()  # nobody holds the log
    assert [one["failures"] for one in told] == [[]] * 4
    assert all(one["reads"] > 1 for one in told)
    assert max(one["longest_s"] for one in told) < 1


def test_several_memories_are_open_in_one_process_at_once(tmp_path):
    names = ("door", "hall", "yard")
    with ExitStack() as stack:
        memories = {
            name: stack.enter_context(Memory.open(tmp_path / name, text_encoder=BagOfWords(), mode="w"))
            for name in names
        }

        def write(name: str) -> None:
            for at in range(20):
                memories[name].write([said(f"{name} {at}", at, at + 1), seen(name, at, picture=at)])

        threads = [threading.Thread(target=write, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, memory in memories.items():
            assert [row.text for row in memory.rows() if row.text] == [f"{name} {at}" for at in range(20)]
            assert memory.search(Query(text="7", k=1))[0].text == f"{name} 7"
            assert memory.verify().findings == ()
        memories["hall"].forget(everything=True)
        assert [len(memory.rows()) for memory in memories.values()] == [40, 0, 40]


def test_a_reader_sees_what_a_writer_opened_anew_adds_and_forgets(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for batch in batches(make_stream(1), np.random.default_rng(0)):
            memory.write(batch)
    with Memory.open(tmp_path, text_encoder=BagOfWords()) as reader:
        before = len(reader.search(Query(text="tabby cat", k=50)))
        assert before > 0
        with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
            memory.write([said("a tabby cat", 500, 501)])
            assert len(reader.search(Query(text="tabby cat", k=50))) == before + 1
            memory.forget(everything=True)
            assert reader.search(Query(text="tabby cat", k=50)) == []
            assert reader.labels() == []


LAST_TO_CLOSE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM observation").fetchone()
connection.close()  # where nobody else seems to have it open, SQLite deletes the log now
"""


def test_opening_a_memory_twice_in_one_process_loses_no_lock_on_it(tmp_path):
    """A log deleted under the writer would take with it all that is written from then on."""
    database = tmp_path / "memory.sqlite"
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        memory.write([said("river 0", 0, 1)])
        with Memory.open(tmp_path, text_encoder=BagOfWords()) as reader:
            assert len(reader.rows()) == 1
            assert reader.verify().findings == ()
        subprocess.run([sys.executable, "-c", LAST_TO_CLOSE, str(database)], check=True)
        assert database.with_name("memory.sqlite-wal").exists()
        memory.write([said("river 1", 1, 2)])
        command = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM observation')"
        told = subprocess.run(
            [sys.executable, "-c", command + ".fetchone()[0])", str(database)], capture_output=True, text=True
        )
        assert told.stdout == "2\n", told.stderr


def test_descriptors_that_only_read_a_head_do_not_pile_up(tmp_path):
    before = len(os.listdir("/dev/fd"))
    for number in range(5):
        with (
            Memory.open(tmp_path / str(number), text_encoder=BagOfWords(), mode="w"),
            Memory.open(tmp_path / str(number), text_encoder=BagOfWords()),
        ):
            pass
    assert len(os.listdir("/dev/fd")) == before


def test_rows_are_read_with_the_names_that_they_had_then(tmp_path):
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as writer:
        writer.write([seen("cat", 0)])
        with Memory.open(tmp_path, text_encoder=BagOfWords()) as reader:

            def write_before(statement):
                if statement.startswith("SELECT o.stream, o.start_ns") and not writer.rows(span=span(5, 6)):
                    writer.write([seen("a thing with a name of its own", 5)])

            reader._store.reader.set_trace_callback(write_before)
            before = reader.rows()
            reader._store.reader.set_trace_callback(None)
            assert len(reader.rows()) == 2
    assert [label.name for row in before for label in row.labels] == ["cat", "red"]
