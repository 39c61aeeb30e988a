"""Key frames as JPEG files beside the database, named by the SHA-256 of their bytes.

A file is complete and synced before the row that names it is committed, so a row never names a file
that is not there; a file that no row names is what a crash left behind, and the next writer removes
it. Equal pictures share one file. In an encrypted memory a file is sealed, and named by a keyed digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from reverie.memory.encryption import Cipher

FOLDER = "pictures"
_SUFFIX = ".jpg"


def is_jpeg(data: bytes) -> bool:
    """Whether it begins and ends as a JPEG does."""
    return data[:2] == b"\xff\xd8" and data.rstrip(b"\0")[-2:] == b"\xff\xd9"


class PictureFolder:
    """Files named `ab/abcdef….jpg`: two hexadecimal digits spread them over 256 folders."""

    def __init__(self, root: Path, cipher: Cipher | None = None) -> None:
        self.root, self._cipher = root / FOLDER, cipher
        self._settled: set[Path] = set()  # folders whose own entry this process has synced
        self._loose: set[Path] = set()  # folders that files went from, not synced yet
        self._file_bytes: int | None = None
        self._folder_bytes: dict[Path, int] | None = None

    def allocated_bytes(self) -> int:
        """What files and folders take on the disk. Counted once, then kept up to date: one writer changes it."""
        if self._file_bytes is None:
            self._file_bytes = sum(bytes_on_disk(path) for path in self.root.glob("*/*"))
        if self._folder_bytes is None:
            self._folder_bytes = {path: bytes_on_disk(path) for path in (self.root, *self.root.glob("*"))}
        return self._file_bytes + sum(self._folder_bytes.values())

    def _measure(self, folder: Path) -> None:
        """A folder has changed, or has come or gone with its entry in the folder above."""
        if self._folder_bytes is not None:
            self._folder_bytes |= {path: bytes_on_disk(path) for path in (folder, self.root)}

    def name_of(self, data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()[:32] if self._cipher is None else self._cipher.name_of(data)

    def path_of(self, name: str) -> Path:
        return self.root / name[:2] / (name + _SUFFIX)

    def read(self, name: str) -> bytes:
        """The JPEG of a name.

        Raises:
            FileNotFoundError: it is not there.
            MemoryDamaged: it cannot be decrypted.
        """
        data = self.path_of(name).read_bytes()
        return data if self._cipher is None else self._cipher.open(data, name)

    def write(self, pictures: Iterable[tuple[str, bytes]]) -> list[str]:
        """Make files durable; return the names that were not there before.

        Raises:
            OSError: when the disk is full. What this call wrote is removed again.
        """
        written: list[str] = []
        folders: dict[Path, None] = {}
        try:
            for name, data in pictures:
                path = self.path_of(name)
                if path.exists():
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.parent not in self._settled:  # new, or left unsynced by a writer that died
                    folders[self.root] = None
                    folders[self.root.parent] = None
                written.append(name)
                _write_synced(path, data if self._cipher is None else self._cipher.seal(data, name))
                if self._file_bytes is not None:
                    self._file_bytes += bytes_on_disk(path)
                self._measure(path.parent)
                folders[path.parent] = None
            for folder in folders:
                sync(folder)
            self._settled.update(folders)
        except OSError:
            self.remove(written)
            raise
        return written

    def remove(self, names: Iterable[str], lasting: bool = True) -> int:
        """Unlink files; return the bytes that went. Unless `lasting`, a power cut may bring back some, as orphans."""
        num_bytes, emptied = 0, False
        folders: dict[Path, None] = {}
        for name in names:
            path = self.path_of(name)
            for candidate in (path, path.with_suffix(".part")):
                if candidate.exists():
                    num_bytes += candidate.stat().st_size
                    if self._file_bytes is not None and candidate is path:
                        self._file_bytes -= bytes_on_disk(candidate)
                    candidate.unlink()
                    folders[candidate.parent] = None
        for folder in folders:
            try:
                folder.rmdir()  # an empty folder takes a block, too
            except OSError:
                self._loose.add(folder)
            else:
                self._settled.discard(folder)
                emptied = True
            self._measure(folder)
        if emptied:
            self._loose.add(self.root)
        if lasting:
            self.settle()
        return num_bytes

    def settle(self) -> None:
        """No power cut brings back what was removed before."""
        for folder in self._loose:
            if folder.exists():
                sync(folder)
        self._loose.clear()

    def remove_orphans(self, named: set[str]) -> int:
        """Unlink every file that is not in `named`, and files that were never finished; return how many."""
        num_removed = 0
        for path in list(self.root.glob("*/*")):
            if path.suffix != _SUFFIX or path.stem not in named:
                path.unlink()
                self._file_bytes = self._folder_bytes = None
                num_removed += 1
        return num_removed

    def names(self) -> set[str]:
        return {path.stem for path in self.root.glob("*/*" + _SUFFIX)}

    def num_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.root.glob("*/*"))


def bytes_on_disk(path: Path) -> int:
    """The larger of a file's size and the blocks it occupies; 0 when it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return max(found.st_size, found.st_blocks * 512)


def _write_synced(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def sync(path: Path) -> None:
    """Make a file's bytes durable, or a folder's entries: what was made, renamed or unlinked in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
