"""The errors that reverie raises.

    ReverieError
    ├── UsageError            the caller asked for something that cannot be (exit code 2)
    │   ├── ConfigError         a profile, option or config file that is unknown or wrong
    │   └── SourceError         a file or URL that cannot be watched
    ├── StageError            a stage failed on an item (exit code 1)
    ├── ModelError            weights missing, of the wrong digest, or of a refused format
    ├── MemoryStoreError      the memory on disk
    │   ├── MemoryLocked        another process writes it
    │   ├── MemoryDamaged       it cannot be read
    │   ├── MemoryTooNew        written by a newer reverie
    │   ├── MemoryKeyError      encrypted and opened without its key, or the other way round
    │   └── MemoryFull          no space left on the disk
    ├── GenerationError       a video that cannot be gone on with
    └── NotPerceivable        a profile cannot perceive what was asked

Every message says what to do next. `retryable` tells a caller whether the same call may succeed later.
"""

from __future__ import annotations


class ReverieError(Exception):
    """Base of all errors that reverie raises on purpose."""

    exit_code = 1
    retryable = False


class UsageError(ReverieError):
    """The call itself is wrong; another call is needed."""

    exit_code = 2


def half_a_character(error: UnicodeEncodeError) -> UsageError:
    """What is raised for a text that is no Unicode: it cannot be looked for, nor kept."""
    return UsageError(f"the text {error.object[:80]!a} holds half of a character at {error.start}: leave that out")


class ConfigError(UsageError):
    """An unknown profile, a misspelt option or a config file that does not validate."""


class SourceError(UsageError):
    """A file or URL that cannot be watched. Names it and the cause."""

    def __init__(self, uri: str, cause: str) -> None:
        super().__init__(f"cannot watch {uri}: {cause}")
        self.uri = uri
        self.cause = cause

    def __reduce__(self) -> tuple[type[SourceError], tuple[str, str]]:
        return type(self), (self.uri, self.cause)


class StageError(ReverieError):
    """A stage raised while it worked on a stream."""

    def __init__(self, stage: str, cause: str, stream_id: str = "", pts_ns: int | None = None) -> None:
        where = f" on stream {stream_id}" if stream_id else ""
        when = f" at {pts_ns / 1e9:.3f} s" if pts_ns is not None else ""
        super().__init__(f"stage {stage} failed{where}{when}: {cause}")
        self.stage, self.cause, self.stream_id, self.pts_ns = stage, cause, stream_id, pts_ns

    def __reduce__(self) -> tuple[type[StageError], tuple[str, str, str, int | None]]:
        return type(self), (self.stage, self.cause, self.stream_id, self.pts_ns)


class ModelError(ReverieError):
    """Weights that are missing, do not have the pinned digest, or come in a format that can run code."""


class MemoryStoreError(ReverieError):
    """The memory on disk cannot do what was asked; what it holds is untouched."""


class MemoryLocked(MemoryStoreError):
    """Another process writes this memory."""

    retryable = True


class MemoryDamaged(MemoryStoreError):
    """The memory's database cannot be read."""


class MemoryTooNew(MemoryStoreError):
    """The memory was written by a newer reverie than this one."""


class MemoryKeyError(MemoryStoreError):
    """The key is missing, wrong, or given for a memory that is not encrypted."""


class MemoryFull(MemoryStoreError):
    """The disk is full: reading still works, writing waits for space."""

    retryable = True


class GenerationError(ReverieError):
    """A video cannot be gone on with; what was made of it is kept."""

    retryable = True


class NotPerceivable(UsageError):
    """The question needs a sense that the profile does not have."""
