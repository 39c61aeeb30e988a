"""What SQLite leaves in the unused middle of its pages, made zeros, so that an erasure leaves no byte.

`secure_delete` overwrites a cell where it stands. But when SQLite balances its B-trees it copies cells to other pages
and does not overwrite what stood there before: an old copy may stay between the pointers and the cells of a page until
new cells reach it. SQLite never reads there (https://sqlite.org/fileformat2.html, section 1.6), so it may be zeroed in
the file itself, also while others read, once the log is empty and the writer has let go of the pages it remembers.

Pages of pointer maps and the page with the locks are no B-tree pages; overflow pages begin with a page number, whose
first byte is 0 in files of less than 2^25 pages. Encrypted pages cannot be reached this way; what stands there is
encrypted too.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray

from reverie.memory.descriptors import descriptor

_INTERIOR, _LEAF = (2, 5), (10, 13)
_FILE_HEADER = 100  # bytes of the first page that come before its own header
_LOCKS_AT = 1 << 30  # the page that holds this byte is left alone by SQLite
_MOST_PAGES = 1 << 25
_BLOCK_PAGES = 256


def zero_gaps(path: Path, page_bytes: int) -> int:
    """Zero them in a whole database that is in no log; return in how many pages something stood.

    Raises:
        OSError: the file cannot be read or written.
    """
    zeroed = 0
    with descriptor(path, os.O_RDWR) as file:
        num_pages = os.fstat(file).st_size // page_bytes
        if num_pages >= _MOST_PAGES:
            return 0
        reserved = os.pread(file, 1, 20)[0]
        for first in range(0, num_pages, _BLOCK_PAGES):
            count = min(_BLOCK_PAGES, num_pages - first)
            read = os.pread(file, count * page_bytes, first * page_bytes)
            pages = np.frombuffer(read, np.uint8).reshape(-1, page_bytes)
            begins, ends = _gaps(pages, first, page_bytes - reserved)
            places = np.arange(page_bytes)
            inside = (places >= begins[:, None]) & (places < ends[:, None])
            for page in np.flatnonzero(((pages != 0) & inside).any(axis=1)).tolist():
                begin, end = int(begins[page]), int(ends[page])
                os.pwrite(file, bytes(end - begin), (first + page) * page_bytes + begin)
                zeroed += 1
        if zeroed:
            os.fsync(file)
    return zeroed


def _gaps(
    pages: UInt8[ndarray, "n b"], first: int, usable_bytes: int
) -> tuple[Int64[ndarray, "n"], Int64[ndarray, "n"]]:
    """Where the unused middle of each page begins and ends; pages that are none of a B-tree have an empty one."""
    numbers = np.arange(first + 1, first + 1 + len(pages))
    header = np.where(numbers == 1, _FILE_HEADER, 0)
    rows = np.arange(len(pages))

    def two_bytes(offset: int) -> Int64[ndarray, "n"]:
        high, low = pages[rows, header + offset].astype(np.int64), pages[rows, header + offset + 1]
        return np.asarray(high << 8 | low)

    kind = pages[rows, header]
    begins = header + np.where(np.isin(kind, _INTERIOR), 12, 8) + 2 * two_bytes(3)
    ends = two_bytes(5)
    ends[ends == 0] = 1 << 16
    mapped = usable_bytes // 5  # pages that one pointer map tells of
    locks = _LOCKS_AT // pages.shape[1] + 1
    map_page = (numbers - 2) // (mapped + 1) * (mapped + 1) + 2
    map_page += map_page == locks
    whole = np.isin(kind, _INTERIOR + _LEAF) & (numbers != map_page) & (numbers != locks)
    whole &= (begins <= ends) & (ends <= usable_bytes)
    return np.where(whole, begins, 0), np.where(whole, ends, 0)
