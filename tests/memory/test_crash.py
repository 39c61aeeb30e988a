"""A writer that is killed anywhere, and sent everything again, leaves the same memory as one that lived."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reverie.memory import Memory
from reverie.memory.store import Store
from tests.memory.reading import assert_whole, rows_of
from tests.memory.worlds import BagOfWords, batches, make_stream

QUICK_SEEDS, ALL_SEEDS = 2, 20


def write_until_killed(directory: str, stream_seed: int, kill_seed: int) -> None:
    """Write the stream in batches and die by SIGKILL at a point drawn from `kill_seed`."""
    rng = np.random.default_rng(kill_seed)
    fatal, step = int(rng.integers(1, 30)), 0

    def pass_by() -> None:
        nonlocal step
        step += 1
        if step == fatal:
            os.kill(os.getpid(), 9)

    commit_or_not = Store.transaction
    from contextlib import contextmanager

    @contextmanager
    def fatal_transaction(store):  # dies before the transaction, at its end, or right after the commit
        pass_by()
        with commit_or_not(store) as connection:
            yield connection
            pass_by()
        pass_by()

    Store.transaction = fatal_transaction
    with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
        original = memory._store.pictures.write

        def fatal_write(pictures):  # dies between two pictures
            written = []
            for picture in pictures:
                written += original([picture])
                pass_by()
            return written

        memory._store.pictures.write = fatal_write
        for batch in batches(make_stream(stream_seed, gap=stream_seed % 2 == 1), rng):
            memory.write(batch)


def run_killed(directory: Path, stream_seed: int, kill_seed: int) -> bool:
    """Whether it died; that it failed in another way is an error."""
    code = "import sys; from tests.memory.test_crash import *; write_until_killed(sys.argv[1], *map(int, sys.argv[2:]))"
    command = [sys.executable, "-c", code, str(directory), str(stream_seed), str(kill_seed)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode in (0, -9), ended.stderr
    return ended.returncode == -9


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= QUICK_SEEDS)) for seed in range(ALL_SEEDS)]
)
def test_killed_and_sent_again_equals_uninterrupted(tmp_path, seed):
    stream_seed = seed % 5
    items = make_stream(stream_seed, gap=stream_seed % 2 == 1)
    with Memory.open(tmp_path / "lived", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(items)
    deaths = 0
    for attempt in range(3):  # dies up to three times, each time sent everything again
        deaths += run_killed(tmp_path / "died", stream_seed, 100 * seed + attempt)
    assert deaths >= 1
    with Memory.open(tmp_path / "died", text_encoder=BagOfWords(), mode="w") as memory:
        memory.write(items)
    assert_whole(tmp_path / "died")
    assert rows_of(tmp_path / "died") == rows_of(tmp_path / "lived")


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
    open(tmp_path / "log", "w").close()
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w"):
        pass
    assert_whole(tmp_path)
