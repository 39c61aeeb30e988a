"""Making room is done in small steps: a writer killed between any two leaves a memory that opens and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from reverie.memory import Memory, room
from reverie.memory.demotion import demote
from reverie.memory.representatives import medoid, runs
from reverie.memory.store import Store
from reverie.memory.summary import central_sentences
from reverie.types import Query
from tests.memory.reading import assert_whole
from tests.memory.test_budget import LIMIT, TOLERANCE, bytes_of, hour, open_memory
from tests.memory.worlds import BagOfWords, unit

HOURS = 6


def write_until_killed(directory: str, seed: int) -> None:
    """Write hours into a small budget and die by SIGKILL beside or inside a transaction drawn from `seed`."""
    fatal, step = int(np.random.default_rng(seed).integers(165, 215)), 0
    whole = Store.transaction

    def pass_by() -> None:
        nonlocal step
        step += 1
        if step == fatal:
            os.kill(os.getpid(), 9)

    @contextmanager
    def fatal_transaction(store, synced=False):
        pass_by()
        with whole(store, synced) as connection:
            yield connection
            pass_by()
        pass_by()

    Store.transaction = fatal_transaction
    with open_memory(directory, LIMIT) as memory:
        for number in range(HOURS):
            memory.write(hour(number))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_kill_while_room_is_made_loses_nothing(tmp_path, seed):
    code = (
        "import sys; from tests.memory.test_consolidation import *; write_until_killed(sys.argv[1], int(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(seed)], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
    with open_memory(tmp_path, LIMIT) as memory:
        assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
        assert any(event.level for event in memory.timeline())  # it died after making room had begun
        for number in range(HOURS):  # all of it again: what was committed is known, the rest is new
            memory.write(hour(number))
            assert bytes_of(tmp_path) <= TOLERANCE * LIMIT
        assert memory.search(Query(text="lantern", k=3))
        ends = [event.span.end_ns for event in memory.timeline()]
        starts = [event.span.start_ns for event in memory.timeline()]
        assert ends[:-1] == starts[1:]  # events tile what was watched, whatever their level
    assert_whole(tmp_path)


def test_runs_part_where_vectors_differ_and_a_medoid_is_central():
    rng = np.random.default_rng(1)
    scenes = [unit(rng.standard_normal(32)) for _ in range(3)]
    vectors = np.stack([unit(scenes[i // 7] + 0.05 * rng.standard_normal(32)) for i in range(21)])
    assert runs(vectors, 3) == [(0, 7), (7, 14), (14, 21)]
    assert runs(vectors[:2], 4) == [(0, 1), (1, 2)]
    assert runs(vectors[:0], 4) == []
    shared = 3 * unit(rng.standard_normal(32))
    rare = [scenes[0]] * 30 + [scenes[1]] + [unit(scenes[0] + 0.2 * scenes[2])] * 30
    assert runs(np.stack([unit(vector + shared) for vector in rare]), 3) == [(0, 30), (30, 31), (31, 61)]
    outlier = np.stack([vectors[0], vectors[1], vectors[2], vectors[20]])
    assert medoid(outlier) in (0, 1, 2)


def test_a_summary_keeps_what_says_most_word_for_word_in_order():
    texts = ["hello there my friend", "the xylophone stands in the attic", "hello there my friend", "hello my friend"]
    vectors = list(BagOfWords().encode(texts))
    kept = central_sentences(texts, vectors, 60)
    assert kept == sorted(kept)
    assert 1 in kept
    assert len({texts[number] for number in kept}) == len(kept)
    assert sum(len(texts[number].encode()) for number in kept) <= 60
    assert central_sentences(texts, vectors, 3) == []


def test_no_single_write_pays_for_all_of_a_consolidation(tmp_path, monkeypatch):
    num_transactions = 0
    whole = Store.transaction

    @contextmanager
    def counted(store, *args, **kwargs):
        nonlocal num_transactions
        num_transactions += 1
        with whole(store, *args, **kwargs) as connection:
            yield connection

    monkeypatch.setattr(Store, "transaction", counted)
    most = 0
    with Memory.open(tmp_path, text_encoder=BagOfWords(), mode="w") as memory:
        for number in range(3):
            items = hour(number)
            for start in range(0, len(items), 4):
                num_transactions = 0
                memory.write(items[start : start + 4])
                most = max(most, num_transactions)
        assert most <= 2  # its own and one step
        beside = memory.episodes()
        assert beside[-1].span.end_s == 5400
        memory.consolidate()
        assert memory.episodes()[: len(beside)] == beside
    assert_whole(tmp_path)


def test_no_single_write_pays_for_all_events_that_come_to_one_level(tmp_path, monkeypatch):
    num_demotions = 0

    def counted(*args):
        nonlocal num_demotions
        num_demotions += 1
        return demote(*args)

    monkeypatch.setattr(room, "demote", counted)
    each, limit = [], 4 << 20
    with open_memory(tmp_path, limit) as memory:
        for number in range(30):
            items = hour(number)
            for start in range(0, len(items), 20):
                num_demotions = 0
                memory.write(items[start : start + 20])
                each.append(num_demotions)
    assert sum(each) > 1000
    assert max(each) < 200
    assert bytes_of(tmp_path) <= limit
