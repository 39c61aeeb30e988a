"""Which streams a user means: by the name of a stream, or by that of the file that was watched.

A file's stream is called after the file and what is in it (`my-ca6747d122`), which nobody types. So the command line
takes `my.mp4`, `my` and the path as well, where just one stream has that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.types import StreamRecord


def named_streams(memory: Memory, names: Sequence[str]) -> tuple[str, ...]:
    """The ids of the streams that are meant, each once, in the order of their names.

    Raises:
        UsageError: a name is that of no stream, or of the files of several.
    """
    streams = memory.streams() if names else []
    return tuple(dict.fromkeys(_meant(memory, streams, name) for name in names))


def _meant(memory: Memory, streams: Sequence[StreamRecord], name: str) -> str:
    ids = [stream.stream_id for stream in streams]
    if name in ids:
        return name
    found = [stream.stream_id for stream in streams if {name, str(Path(name).absolute())} & _file_names(stream.uri)]
    if len(found) > 1:
        raise UsageError(f"{name!r} may be any of {', '.join(map(repr, found))}: name the stream itself")
    if not found:
        memory.require_streams([name])  # raises, and lists those that are there
    return found[0]


def _file_names(uri: str) -> set[str]:
    """What the file or address of a stream may be called."""
    path = Path(urlsplit(uri).path if "://" in uri else uri)
    return {uri, path.name, path.stem} - {""}
