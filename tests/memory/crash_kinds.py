"""What a writer may be at when it is killed, beside writing and forgetting: each kind makes a memory, and works on it.

`look` holds after every kill, `finish` when the work was then done to its end.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from reverie.errors import MemoryStoreError
from reverie.memory import Memory, MemoryConfig
from reverie.memory.copies import copies_of
from reverie.memory.index import Index
from reverie.memory.verify import verify
from reverie.types import EndOfStream, Item, Modality, Query, ns
from tests.memory import tracing
from tests.memory.reading import assert_whole, rows_of
from tests.memory.test_budget import TOLERANCE, bytes_of, hour, open_memory
from tests.memory.test_reencode import Turned, pictures
from tests.memory.worlds import BagOfWords, in_order, make_stream, said, seen

Acknowledge = Callable[[], None]


def killed_at(work: Callable[[Acknowledge], None], fatal: int) -> tuple[bool, int, int]:
    """Work in a child that is killed at its `fatal`-th system call: (died, times it acknowledged, calls made)."""
    reading, writing = os.pipe()
    calls = 0

    def count(_: tracing.Call) -> bool:
        nonlocal calls
        calls += 1
        return calls == fatal

    code = tracing.run(lambda: work(lambda: os.write(writing, b".") and None), count)
    os.close(writing)
    acknowledged = len(os.read(reading, 1 << 16))
    os.close(reading)
    assert code in (0, -9), "it failed"
    return code == -9, acknowledged, calls


def arrays_of(index: Index) -> list[list[object]]:
    """All that a cache of vectors holds."""
    index.refresh()
    found: list[list[object]] = []
    for table in (index.pictures, index.texts):
        found += [table.ids.rows.tolist(), table.starts_ns.rows.tolist(), table.ends_ns.rows.tolist()]
        found += [table.text_hashes.rows.tolist(), table.labels.ids.rows.tolist(), table.labels.scores.rows.tolist()]
        for encoder, column in sorted(table.vectors.items()):
            found += [[encoder], column.rows.rows.tolist(), column.codes.rows.tolist(), column.scales.rows.tolist()]
    return found


def pictures_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("pictures/*/*.jpg")}


class Kind(ABC):
    """One kind of work on a memory that is made once, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / type(self).__name__
        self.base = self.folder / "base"
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the memory at `base`."""

    @abstractmethod
    def work(self, directory: Path, acknowledge: Acknowledge) -> None:
        """Done in the child; what has come back is acknowledged."""

    @abstractmethod
    def look(self, directory: Path, acknowledged: int) -> None:
        """What holds after a kill."""

    @abstractmethod
    def finish(self, directory: Path) -> None:
        """Do it to its end, and look."""

    def copy(self, name: str) -> Path:
        shutil.copytree(self.base, self.folder / name)
        return self.folder / name

    @cached_property
    def lived(self) -> tuple[int, dict[str, list[Any]]]:
        """System calls and rows of one that nobody kills."""
        directory = self.copy("lived")
        died, _, calls = killed_at(lambda acknowledge: self.work(directory, acknowledge), -1)
        assert not died
        return calls, rows_of(directory)


def assert_sound(memory: Memory) -> None:
    """Rows, indexes, key frames and the cache of an open memory agree."""
    assert_whole(memory.root)
    assert memory.verify().findings == ()
    assert arrays_of(memory._search.index) == arrays_of(Index(memory._store.reader))


class Fading(Kind):
    """Writing under a small budget: events fade, episodes are joined, words become bits; facts and upkeep beside it."""

    limit = 1 << 20

    def prepare(self) -> None:
        with open_memory(self.base, self.limit) as memory:
            memory.write([said("The code of the garage is 4711.", 1, 3)])
            for number in range(7):
                memory.write(hour(number))
            assert {event.level for event in memory.timeline()} >= {0, 3}
            memory.search(Query(text="lantern", k=5))
        items = hour(7)
        self.sent = [items[start : start + 60] for start in range(0, len(items), 60)]
        for number, batch in enumerate(self.sent):
            at_s = batch[0].span.start_s + 0.5
            batch.insert(1, said(f"The code of the room{number} is 47{number}.", at_s, at_s + 1))

    def work(self, directory: Path, acknowledge: Acknowledge) -> None:
        with open_memory(directory, self.limit) as memory:
            for batch in self.sent:
                memory.write(batch)
                acknowledge()

    def look(self, directory: Path, acknowledged: int) -> None:
        assert bytes_of(directory) <= TOLERANCE * self.limit
        with open_memory(directory, self.limit) as memory:
            assert bytes_of(directory) <= TOLERANCE * self.limit
            assert_sound(memory)
            for number, batch in enumerate(self.sent[:acknowledged]):
                assert memory.write(batch).committed == 0
                assert [fact.object for fact in memory.facts(f"room{number}")] == [f"47{number}"]

    def finish(self, directory: Path) -> None:
        with open_memory(directory, self.limit) as memory:
            arrays_of(memory._search.index)
            for batch in self.sent:
                memory.write(batch)
                assert bytes_of(directory) <= TOLERANCE * self.limit
            assert_sound(memory)
            assert sum(memory.write(batch).committed for batch in self.sent) == 0
            assert max(event.level for event in memory.timeline()) >= 3
            memory.consolidate()
            assert_sound(memory)
        rows = rows_of(directory)
        assert len(rows["fact"]) == len(self.sent) + 1
        assert rows["word_filter"]
        assert rows["episode"]


class Shrinking(Kind):
    """Opening with a smaller budget than the memory takes."""

    limit, old_limit = 1 << 20, 8 << 20

    def prepare(self) -> None:
        with open_memory(self.base, self.old_limit) as memory:
            for number in range(6):
                memory.write(hour(number))
        self.bytes_before = bytes_of(self.base)

    def work(self, directory: Path, acknowledge: Acknowledge) -> None:
        with open_memory(directory, self.limit):
            acknowledge()

    def look(self, directory: Path, acknowledged: int) -> None:
        if acknowledged:
            assert bytes_of(directory) <= TOLERANCE * self.limit
        with open_memory(directory, self.old_limit) as memory:
            assert_sound(memory)
            assert memory.write(hour(0)).committed == 0
            assert memory.search(Query(text="lantern", k=5))

    def finish(self, directory: Path) -> None:
        with open_memory(directory, self.limit) as memory:
            assert bytes_of(directory) <= self.limit
            assert_sound(memory)
            assert sum(memory.write(hour(number)).committed for number in range(6)) == 0
        assert bytes_of(directory) <= self.limit
        assert_whole(directory)


class Consolidating(Kind):
    """Recalls folded in, repeats merged, episodes built, all at once."""

    def prepare(self) -> None:
        with self.opened(self.base) as memory:
            memory.write(days_of_sameness())
            memory.search(Query(text="number100 in the kitchen", k=3))

    def opened(self, directory: Path) -> Memory:
        config = MemoryConfig(consolidate_every_s=1e9)
        return Memory.open(directory, text_encoder=BagOfWords(), mode="w", config=config)

    def work(self, directory: Path, acknowledge: Acknowledge) -> None:
        with self.opened(directory) as memory:
            memory.consolidate()
            acknowledge()

    def look(self, directory: Path, acknowledged: int) -> None:
        with self.opened(directory) as memory:
            assert_sound(memory)
            assert memory.write(days_of_sameness()).committed == 0
            hits = memory.search(Query(text="number100", k=1, modalities=(Modality.SPEECH,)))
            assert hits[0].text == "number100 in the kitchen"
        if acknowledged:
            self.assert_as_lived(directory)

    def finish(self, directory: Path) -> None:
        with self.opened(directory) as memory:
            arrays_of(memory._search.index)
            memory.consolidate()
            assert_sound(memory)
        self.assert_as_lived(directory)

    def assert_as_lived(self, directory: Path) -> None:
        rows = [rows_of(directory), self.lived[1]]
        for events in (found["event"] for found in rows):
            for event in events:  # a kill may count recalls twice
                event.pop("strength", None), event.pop("recalled_ns", None)
        assert rows[0] == rows[1]
        assert len(self.lived[1]["episode"]) >= 3
        assert any(row["repeats"] for row in self.lived[1]["event"])


def days_of_sameness() -> list[Item]:
    """Forty minutes of three places, each in scenes that look the same; in some of them something is said."""
    items = []
    for at in range(0, 2400, 10):
        place = ("kitchen", "garden", "garage")[at // 800]
        items.append(seen(place, at, picture=at if at % 50 == 0 else None, cut=at % 50 == 0))
        if at % 300 == 100:
            items.append(said(f"number{at} in the {place}", at, at + 4))
    return [*in_order(items), EndOfStream(stream_id="tv", pts_ns=ns(2400))]


class Reencoding(Kind):
    """All vectors anew after a change of encoders."""

    def prepare(self) -> None:
        with Memory.open(self.base, text_encoder=BagOfWords(), mode="w") as memory:
            memory.write(make_stream(3, duration_s=60))

    def work(self, directory: Path, acknowledge: Acknowledge) -> None:
        with Memory.open(directory, text_encoder=Turned(), mode="w") as memory:
            memory.reencode(pictures())
            acknowledge()

    def look(self, directory: Path, acknowledged: int) -> None:
        with Memory.open(directory, text_encoder=Turned(), mode="w") as memory:
            assert_sound(memory)
            assert memory.search(Query(text="lantern bridge", k=3))
            assert memory.write(make_stream(3, duration_s=60)).committed == 0
        if acknowledged:
            assert rows_of(directory) == self.lived[1]

    def finish(self, directory: Path) -> None:
        with Memory.open(directory, text_encoder=Turned(), mode="w") as memory:
            arrays_of(memory._search.index)
            memory.reencode(pictures())
            assert_sound(memory)
            again = memory.reencode(pictures())
            assert (again.texts, again.names, again.pictures) == (0, 0, 0)
        assert rows_of(directory) == self.lived[1]


class BackingUp(Kind):
    """A copy, that is there whole or not at all; the memory stays as it is."""

    def prepare(self) -> None:
        with Memory.open(self.base, text_encoder=BagOfWords(), mode="w") as memory:
            memory.write(make_stream(1, duration_s=60))
        self.before = rows_of(self.base), pictures_of(self.base)

    def work(self, directory: Path, acknowledge: Acknowledge) -> None:
        with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
            if not target_of(directory).exists():
                memory.backup(target_of(directory))
            acknowledge()

    def look(self, directory: Path, acknowledged: int) -> None:
        self.assert_as_before(directory)
        target = target_of(directory)
        if acknowledged or target.exists():
            self.assert_as_before(target)
            assert [copy.path for copy in copies_of(directory, None)] == [str(target)]
        for part in directory.parent.glob(f".{target.name}.*.part"):
            with suppress(MemoryStoreError):  # "there is no memory": else it is whole, but for its name
                Memory.open(part, text_encoder=BagOfWords()).close()
                self.assert_as_before(part)

    def finish(self, directory: Path) -> None:
        self.work(directory, lambda: None)
        self.look(directory, 1)

    def assert_as_before(self, directory: Path) -> None:
        assert verify(directory).findings == ()
        with Memory.open(directory, text_encoder=BagOfWords(), mode="w") as memory:
            assert_sound(memory)
        assert (rows_of(directory), pictures_of(directory)) == self.before


def target_of(directory: Path) -> Path:
    return directory.with_name(f"copy of {directory.name}")


KINDS: tuple[type[Kind], ...] = (Fading, Shrinking, Consolidating, Reencoding, BackingUp)
