"""Readers in other threads and processes while one writer writes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np

from reverie.memory import Memory
from reverie.types import Query
from tests.memory.worlds import BagOfWords, batches, make_stream, said

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
