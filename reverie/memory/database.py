"""Connections to a memory's database: SQLite, or SQLCipher where there is a key.

Both speak the same DB-API with the same error codes, but the classes of SQLCipher's module are its own: errors are
caught as `database_errors()`, and a connection counts as a `sqlite3.Connection`.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

from reverie.errors import UsageError
from reverie.memory.descriptors import opening
from reverie.memory.encryption import Cipher

_CIPHER_MODULE = "sqlcipher3.dbapi2"


def database_errors(name: str = "Error") -> tuple[type[sqlite3.Error], ...]:
    """What a connection raises, by its name in the DB-API (PEP 249); SQLCipher's only once it was imported."""
    modules = (sqlite3, sys.modules.get(_CIPHER_MODULE))
    return tuple(getattr(module, name) for module in modules if module is not None)


def open_database(path: Path, read_only: bool, timeout_s: float, cipher: Cipher | None = None) -> sqlite3.Connection:
    """A connection in autocommit mode; also to a memory in a folder that cannot be written."""
    uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "?mode=rwc")
    connection = _connect(uri, timeout_s, cipher)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except database_errors("OperationalError"):
        connection.close()
        log = path.with_name(path.name + "-wal")
        if not read_only or (log.exists() and log.stat().st_size):
            raise
        # A folder that cannot be written has no place for the log's index; with no log, none is needed.
        connection = _connect(uri + "&immutable=1", timeout_s, cipher)
    return connection


def _connect(uri: str, timeout_s: float, cipher: Cipher | None) -> sqlite3.Connection:
    connect = sqlite3.connect if cipher is None else cipher_module().connect
    with opening:
        made = connect(uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    connection = cast(sqlite3.Connection, made)
    if cipher is None:
        return connection
    connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to stderr
    connection.execute(f"PRAGMA key = \"x'{cipher.database_key}'\"")
    return connection


def cipher_module() -> ModuleType:
    """SQLCipher's DB-API module, imported here alone.

    Raises:
        UsageError: the extra is not installed.
    """
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise UsageError("an encrypted memory needs the extra: pip install 'reverie[encryption]'") from error
    return cast(ModuleType, dbapi2)


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads inside see one committed state, whatever another process writes meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")
