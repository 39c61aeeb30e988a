"""The power goes at any moment: what was acknowledged is there, and what is there is whole.

A writer is recorded once for each durability (`tracing`, `power_loss`), then disks are made of it as they may be after
a cut at a random step, opened and looked at. `REVERIE_CRASH_IMAGES=1000 pytest -m slow tests/memory/test_power_loss.py`
looks at 1,000 of each.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reverie.errors import MemoryStoreError
from reverie.memory import Memory, MemoryConfig, StoreConfig
from reverie.memory.pictures import PictureFolder
from reverie.types import Item
from tests.memory import tracing
from tests.memory.power_loss import Acknowledged, Recording, Step, Sync, crash_image
from tests.memory.reading import assert_whole
from tests.memory.worlds import BagOfWords, batches, make_stream, seen, span

IMAGES = int(os.environ.get("REVERIE_CRASH_IMAGES", "40"))
_REASON = tracing.why_not() or ("" if tracing.NUMBERS else "the numbers of this processor's system calls are not known")
pytestmark = [pytest.mark.skipif(bool(_REASON), reason=_REASON), pytest.mark.slow]

STREAM = make_stream(3, duration_s=40)
BATCHES = batches(STREAM, np.random.default_rng(1))
FORGET_AFTER, FORGOTTEN = len(BATCHES) // 3, span(2, 6)
REOPEN_AFTER = len(BATCHES) // 2

Keys = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Recorded:
    """A writer's steps, and the observations that are there after each of its writes."""

    recording: Recording
    states: tuple[Keys, ...]


def write(root: Path, durability: str, acknowledge, batches_: list[list[Item]] = BATCHES) -> None:
    """Two lives of a writer: batches, an erasure, checkpoints after every few pages, a close and an opening between."""
    config = MemoryConfig(store=StoreConfig(durability=durability))
    for life in (batches_[:REOPEN_AFTER], batches_[REOPEN_AFTER:]):
        with Memory.open(root, text_encoder=BagOfWords(), mode="w", config=config) as memory:
            memory._store.writer.execute("PRAGMA wal_autocheckpoint = 60")
            for batch in life:
                memory.write(batch)
                acknowledge(memory)
                if batch is batches_[FORGET_AFTER]:
                    memory.forget(span=FORGOTTEN)
                    acknowledge(memory)


def keys_of(memory: Memory) -> Keys:
    return frozenset((row.modality.value, row.seq) for row in memory.rows())


@pytest.fixture(scope="module", params=["full", "normal"])
def recorded(request, tmp_path_factory) -> tuple[str, Recorded]:
    base = tmp_path_factory.mktemp("recorded").resolve()
    (base / "disk").mkdir()
    states = [frozenset()]
    write(base / "lived", request.param, lambda memory: states.append(keys_of(memory)))
    recording = Recording(base / "disk")
    reading, writing = os.pipe()

    def child() -> None:
        # The folder around the memory is made too: it has to be as durable as what is in it.
        write(base / "disk" / "new" / "m", request.param, lambda _: os.write(writing, b"."))

    assert tracing.run(child, recording.hear) == 0
    os.close(reading)
    os.close(writing)
    assert sum(isinstance(step, Acknowledged) for step in recording.steps) == len(states) - 1
    return request.param, Recorded(recording, tuple(states))


def state_after_a_cut(recorded: Recorded, steps: list[Step], rng: np.random.Generator, folder: Path) -> tuple[int, int]:
    """(writes acknowledged, the first write after which there was what is there now); everything there is whole."""
    shutil.rmtree(folder, ignore_errors=True)
    acknowledged = crash_image(recorded.recording, steps, rng, folder)
    root = folder / "new" / "m"
    with Memory.open(root, text_encoder=BagOfWords(), mode="w") as memory:
        assert_whole(root)
        assert memory.verify().findings == ()
        there = keys_of(memory)
    assert there in recorded.states, "part of a write is there"
    return acknowledged, max(index for index, state in enumerate(recorded.states) if state == there)


@pytest.mark.timeout(3600)
def test_what_was_acknowledged_survives_and_what_survives_is_whole(recorded, tmp_path):
    durability, own = recorded
    steps = own.recording.steps
    lost = 0
    for seed in range(IMAGES):
        rng = np.random.default_rng(seed)
        cut = int(rng.integers(len(steps) + 1))
        acknowledged, state = state_after_a_cut(own, steps[:cut], rng, tmp_path / "after")
        lost += state < acknowledged
        if durability == "full":
            assert state >= acknowledged, f"seed {seed}: a write was lost"
        if seed % 4 == 0:  # and it can be gone on with
            root = tmp_path / "after" / "new" / "m"
            write(root, durability, lambda _: None)
            assert_whole(root)
            assert keys_of_directory(root) == own.states[-1]
    assert (lost > 0) == (durability == "normal")  # the loss window of "normal" is real


def keys_of_directory(root: Path) -> Keys:
    with Memory.open(root, text_encoder=BagOfWords()) as memory:
        return keys_of(memory)


@pytest.mark.parametrize("recorded", ["full"], indirect=True)
@pytest.mark.parametrize("unsynced", ["folders", "files", "the folder around"])
def test_a_sync_that_is_left_out_is_found(recorded, tmp_path, unsynced):
    """The test of the test: without the syncs of folders, of files, or of the one folder, something is lost."""
    _, own = recorded
    left_out = {
        "folders": lambda node: node.names is not None,
        "files": lambda node: node.names is None,
        "the folder around": lambda node: node is own.recording.root,
    }[unsynced]
    steps = [step for step in own.recording.steps if not (isinstance(step, Sync) and left_out(step.node))]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cut = int(rng.integers(len(steps) // 2, len(steps) + 1))
        try:
            acknowledged, state = state_after_a_cut(own, steps[:cut], rng, tmp_path / "after")
        except (AssertionError, MemoryStoreError, sqlite3.DatabaseError):
            return  # damaged
        if state < acknowledged:
            return
    pytest.fail("nothing was lost")


def record(base: Path, work) -> Recording:
    (base / "disk").mkdir()
    recording = Recording(base / "disk")
    assert tracing.run(work, recording.hear) == 0
    return recording


def test_a_picture_folder_that_a_killed_writer_left_unsynced_is_synced_by_the_next(tmp_path):
    root = tmp_path / "disk" / "m"
    item = seen("cat", 1, picture=1)

    def work() -> None:
        Memory.open(root, text_encoder=BagOfWords(), mode="w").close()
        PictureFolder(root).path_of(PictureFolder(root).name_of(item.thumbnail)).parent.mkdir(parents=True)
        with Memory.open(root, text_encoder=BagOfWords(), mode="w") as memory:
            memory.write([item])
            os._exit(0)

    recording = record(tmp_path, work)
    crash_image(recording, recording.steps, np.random.default_rng(0), tmp_path / "after", share=0)
    with Memory.open(tmp_path / "after" / "m", text_encoder=BagOfWords()) as memory:
        assert len(memory.rows()) == 1
        assert memory.verify().findings == ()


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_key_frames_go_after_the_rows_that_name_them(tmp_path, durability):
    """Through an erasure, step by step: with nothing of what was not synced, no row names a picture that is gone."""
    root = tmp_path / "disk" / "m"
    config = MemoryConfig(store=StoreConfig(durability=durability))

    def work() -> None:
        with Memory.open(root, text_encoder=BagOfWords(), mode="w", config=config) as memory:
            memory.write([seen("cat", at, picture=at) for at in range(5)])
            memory._store.reclaim()
            memory.forget(span=span(1, 3))
            os._exit(0)

    recording = record(tmp_path, work)
    counts = set()
    for cut in range(len(recording.steps) * 2 // 3, len(recording.steps) + 1):
        shutil.rmtree(tmp_path / "after", ignore_errors=True)
        crash_image(recording, recording.steps[:cut], np.random.default_rng(0), tmp_path / "after", share=0)
        with Memory.open(tmp_path / "after" / "m", text_encoder=BagOfWords()) as memory:
            assert [finding.check for finding in memory.verify().findings if finding.check != "unnamed pictures"] == []
            counts.add(len(memory.rows()))
    assert counts - {0} == {5, 2}  # it came before the writes, before the erasure, and after it
