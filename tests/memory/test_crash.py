"""A writer that is killed anywhere, and sent everything again, leaves the same memory as one that lived.

Each seed draws what the writer does (writing and forgetting, or one of `crash_kinds`), and a system call; the writer is
a forked child that is killed (kill -9) as it makes that call, up to three times in a row (writing a stream makes about
860; every change of a file is one, or between two). `REVERIE_CRASH_SEEDS=1000 pytest -m slow
tests/memory/test_crash.py` tries 1,000 seeds, a sixth of them for each kind.
"""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from reverie.memory import Memory
from reverie.memory.index import Index
from reverie.memory.verify import verify
from reverie.types import Item, Observation
from tests.memory import tracing
from tests.memory.crash_kinds import KINDS, Acknowledge, arrays_of, killed_at
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, batches, make_stream, said, seen, span

SEEDS = int(os.environ.get("REVERIE_CRASH_SEEDS", "50"))
SEEDS_A_TEST = 10
STREAMS = 8
DURATION_S = 12.0
FORGOTTEN = span(4, 6)

needs_tracing = pytest.mark.skipif(bool(tracing.why_not()), reason=str(tracing.why_not()))


def seeds_of(number: int) -> list[range]:
    """The seeds of a kind of work, writing being 0, in lots for one test each."""
    step = 1 + len(KINDS)
    return [
        range(first, min(first + SEEDS_A_TEST * step, SEEDS), step)
        for first in range(number, SEEDS, SEEDS_A_TEST * step)
    ]


@pytest.fixture
def quick_disk(tmp_path):
    """A directory in RAM where there is one: a kill does not need a disk, and syncs cost nothing there."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="reverie-crash-", dir=shared))
    yield folder
    shutil.rmtree(folder)


@functools.cache
def stream_of(number: int) -> tuple[Item, ...]:
    return tuple(make_stream(number, duration_s=DURATION_S, gap=number % 2 == 1))


def write_all(
    directory: Path, sent: list[list[Item]], forget_after: int | None, acknowledge: Acknowledge = lambda: None
) -> None:
    """Write the batches, and forget a span after one of them; every return is acknowledged."""
    with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
        for number, batch in enumerate(sent):
            memory.write(batch)
            if number == forget_after:
                memory.forget(span=FORGOTTEN)
            acknowledge()


def writing(directory: Path, sent: list[list[Item]], forget_after: int | None) -> Callable[[Acknowledge], None]:
    return lambda acknowledge: write_all(directory, sent, forget_after, acknowledge)


@functools.cache
def num_calls() -> int:
    """How many system calls it takes to write a stream."""
    with tempfile.TemporaryDirectory() as folder:
        sent = batches(stream_of(0), np.random.default_rng(0))
        return killed_at(writing(Path(folder) / "m", sent, None), -1)[2]


def assert_acknowledged(directory: Path, sent: list[list[Item]], num_writes: int) -> None:
    """Every observation of the acknowledged writes is there, once."""
    expected = [item for batch in sent[:num_writes] for item in batch if isinstance(item, Observation)]
    with Memory.open(directory, text_encoder=BagOfWords()) as memory:  # a reader needs no repair
        there = [(row.modality, row.seq) for row in memory.rows()]
    assert len(set(there)) == len(there)
    assert {(item.modality, item.seq) for item in expected} <= set(there)


def assert_texts_indexed(directory: Path) -> None:
    """What FTS5 itself says of its indexes."""
    with closing(sqlite3.connect(directory / "memory.sqlite")) as connection:
        for table in ("observation_text", "label_text"):
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")


def check_seed(folder: Path, seed: int, lived: dict[int, dict[str, list[object]]]) -> int:
    """Kill, look, and go on, up to three times; then send everything once more. Returns the number of deaths."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(STREAMS))
    sent = batches(stream_of(number), rng)
    forget_after = int(rng.integers(len(sent))) if rng.random() < 0.25 else None
    directory = folder / f"seed {seed}"
    deaths = 0
    for _ in range(int(rng.integers(1, 4))):
        fatal = int(rng.integers(1, int(num_calls() * 1.1)))
        died, acknowledged, _ = killed_at(writing(directory, sent, forget_after), fatal)
        deaths += died
        if acknowledged and forget_after is None:
            assert_acknowledged(directory, sent, acknowledged)
    with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
        assert_whole(directory)
        arrays_of(memory._search.index)  # the cache is filled before what is sent again, and extended by it
        for batch in sent:
            memory.write(batch)
        assert arrays_of(memory._search.index) == arrays_of(Index(memory._store.reader))
        assert memory.write(list(stream_of(number))).committed == 0
        assert memory.verify().findings == ()
        if forget_after is not None:
            memory.forget(span=FORGOTTEN)
            assert memory.rows(span=FORGOTTEN) == []
    assert_texts_indexed(directory)
    assert_whole(directory)
    assert verify(directory).findings == ()
    if forget_after is None:
        if number not in lived:
            write_all(folder / f"lived {number}", [list(stream_of(number))], None)
            lived[number] = rows_of(folder / f"lived {number}")
        assert rows_of(directory) == lived[number]
    return deaths


@needs_tracing
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seeds", seeds_of(0), ids=str)
def test_killed_at_any_system_call_and_sent_again_equals_uninterrupted(quick_disk, seeds):
    lived: dict[int, dict[str, list[object]]] = {}
    deaths = sum(check_seed(quick_disk, seed, lived) for seed in seeds)
    assert deaths >= len(seeds) // 2  # a kill that comes too late shows nothing


@needs_tracing
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        pytest.param(kind, seeds, id=f"{kind.__name__}-{seeds}")
        for number, kind in enumerate(KINDS, 1)
        for seeds in seeds_of(number)
    ],
)
def test_killed_at_other_work_it_loses_nothing_and_goes_on(quick_disk, kind, seeds):
    deaths, work = 0, kind(quick_disk)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        directory = work.copy(f"seed {seed}")
        for _ in range(int(rng.integers(1, 4))):
            fatal = int(rng.integers(1, int(work.lived[0] * 1.1)))
            died, acknowledged, _ = killed_at(functools.partial(work.work, directory), fatal)
            deaths += died
            work.look(directory, acknowledged)
        work.finish(directory)
        shutil.rmtree(directory)
    assert deaths >= len(seeds) // 2


@needs_tracing
@pytest.mark.slow
def test_killed_around_a_commit(quick_disk):
    """Calls around the second of two commits, and while the memory is closed after it."""
    sent = [[said("the first", 1, 2), seen("cat", 1, picture=1)], [said("the second", 3, 4), seen("dog", 3, picture=2)]]
    _, _, last = killed_at(writing(quick_disk / "lived", sent, None), -1)
    outcomes = set()
    for fatal in range(max(1, last - 240), last - 8, 8):  # how many calls closing makes varies by a few
        directory = quick_disk / f"m{fatal}"
        died, acknowledged, _ = killed_at(writing(directory, sent, None), fatal)
        assert died
        with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
            assert_whole(directory)
            rows = len(memory.rows())
        assert rows in (0, 2, 4)  # never half of a write
        assert rows >= 2 * acknowledged
        outcomes.add(rows)
    assert outcomes >= {2, 4}


def test_what_a_write_returned_for_is_there_after_a_kill(tmp_path):
    code = (
        "import os, sys; from tests.memory.worlds import *; from reverie.memory import Memory\n"
        "memory = Memory.open(sys.argv[1], text_encoder=BagOfWords(), mode='w')\n"
        "for i in range(20): memory.write([said(f'word {i}', i, i + 1), seen('cat', i, picture=i)])\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True).returncode == -9
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="r") as memory:  # a reader needs no repair
        assert memory.stats().observations == {"vision": 20, "speech": 20}
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w"):
        pass
    assert_whole(tmp_path)
