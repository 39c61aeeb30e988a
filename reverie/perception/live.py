"""A user's own pictures and sound as a source: pushed from another thread, or any iterable.

`PushSource` is live: `push` never waits, and what cannot be perceived in time is dropped and recorded.
`IterableSource` takes every item, as fast as it is pulled, and says clearly what is wrong with one.
`LiveIterableSource` reads an iterable that waits for its items, in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from reverie.errors import SourceError
from reverie.perception.intake import Intake
from reverie.perception.items import check_item, copied, mono
from reverie.perception.mailbox import MailboxSource
from reverie.perception.source_config import SourceConfig
from reverie.telemetry import Counters
from reverie.types import NS_PER_S, AudioChunk, EndOfStream, Frame, Item, StreamStart, Watermark, ns

_NEVER = 2**63 - 1
_MAX_PEEKED = 256
_MAX_BATCH_PICTURES = 32
_TRACKS = ("video", "audio")


class PushSource(MailboxSource):
    """A live source that others push to, from any thread; `end` closes the stream.

    `wall_anchor_ns` is the Unix time of the items' media time zero. A track that was announced and stays
    silent holds the other one back by `live_skew_s`.
    """

    def __init__(
        self,
        stream_id: str,
        config: SourceConfig | None = None,
        *,
        has_video: bool = True,
        has_audio: bool = True,
        wall_anchor_ns: int | None = None,
    ) -> None:
        super().__init__(f"push:{stream_id}", stream_id, config or SourceConfig())
        self._tracks = tuple(name for name, there in zip(_TRACKS, (has_video, has_audio), strict=True) if there)
        self._wall_anchor_ns = wall_anchor_ns
        self._order = threading.Lock()
        self._last_ns = dict.fromkeys(_TRACKS, -1)
        self._over = False
        self._expect(self._tracks)

    def open(self) -> StreamStart:
        return StreamStart(
            stream_id=self.stream_id,
            uri=self.uri,
            live=True,
            has_video="video" in self._tracks,
            has_audio="audio" in self._tracks,
            wall_anchor_ns=self._wall_anchor_ns,
        )

    def push(self, item: Frame | AudioChunk) -> None:
        """Hand over a frame or chunk; its array is copied. SourceError if it is not one; late frames are dropped."""
        check_item(item, self.uri)
        with self._order:
            if self._over:
                raise SourceError(self.uri, "the stream has ended; open another one")
            track = "video" if isinstance(item, Frame) else "audio"
            if item.pts_ns <= self._last_ns[track]:
                if track == "video":
                    self._mailbox.refuse(item.pts_ns)
                return
            self._last_ns[track] = item.pts_ns
            if isinstance(item, Frame):
                self._mailbox.picture(item.pts_ns, self._cell_ns(), copied(item.image))
            else:
                self._mailbox.sound(item.pts_ns, mono(item), item.sample_rate_hz)

    def end(self) -> None:
        """No more is coming. May be called twice."""
        with self._order:
            self._over = True
        self._mailbox.end()

    def close(self) -> None:
        self.end()

    def _cell_ns(self) -> int:
        return round(NS_PER_S / self._config.sampling.fps)


class LiveIterableSource(PushSource):
    """An iterable that waits for its items, a camera's generator for one: read in a thread of its own.

    What cannot be perceived in time is dropped and recorded, as for everything live.
    """

    def __init__(
        self,
        items: Iterable[Frame | AudioChunk],
        config: SourceConfig | None = None,
        *,
        stream_id: str,
        wall_anchor_ns: int | None = None,
    ) -> None:
        super().__init__(stream_id, config, wall_anchor_ns=wall_anchor_ns)
        self._items = items
        self._reader = threading.Thread(target=self._read, name=f"reverie-{stream_id}", daemon=True)

    def open(self) -> StreamStart:
        self._reader.start()
        return super().open()

    def _read(self) -> None:
        try:
            for item in self._items:
                if self._over:
                    return
                self.push(item)
        except Exception as error:  # the user's own code: whatever it raises ends the stream with that cause
            self._mailbox.end(error.cause if isinstance(error, SourceError) else f"the iterable raised {error!r}")
            return
        self.end()


class IterableSource:
    """Any iterable of `Frame` and `AudioChunk`, each kind in order, the two no further apart than `live_skew_s`.

    Read in the thread that pulls, as fast as it is pulled; `LiveIterableSource` is for one that waits for
    its items. Only what can be iterated again (a list, not a generator) can be restored from a snapshot in
    another process.
    """

    def __init__(
        self,
        items: Iterable[Frame | AudioChunk],
        config: SourceConfig | None = None,
        *,
        stream_id: str = "",
        wall_anchor_ns: int | None = None,
    ) -> None:
        self.uri, self.stream_id = "iterable", stream_id
        self.counters = Counters()
        self._items, self._config = items, config or SourceConfig()
        self._wall_anchor_ns = wall_anchor_ns
        self._start: StreamStart | None = None
        self._num_read = 0

    def open(self) -> StreamStart:
        """Look at the first items, to see which kinds there are; once items were taken, begin again.

        Raises:
            SourceError: nothing in it can be watched, or it is a generator of which items were taken.
        """
        if self._start is None or self._num_read:
            self._start = self._begin()
        return self._start

    def _begin(self) -> StreamStart:
        self._iterator = self._from_the_start()
        self._num_read, self._last_ns = 0, dict.fromkeys(_TRACKS, -1)
        self._edge_ns, self._exhausted, self._ended = 0, False, False
        peeked = self._peek()
        kinds = {type(item) for item in peeked}
        self._iterator = _chained(peeked, self._iterator)
        self._items_id = peeked[0].stream_id if peeked else ""
        self.stream_id = self.stream_id or self._items_id
        if not self.stream_id:
            raise SourceError(self.uri, "it is empty or its items have no stream_id; give it a stream_id")
        self._intake = Intake(self.stream_id, self._config, self.counters, _TRACKS, ns(self._config.live_skew_s))
        return StreamStart(
            stream_id=self.stream_id,
            uri=self.uri,
            live=False,
            has_video=Frame in kinds,
            has_audio=AudioChunk in kinds,
            wall_anchor_ns=self._wall_anchor_ns,
        )

    def pull(self) -> list[Item]:
        """The items of the next `batch_s`."""
        if self._ended:
            return []
        edge_ns = self._edge_ns + ns(min(self._config.batch_s, _MAX_BATCH_PICTURES / self._config.sampling.fps))
        while not self._exhausted and self._intake.safe_ns < edge_ns:
            self._advance()
        last_edge_ns, self._edge_ns = self._edge_ns, edge_ns
        if self._exhausted and not self._intake.pending_from(edge_ns):
            self._ended = True
            end_ns = max(self._intake.end_ns, last_edge_ns)
            return [*self._intake.take(_NEVER), EndOfStream(stream_id=self.stream_id, pts_ns=end_ns)]
        return [*self._intake.take(edge_ns), Watermark(stream_id=self.stream_id, pts_ns=edge_ns)]

    def snapshot(self) -> Any:
        return {
            "intake": self._intake.snapshot(),
            "num_read": self._num_read,
            "last_ns": dict(self._last_ns),
            "edge_ns": self._edge_ns,
            "exhausted": self._exhausted,
            "ended": self._ended,
        }

    def restore(self, state: Any) -> None:
        """Go on from a snapshot, just after `open`; SourceError if the items up to there are gone."""
        self._num_read, self._last_ns = state["num_read"], dict(state["last_ns"])
        if self._num_read:
            self._iterator = self._from_the_start()
            for _ in range(self._num_read):
                next(self._iterator, None)
        self._edge_ns, self._exhausted, self._ended = state["edge_ns"], state["exhausted"], state["ended"]
        self._intake.restore(state["intake"])

    def close(self) -> None:
        """The iterable belongs to the caller."""

    def _from_the_start(self) -> Iterator[Frame | AudioChunk]:
        iterator = iter(self._items)
        if self._num_read and iterator is self._items:
            raise SourceError(self.uri, "a generator cannot be read again from the start; give a list or a file")
        return iterator

    def _peek(self) -> list[Frame | AudioChunk]:
        peeked: list[Frame | AudioChunk] = []
        for item in self._iterator:
            check_item(item, self.uri)
            peeked.append(item)
            both = {type(seen) for seen in peeked} == {Frame, AudioChunk}
            if both or item.pts_ns - peeked[0].pts_ns > ns(self._config.live_skew_s) or len(peeked) == _MAX_PEEKED:
                break
        return peeked

    def _advance(self) -> None:
        item = next(self._iterator, None)
        if item is None:
            self._exhausted = True
            self._intake.finish()
            return
        self._num_read += 1
        check_item(item, self.uri)
        track = "video" if isinstance(item, Frame) else "audio"
        where = f"item {self._num_read - 1} ({track} at {item.pts_ns / 1e9:.3f} s)"
        if item.stream_id != self._items_id:
            raise SourceError(self.uri, f"{where} is of stream {item.stream_id!r}; one source is one stream")
        if item.pts_ns <= self._last_ns[track]:
            raise SourceError(self.uri, f"{where} does not come after the {track} before it; sort the items by pts_ns")
        self._last_ns[track] = item.pts_ns
        if isinstance(item, Frame):
            cell_ns = round(NS_PER_S / self._config.sampling.fps)
            self._intake.picture(item.pts_ns, cell_ns, copied(item.image))
        else:
            self._intake.sound(item.pts_ns, mono(item), item.sample_rate_hz)
        if self._intake.num_late:
            apart_s = self._config.live_skew_s
            raise SourceError(
                self.uri, f"{where} comes more than {apart_s:g} s after what belongs beside it; interleave"
            )


def _chained(first: list[Frame | AudioChunk], rest: Iterator[Frame | AudioChunk]) -> Iterator[Frame | AudioChunk]:
    yield from first
    yield from rest
