"""What a memory's directory holds, row by row: two memories are equal when these are."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

TABLES = (
    "stream", "observation", "encoder", "vector", "sentence", "label", "label_vector", "event", "track", "gap", "faded",
    "revision", "pin", "centre", "episode", "episode_vector", "familiarity", "forgotten",
    "word_filter",
    "fact", "entity", "alias", "template", "consent", "note", "note_link",
)  # fmt: skip
WALL_TIMES = ("started_ns", "learned_ns", "taught_ns", "made_ns", "allowed_ns")
SALTED = ("bits",)


def rows_of(directory: Path) -> dict[str, list[Any]]:
    """Every row of every table; only wall times of writing, and what each memory salts, are left out."""
    connection = sqlite3.connect(directory / "memory.sqlite")
    try:
        connection.row_factory = sqlite3.Row
        return {
            table: [
                {name: value for name, value in dict(row).items() if name not in WALL_TIMES + SALTED}
                for row in connection.execute(f"SELECT * FROM {table}")
            ]
            for table in TABLES
        }
    finally:
        connection.close()


def assert_whole(directory: Path) -> None:
    """The database and its text indexes are consistent, every vector has its row, every picture its name."""
    connection = sqlite3.connect(directory / "memory.sqlite")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("observation_text", "label_text"):
            # With content outside of the index, FTS5 compares the two only when asked to (rank = 1).
            texts = "SELECT count(*) FROM observation WHERE text != '' AND modality IN (2, 3, 4)"
            names = "SELECT count(*) FROM label"
            (indexed,) = connection.execute(f"SELECT count(*) FROM {table}_docsize").fetchone()
            (stored,) = connection.execute(texts if table == "observation_text" else names).fetchone()
            assert indexed == stored
        named = {
            name
            for (name,) in connection.execute(
                "SELECT picture FROM observation WHERE picture NOT NULL UNION "
                "SELECT picture FROM track WHERE picture NOT NULL"
            )
        }
        shown = {name for (name,) in connection.execute("SELECT picture FROM event WHERE picture NOT NULL")}
    finally:
        connection.close()
    assert shown <= named
    assert {path.stem for path in (directory / "pictures").glob("*/*.jpg")} == named


def bytes_in(directory: Path, needle: bytes) -> list[str]:
    """Names of the files that hold the bytes."""
    return [path.name for path in directory.rglob("*") if path.is_file() and needle in path.read_bytes()]
