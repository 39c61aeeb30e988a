"""What the parts of `Memory` share: its connections, its options, its locks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

from reverie.clock import Clock
from reverie.memory.browse import Browse
from reverie.memory.completion import Completion
from reverie.memory.config import MemoryConfig
from reverie.memory.consolidation import Consolidation
from reverie.memory.ingest import Ingest
from reverie.memory.room import Room
from reverie.memory.search import Search
from reverie.memory.store import Store
from reverie.types import TextEncoder


class OpenMemory(ABC):
    """The state of one open memory; `Memory` makes it."""

    _store: Store
    _config: MemoryConfig
    _text_encoder: TextEncoder
    _clock: Clock
    _key: bytes | None
    _search: Search
    _browse: Browse
    _completion: Completion
    _ingest: Ingest | None
    _room: Room | None
    _consolidation: Consolidation | None

    @property
    def root(self) -> Path:
        """The directory, which the `thumbnail` of hits, events and tracks is relative to."""
        return self._store.root

    @abstractmethod
    def _reading(self) -> AbstractContextManager[None]:
        """Hold the reader connection."""

    @abstractmethod
    def _writing(self, consolidating: bool = False, needed_bytes: int = 0) -> AbstractContextManager[Ingest]:
        """Hold the writer; refused when the memory is closed or open for reading.

        In a byte budget room is made for what is needed, and the log stays in its share afterwards.
        """

    @abstractmethod
    def _errors(self) -> AbstractContextManager[None]:
        """What goes wrong inside is told as an error of reverie's."""

    @abstractmethod
    def _paused(self) -> AbstractContextManager[bool]:
        """No write of this process goes on meanwhile."""
