"""What a disk may hold after the power went: every write of a traced child, minus some of what was not synced.

The model is the weakest that POSIX allows. Content of a file is durable once the file was synced, and the names in a
folder once the folder was. Of the rest each block of 4 KiB, each change of a length and each name may be there or not,
in any combination, and a block may be torn into sectors of 512 bytes. Bytes next to a write are not harmed by it
(SQLite's "powersafe overwrite"). Not modelled: disks that say they have synced and have not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.memory.tracing import Call

BLOCK_BYTES, SECTOR_BYTES = 4096, 512
_UNKEPT = "-shm"  # SQLite's index of the log: in shared memory, made anew by whoever opens first
_UNEXPECTED = {"writev", "pwritev", "linkat", "link", "truncate", "fallocate"}


@dataclass(eq=False)
class Node:
    """A file or a folder while it was recorded; `names` is what a folder holds."""

    names: dict[str, Node] | None = None


@dataclass(frozen=True)
class Change:
    """One change of a node that is durable once the node is synced."""

    node: Node
    offset: int = 0
    data: bytes = b""
    length: int | None = None  # of a truncated file
    entered: tuple[tuple[str, Node], ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sync:
    node: Node


@dataclass(frozen=True)
class Acknowledged:
    """The writer said that a write is safe."""


Step = Change | Sync | Acknowledged


@dataclass
class Recording:
    """Hears a child's system calls (`tracing.run`) and keeps what they do to the files below `base`."""

    base: Path
    root: Node = field(default_factory=lambda: Node(names={}))
    steps: list[Step] = field(default_factory=list)

    def hear(self, call: Call) -> None:
        if call.name in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync"):
            path = call.file()
            if path.startswith("pipe:"):
                self.steps.append(Acknowledged())
            elif (node := self._find(path)) is not None:
                self._change_file(call, node)
        elif call.name == "openat":
            self._open(call.path(1), call.arguments[2])
        elif call.name in ("mkdir", "mkdirat"):
            self._make(call.path(call.name == "mkdirat"), Node(names={}))
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self._leave(call.path(call.name == "unlinkat"))
        elif call.name in ("rename", "renameat", "renameat2"):
            at = call.name != "rename"
            self._move(call.path(int(at)), call.path(3 if at else 1))
        assert call.name not in _UNEXPECTED, f"{call.name} is not modelled"

    def _find(self, path: str | Path) -> Node | None:
        try:
            parts = Path(path).relative_to(self.base).parts
        except ValueError:
            return None
        node: Node | None = self.root
        for part in parts:
            node = node.names.get(part) if node is not None and node.names is not None else None
        return node

    def _change_file(self, call: Call, node: Node) -> None:
        if call.name in ("fsync", "fdatasync"):
            self.steps.append(Sync(node))
        elif call.name == "ftruncate":
            self.steps.append(Change(node, length=call.arguments[1]))
        else:
            offset = call.arguments[3] if call.name == "pwrite64" else call.position()
            self.steps.append(Change(node, offset=offset, data=call.data(1, call.arguments[2])))

    def _open(self, path: Path, flags: int) -> None:
        node = self._find(path)
        if node is None and flags & os.O_CREAT:
            self._make(path, Node())
        elif node is not None and flags & os.O_TRUNC:
            self.steps.append(Change(node, length=0))

    def _make(self, path: Path, node: Node) -> None:
        folder = self._find(path.parent)
        if folder is None or folder.names is None or path.name in folder.names or path.name.endswith(_UNKEPT):
            return
        folder.names[path.name] = node
        self.steps.append(Change(folder, entered=((path.name, node),)))

    def _leave(self, path: Path) -> None:
        folder = self._find(path.parent)
        if folder is not None and folder.names is not None and folder.names.pop(path.name, None) is not None:
            self.steps.append(Change(folder, left=(path.name,)))

    def _move(self, old: Path, new: Path) -> None:
        folder = self._find(old.parent)
        if folder is None or folder.names is None or old.name not in folder.names:
            return
        assert old.parent == new.parent, "a move between folders is not modelled"
        node = folder.names[new.name] = folder.names.pop(old.name)
        self.steps.append(Change(folder, entered=((new.name, node),), left=(old.name,)))


def crash_image(
    recording: Recording, steps: Sequence[Step], rng: np.random.Generator, target: Path, share: float | None = None
) -> int:
    """Make what may be left after the last of `steps` in a new folder; return how many writes were acknowledged.

    `share` of what was not synced is there, drawn from none to all if not given.
    """
    contents: dict[Node, bytearray] = {}
    names: dict[Node, dict[str, Node]] = {}
    pending: dict[Node, list[Change]] = {}
    acknowledged = 0
    for step in steps:
        if isinstance(step, Sync):
            for change in pending.pop(step.node, []):
                _apply(change, contents, names, None, rng)
        elif isinstance(step, Change):
            pending.setdefault(step.node, []).append(step)
        else:
            acknowledged += 1
    share = float(rng.choice([0.0, 0.3, 0.7, 1.0])) if share is None else share
    for changes in pending.values():
        for change in changes:
            _apply(change, contents, names, share, rng)
    _write_out(recording.root, target, contents, names)
    return acknowledged


def _apply(
    change: Change,
    contents: dict[Node, bytearray],
    names: dict[Node, dict[str, Node]],
    share: float | None,
    rng: np.random.Generator,
) -> None:
    """All of a change, or with a `share` what of it came to the disk."""
    if change.node.names is not None:
        if share is None or rng.random() < share:
            folder = names.setdefault(change.node, {})
            for name in change.left:
                folder.pop(name, None)
            folder.update(change.entered)
        return
    content = contents.setdefault(change.node, bytearray())
    if change.length is not None:
        if share is None or rng.random() < share:
            del content[change.length :]
            content.extend(bytes(change.length - len(content)))
        return
    if share is None:
        _put(content, change.offset, change.data)
        return
    for start, data in _pieces(change.offset, change.data, BLOCK_BYTES):
        if rng.random() >= share:
            continue
        torn = rng.random() < 0.05
        for own_start, own in _pieces(start, data, SECTOR_BYTES) if torn else [(start, data)]:
            if not torn or rng.random() < 0.5:
                _put(content, own_start, own)


def _pieces(offset: int, data: bytes, size: int) -> list[tuple[int, bytes]]:
    """Cut where the disk does: at multiples of `size`."""
    found, start = [], 0
    while start < len(data):
        end = min(len(data), start + size - (offset + start) % size)
        found.append((offset + start, data[start:end]))
        start = end
    return found


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _write_out(node: Node, path: Path, contents: dict[Node, bytearray], names: dict[Node, dict[str, Node]]) -> None:
    if node.names is None:
        path.write_bytes(contents.get(node, b""))
        return
    path.mkdir()
    for name, child in names.get(node, {}).items():
        _write_out(child, path / name, contents, names)
