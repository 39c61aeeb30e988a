"""Which copies were made from a memory: forgetting cannot reach them, so its receipt names them.

One line of JSON each in `copies.jsonl` beside the database, appended and synced, never written anew: a reader and the
command line make copies too, and only the writer may change the database. In an encrypted memory a line is sealed.
A backup takes the list with it, and the original as one more entry. A line that was cut short by a crash is skipped.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from reverie.errors import MemoryDamaged
from reverie.memory.encryption import Cipher
from reverie.memory.records import CopyRecord

COPIES = "copies.jsonl"


def note_copy(root: Path, kind: str, path: Path | None, made_ns: int, cipher: Cipher | None) -> bool:
    """Remember a copy; one of the same kind at the same place is remembered once. False where nothing can be written.

    `path` is None for an export that was handed to a program. `made_ns` is the wall clock.
    """
    place = "" if path is None else str(path)
    if any((known.kind, known.path) == (kind, place) for known in copies_of(root, cipher)):
        return True
    line = json.dumps({"kind": kind, "path": place, "made_ns": made_ns}).encode()
    if cipher is not None:
        line = base64.b64encode(cipher.seal(line, COPIES))
    try:
        descriptor = os.open(root / COPIES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError:
        return False
    try:
        os.write(descriptor, b"\n" + line + b"\n")  # begins a line of its own, whatever the last one came to
        os.fsync(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def copies_of(root: Path, cipher: Cipher | None) -> tuple[CopyRecord, ...]:
    """Every copy that is known, in the order in which they were made."""
    try:
        lines = (root / COPIES).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    found = []
    for line in filter(None, lines):
        try:
            packed = line if cipher is None else cipher.open(base64.b64decode(line, validate=True), COPIES)
            fields = json.loads(packed)
            kind, path, made_ns = str(fields["kind"]), str(fields["path"]), int(fields["made_ns"])
        except (ValueError, KeyError, TypeError, MemoryDamaged):
            continue
        there = Path(path).exists() if path else None
        found.append(CopyRecord(kind=kind, path=path, made_ns=made_ns, there=there))
    return tuple(found)


def drop_copies(root: Path) -> None:
    """Forget the list itself."""
    (root / COPIES).unlink(missing_ok=True)
