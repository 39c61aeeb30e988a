"""Sources: where a stream comes from. `open_source` makes the right one for a path, URL or iterable.

A source is opened once, then pulled until `EndOfStream`:

    source = open_source("holiday.mp4")
    start = source.open()
    while not ended:
        for item in source.pull(): ...      # Frame, AudioChunk, Gap; then Watermark or EndOfStream
    source.close()

What a source MUST do:

- `open` MUST raise `SourceError`, with the cause and what to do, for what cannot be watched, and decode
  no more than naming the streams needs. `stream_id` is known after it.
- `pull` MUST send items in order of pts (a `Gap` stands at the start of its span), each once, after the
  last `Watermark`'s pts; its work is bounded by `batch_s` of media, and a live source MUST NOT wait longer
  than 50 ms. The very last item is `EndOfStream`; from then on it returns nothing.
- `snapshot` between two pulls MUST be picklable, and after `open` and `restore` of it a source of the
  same file MUST send what an uninterrupted one would have sent.
- What is lost MUST be recorded as a `Gap`. `close` MUST be idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from reverie.clock import Clock
from reverie.errors import SourceError
from reverie.perception.addresses import NetworkConfig, scheme
from reverie.perception.chunking import SoundConfig
from reverie.perception.files import FileSource
from reverie.perception.live import IterableSource, LiveIterableSource, PushSource
from reverie.perception.network import UrlSource
from reverie.perception.sampling import SamplingConfig
from reverie.perception.source_config import SourceConfig
from reverie.telemetry import Counters
from reverie.types import AudioChunk, Frame, Item, StreamStart

__all__ = [
    "FileSource",
    "IterableSource",
    "LiveIterableSource",
    "NetworkConfig",
    "PushSource",
    "SamplingConfig",
    "SoundConfig",
    "Source",
    "SourceConfig",
    "UrlSource",
    "open_source",
]


class Source(Protocol):
    """What every source offers; the module's docstring says what it promises."""

    stream_id: str
    counters: Counters

    def open(self) -> StreamStart: ...

    def pull(self) -> Sequence[Item]: ...

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...

    def close(self) -> None: ...


def open_source(
    spec: str | Path | Source | Iterable[Frame | AudioChunk],
    config: SourceConfig | None = None,
    *,
    stream_id: str = "",
    live: bool = False,
    clock: Clock | None = None,
) -> Source:
    """A source for a path, a URL, `camera:N`, an iterable, or a source itself. Not opened yet.

    `live` says of an iterable that it waits for its items.
    """
    if isinstance(spec, Path):
        return FileSource(spec, config, stream_id=stream_id, clock=clock)
    if isinstance(spec, str):
        if not spec:
            raise SourceError("''", "the name is empty; give a path or a URL")
        if scheme(spec) == "file":
            return FileSource(spec.partition("://")[2], config, stream_id=stream_id, clock=clock)
        if scheme(spec) or spec.startswith("camera:"):
            return UrlSource(spec, config, stream_id=stream_id, clock=clock)
        return FileSource(spec, config, stream_id=stream_id, clock=clock)
    if not isinstance(spec, Iterable):
        if hasattr(spec, "pull"):
            return spec
        raise SourceError(repr(type(spec)), "a source is a path, a URL, or an iterable of Frame and AudioChunk")
    if live:
        return LiveIterableSource(spec, config, stream_id=stream_id or "live")
    return IterableSource(spec, config, stream_id=stream_id)
