"""The byte budget of a memory: what its directory takes, and how full that is.

The promise is about the disk: for every file and folder the larger of its size and its blocks. SQLite's log
grows by every page that a transaction changes and is folded into the database afterwards, so a share of the
budget is set aside for it; what is stored has the rest:

    max_bytes = log_bytes (the log's share) + database, pictures and folders

A batch that would need more log than half of that share is written in parts, and so is one with many pictures:
most of them will not become key frames, and room for all of them at once would be made in vain.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Container, Hashable, Iterable, Iterator

from reverie.memory.names import LABEL_BYTES
from reverie.memory.pictures import bytes_on_disk
from reverie.memory.pins import ROW_BYTES, pinned_bytes
from reverie.memory.store import DATABASE, Store
from reverie.types import Gap, Item, Observation, StreamStart

HIGH, LOW = 0.97, 0.92  # of the budget: above the low mark every write demotes a little, above the high one it must
_BLOCK_BYTES = 4096
INDEXED_BYTES = 3  # of rows for a byte of text: itself, its entry in an index, and pages that are not full
_PARTS, _LOG_PARTS = 64, 4  # of the budget in one transaction about a 64th, and 4 times that in the log
_VISIT_BYTES = 400  # of a row with its votes and index entries
_STREAM_BYTES = 3 * _BLOCK_BYTES  # of index pages that the first row of each stream in a part changes
_PICTURE_PARTS = 4  # of a part's rows: what its pictures may take
_UNFADING = (
    "stream", "gap", "forgotten", "faded", "pin", "encoder", "centre", "entity", "alias", "template", "consent", "note",
    "note_link",
)  # fmt: skip


class Budget:
    """Measures one open store. All numbers are bytes."""

    def __init__(self, store: Store, max_bytes: int, max_picture_bytes: int) -> None:
        self._store, self.max_bytes, self._max_picture_bytes = store, max_bytes, max_picture_bytes
        self.part_bytes = min(max(max_bytes // _PARTS, 16 << 10), 1 << 20)  # of rows in one transaction
        self.log_bytes = 80 * _BLOCK_BYTES + _LOG_PARTS * self.part_bytes

    @property
    def high_bytes(self) -> int:
        return int(HIGH * self.max_bytes)

    @property
    def low_bytes(self) -> int:
        return int(LOW * self.max_bytes)

    @property
    def stored_bytes(self) -> int:
        """What rows and pictures may take, up to the low mark."""
        return self.low_bytes - self.log_bytes

    @property
    def log_size(self) -> int:
        return bytes_on_disk(self._store.path.with_name(DATABASE + "-wal"))

    def used(self) -> int:
        """What the directory takes now, or will when the log is folded in."""
        file_bytes = max(bytes_on_disk(self._store.path), self._store.num_database_bytes())
        return file_bytes + self.log_size + self._beside()

    def filled(self) -> int:
        """What is occupied once free pages are given back, the log's share included."""
        return self._store.num_database_bytes() - self.free() + self.log_bytes + self._beside()

    def least(self) -> int:
        """About what stays filled when all that may fade has: empty tables, pins, what was taught and noted."""
        db = self._store.writer
        (trees, schema_bytes) = db.execute(
            "SELECT 1 + count(*) FILTER (WHERE rootpage), sum(length(sql)) FROM sqlite_schema"
        ).fetchone()
        rows = sum(_row_bytes(db, table) for table in _UNFADING)
        files = self._beside() - self._store.pictures.allocated_bytes()
        tables = int(trees) * self._store.page_bytes + int(schema_bytes)
        return tables + rows + pinned_bytes(db, self._store.root) + files + self.log_bytes

    def enough(self, least_bytes: int) -> int:
        """A budget that what cannot fade fits into: the log's share grows with it."""
        return math.ceil((least_bytes - _LOG_PARTS * self.part_bytes) / (HIGH - _LOG_PARTS / _PARTS))

    def free(self) -> int:
        """Pages of the database that hold nothing: what is written next goes there."""
        (pages,) = self._store.writer.execute("PRAGMA freelist_count").fetchone()
        return int(pages) * self._store.page_bytes

    def _beside(self) -> int:
        root = self._store.root
        pictures = self._store.pictures
        counted = {DATABASE, DATABASE + "-wal", pictures.root.name}
        others = sum(bytes_on_disk(path) for path in root.iterdir() if path.name not in counted)
        return bytes_on_disk(root) + others + pictures.allocated_bytes()

    def parts(self, items: Iterable[Item], embedded: Container[str] = ()) -> Iterator[tuple[list[Item], int]]:
        """The items in order, in parts that one transaction can take, each with the bytes that it needs.

        `embedded`: texts and names whose vectors are new; a name that is not among them is there already.
        """
        part: list[Item] = []
        known: set[str] = set()
        streams: set[str] = set()
        stored: set[Hashable] = set()  # once in a call: most are there already
        row_bytes = picture_bytes = 0
        for item in items:
            rows, picture = self._needed(item)
            rows += 0 if item.stream_id in streams else _STREAM_BYTES
            new = {name for name in _names(item) if name in embedded} - known
            known |= new
            rows += sum(LABEL_BYTES + _text_bytes(name) for name in new)
            once = _once(item)
            rows += sum(num_bytes for key, num_bytes in once.items() if key not in stored)
            stored |= once.keys()
            if part and (
                row_bytes + rows > self.part_bytes or picture_bytes + picture > _PICTURE_PARTS * self.part_bytes
            ):
                yield part, row_bytes + picture_bytes
                part, row_bytes, picture_bytes = [], 0, 0
                streams.clear()
            part.append(item)
            streams.add(item.stream_id)
            row_bytes, picture_bytes = row_bytes + rows, picture_bytes + picture
        if part:
            yield part, row_bytes + picture_bytes

    def _needed(self, item: Item) -> tuple[int, int]:
        """Bytes of the rows and of the picture of an item, at most: text counts for its index and vector, too."""
        if not isinstance(item, Observation):
            texts = [item.reason] if isinstance(item, Gap) else []
            texts += [item.uri, item.place, item.timezone] if isinstance(item, StreamStart) else []
            return ROW_BYTES + sum(map(_text_bytes, texts)), 0
        num_bytes = ROW_BYTES + 6 * len(item.labels) + 30 * len(item.boxes)
        num_bytes += sum(len(word.text.encode()) + 40 for word in item.words)
        num_bytes += _text_bytes(item.text) + (600 if item.text else 0)
        num_bytes += 0 if item.embedding is None else len(item.embedding) + 40
        if item.thumbnail is None or len(item.thumbnail) > self._max_picture_bytes:
            return num_bytes, 0
        blocks = -(-len(item.thumbnail) // _BLOCK_BYTES) + 1  # and its folder's
        return num_bytes, blocks * _BLOCK_BYTES


def _row_bytes(db: sqlite3.Connection, table: str) -> int:
    """Bytes of the values in a table, numbers counted by their digits."""
    columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    lengths = " + ".join(f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns)
    return int(db.execute(f"SELECT coalesce(sum({lengths}), 0) FROM {table}").fetchone()[0])


def _names(item: Item) -> Iterator[str]:
    if isinstance(item, Observation):
        yield from (label.name for label in item.labels)
        yield from (box.name for box in item.boxes)


def _once(item: Item) -> dict[Hashable, int]:
    """What is stored once however many items have it, with its bytes: names of stream and encoder, visits."""
    once: dict[Hashable, int] = {item.stream_id: _text_bytes(item.stream_id)}
    if isinstance(item, Observation):
        once[item.encoder] = _text_bytes(item.encoder)
        for box in item.boxes:
            once[item.stream_id, box.track_id] = _VISIT_BYTES + _text_bytes(box.name)
    return once


def _text_bytes(text: str) -> int:
    return INDEXED_BYTES * len(text.encode())
