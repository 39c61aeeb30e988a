"""Reading and writing a database's file beside SQLite, without losing the locks that SQLite has on it.

POSIX advisory locks belong to the process: closing any descriptor of a file drops all of them, also those that SQLite
holds through another (https://sqlite.org/howtocorrupt.html, section 2.2). A writer that lost its lock so is overlooked
by the next process that closes the database, which then deletes the log under it. So a descriptor stays open for as
long as this process has the file open otherwise, and is closed when it is the only one left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

opening = threading.Lock()  # held while a file is opened, so that none comes between looking for others and closing
_kept: dict[tuple[int, int, int], int] = {}  # device, inode and how it was opened to our descriptor


def head_of(path: Path, num_bytes: int) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with descriptor(path, os.O_RDONLY) as file:
        return os.pread(file, num_bytes, 0)


@contextmanager
def descriptor(path: Path, flags: int) -> Iterator[int]:
    """One of our own to read or write a file by.

    Raises:
        OSError: it cannot be opened.
    """
    with opening:
        found = os.stat(path)
        key = (found.st_dev, found.st_ino, flags)
        if key not in _kept:
            _kept[key] = os.open(path, flags | os.O_CLOEXEC)
        try:
            yield _kept[key]
        finally:
            _let_go()


def let_go() -> None:
    """After connections were closed: close what was kept open beside them."""
    with opening:
        _let_go()


def _let_go() -> None:
    """Close the kept descriptors of files that this process has not open otherwise."""
    if not _kept:
        return
    ours, others = set(_kept.values()), set()
    for name in os.listdir("/dev/fd"):
        if int(name) not in ours:
            try:
                found = os.fstat(int(name))
            except OSError:  # closed meanwhile, as the one that lists them is
                continue
            others.add((found.st_dev, found.st_ino))
    for key in [key for key in _kept if key[:2] not in others]:
        os.close(_kept.pop(key))
