"""Key frames against the rows that name them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from reverie.errors import MemoryDamaged
from reverie.memory.checks import Problem
from reverie.memory.page_check import until_damage
from reverie.memory.passages import relative_path
from reverie.memory.pictures import PictureFolder

MISSING, CORRUPT = "missing pictures", "corrupt pictures"
_NAME = re.compile(r"[0-9a-f]{32}")


def picture_tables(db: sqlite3.Connection) -> list[str]:
    """Tables with a column `picture`."""
    rows = db.execute(
        "SELECT s.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c ON c.name = 'picture' "
        "WHERE s.type = 'table' ORDER BY s.name"
    )
    return [name for (name,) in rows]


def named_pictures(db: sqlite3.Connection) -> set[str]:
    """Every name that a row holds."""
    query = " UNION ".join(f"SELECT picture FROM {table} WHERE picture IS NOT NULL" for table in picture_tables(db))
    return {name for (name,) in db.execute(query)}


def readable_pictures(db: sqlite3.Connection) -> set[str]:
    """The names that can still be read of a damaged database: in an index, in rows before the damage, and after it."""
    found: set[str] = set()
    for table in picture_tables(db):
        for way, order in (("", ""), ("NOT INDEXED", ""), ("NOT INDEXED", "ORDER BY rowid DESC")):
            query = f"SELECT CAST(picture AS BLOB) FROM {table} {way} WHERE picture IS NOT NULL {order}"
            found.update(name.decode("ascii", "replace") for (name,) in until_damage(db, query))
    return {name for name in found if _NAME.fullmatch(name)}


def wrong_pictures(
    db: sqlite3.Connection,
    pictures: PictureFolder,
    named: set[str],
    names_in: Callable[[sqlite3.Connection], set[str]] = named_pictures,
) -> dict[str, list[Problem]]:
    """Files that are not there, and files that do not hold what they are named by; `names_in` what rows name now."""
    missing: list[str] = []
    corrupt: list[Problem] = []
    for name in sorted(named):
        try:
            if pictures.name_of(pictures.read(name)) != name:
                corrupt.append((_file(name), "does not hold the picture that was written"))
        except FileNotFoundError:
            missing.append(name)
        except MemoryDamaged:
            corrupt.append((_file(name), "is not what was encrypted under that name"))
        except OSError as error:
            corrupt.append((_file(name), f"cannot be read: {error.strerror}"))
    still_named = names_in(db) if missing else set()  # what was forgotten meanwhile is gone with its rows
    gone = [(_file(name), "is not there") for name in missing if name in still_named]
    return {MISSING: gone, CORRUPT: corrupt}


def unnamed_files(pictures: PictureFolder, named: set[str]) -> list[str]:
    """Files that no row names, and files that were never finished, by their path from the memory's directory."""
    return sorted(
        path.relative_to(pictures.root.parent).as_posix()
        for path in pictures.root.glob("*/*")
        if path.suffix != ".jpg" or path.stem not in named
    )


def drop_missing(db: sqlite3.Connection, pictures: PictureFolder) -> None:
    """Let no row name a file that is not there, in the transaction that is open."""
    gone = [(name,) for name in named_pictures(db) if not pictures.path_of(name).exists()]
    for table in picture_tables(db):
        db.executemany(f"UPDATE {table} SET picture = NULL WHERE picture = ?", gone)


def _file(name: str) -> str:
    return str(relative_path(name))
