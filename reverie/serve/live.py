"""What stands behind the live page: one memory, what is being watched into it now, and answers from it.

A memory has one writer, so there is one live session for all pages of a server: they see the same
picture, transcript and events, and each keeps its own chat. Whoever starts while something is being
watched is told so. A camera ends when its page says so or falls silent for `SILENT_S` (a closed tab).

Methods may be called from any thread; asking never waits for the watching.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import reverie
from reverie.clock import Clock, SystemClock
from reverie.errors import ReverieError, UsageError
from reverie.pipeline.progress import Progress
from reverie.pipeline.session import Runner, Session, Watch
from reverie.serve.drawing import draw_boxes
from reverie.serve.feed import Feed
from reverie.serve.witness import Line, Witness
from reverie.types import Answer, Box, Event

log = logging.getLogger(__name__)

T = TypeVar("T")
SILENT_S = 10.0
CLOSING_S = 10.0
EVENTS_EVERY_NS = 1_000_000_000
MAX_EVENTS_SHOWN = 60


class Phase(StrEnum):
    """How far the latest watch has come."""

    IDLE = "idle"
    STARTING = "starting"
    WATCHING = "watching"
    FINISHING = "finishing"
    DONE = "done"
    FAILED = "failed"


class Busy(UsageError):
    """Something is being watched into this memory already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a page shows, at one moment. `picture` is a JPEG with boxes, `picture_key` names its content."""

    phase: Phase = Phase.IDLE
    stream_id: str = ""
    live: bool = False
    problem: str = ""
    progress: Progress | None = None
    picture: bytes | None = None
    picture_key: tuple[int, int] = (-1, -1)
    seen_ns: int | None = None
    boxes: tuple[Box, ...] = ()
    lines: tuple[Line, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(slots=True)
class _Current:
    """The latest watch. `watch` is None while it is being opened."""

    witness: Witness
    stream_id: str = ""
    feed: Feed | None = None
    watch: Watch | None = None
    finishing: bool = False
    heard_from_ns: int = 0
    upload: Path | None = None
    events: tuple[Event, ...] = ()
    events_at_ns: int = 0
    drawn: tuple[tuple[int, int], bytes] | None = None
    drawing: threading.Lock = field(default_factory=threading.Lock)


class LiveSession:
    """Starts, feeds and ends watches into one memory, and answers from it meanwhile."""

    def __init__(self, memory: Path, *, profile: str, runner: Runner, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._session = Session(memory, profile=profile, runner=runner, clock=self._clock)
        self.directory = self._session.directory
        self._lock, self._first_reading = threading.Lock(), threading.Lock()
        self._current: _Current | None = None
        self._problem = ""
        self._opened = False
        # Ray's own processes die with the thread that started them (PR_SET_PDEATHSIG), and a web server's threads
        # come and go: everything is started from this one, which stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="reverie-starter")
        self._closing = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="reverie-live", daemon=True)
        self._sweeper.start()

    @property
    def pictures_per_s(self) -> float:
        """How often a page should send a picture: twice the sampling rate, so that no cell of its grid stays empty."""
        return 2 * self._session.profile.source.sampling.fps

    # --- watching ---

    def start_camera(self, now_ms: float, *, has_video: bool = True, has_audio: bool = True) -> str:
        """Open a live stream for one page; `now_ms` on its clock is media time zero. Returns the stream's name.

        Raises:
            Busy: something is being watched already.
            MemoryStoreError: the memory cannot be written.
        """
        wall_ns = self._clock.wall_ns()
        name = f"camera-{datetime.fromtimestamp(wall_ns // 1_000_000_000).astimezone():%Y-%m-%dT%H-%M-%S}"
        source = reverie.Push(
            name,
            has_video=has_video,
            has_audio=has_audio,
            wall_anchor_ns=wall_ns,
        )
        return self._start(source, feed=Feed(name, now_ms))

    def start_file(self, path: Path, *, delete_after: bool = False) -> str:
        """Watch a file as fast as it goes; an upload is deleted afterwards. Returns the stream's name.

        Raises:
            Busy: something is being watched already.
            SourceError: the file cannot be watched; nothing was written.
        """
        try:
            return self._start(str(path), upload=path if delete_after else None)
        except ReverieError:
            if delete_after:
                path.unlink(missing_ok=True)
            raise

    def picture(self, stream_id: str, at_ms: float, jpeg: bytes) -> None:
        """A picture of the page's camera. SourceError if it is none, UsageError if the stream has ended."""
        current, feed, watch = self._feeding(stream_id)
        frame = feed.picture(at_ms, jpeg)
        current.witness.keep_picture(frame.pts_ns, jpeg)
        watch.push([frame])

    def sound(self, stream_id: str, at_ms: float, rate_hz: int, pcm: bytes) -> None:
        """Sound of the page's microphone, int16. SourceError if it is none, UsageError if the stream has ended."""
        _, feed, watch = self._feeding(stream_id)
        watch.push([feed.sound(at_ms, rate_hz, pcm)])

    def finish(self, stream_id: str = "") -> None:
        """End what is being watched: a camera where it stands, a file too (it can be taken up again later)."""
        with self._lock:
            current = self._current
            if current is None or current.watch is None or (stream_id and current.stream_id != stream_id):
                return
            current.finishing = True
            if current.feed is not None:
                current.watch.finish()
            else:
                current.watch.stop()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the end of what is being watched.

        Raises:
            TimeoutError: it did not come in time.
            ReverieError: what ended it.
        """
        with self._lock:
            watch = self._current.watch if self._current is not None else None
        if watch is not None:
            watch.wait(timeout_s)

    def _start(self, source: object, feed: Feed | None = None, upload: Path | None = None) -> str:
        with self._lock:
            if self._current is not None and (self._current.watch is None or self._current.watch.running):
                what = self._current.stream_id or "something"
                raise Busy(f"{what} is being watched already, here or in another page: finish it first")
            self._forget_upload()
            current = self._current = _Current(Witness(live=feed is not None), feed=feed, upload=upload)
            self._problem = ""
        try:
            watch = self._starter.submit(self._session.watching, source, tap=current.witness.perceive).result()
        except BaseException as error:
            with self._lock:
                self._current = None
                self._problem = str(error) if isinstance(error, ReverieError) else ""
            raise
        with self._lock:
            current.heard_from_ns = self._clock.monotonic_ns()
            current.watch, current.stream_id = watch, watch.stream_ids[0]
        return current.stream_id

    def _feeding(self, stream_id: str) -> tuple[_Current, Feed, Watch]:
        with self._lock:
            current = self._current
            if current is None or current.stream_id != stream_id or current.feed is None or current.watch is None:
                raise UsageError(f"{stream_id} has ended: start the camera again")
            if current.finishing or not current.watch.running:
                raise UsageError(f"{stream_id} has ended: start the camera again")
            current.heard_from_ns = self._clock.monotonic_ns()
            return current, current.feed, current.watch

    def _sweep(self) -> None:
        """End cameras whose page is gone, and delete uploads that were watched."""
        while not self._closing.wait(1.0):
            self.end_silent()
            with self._lock:
                self._forget_upload()

    def end_silent(self) -> bool:
        """End the camera if nothing came from its page for `SILENT_S`. Called every second."""
        with self._lock:
            current = self._current
            silent = (
                current is not None
                and current.feed is not None
                and current.watch is not None
                and current.watch.running
                and not current.finishing
                and self._clock.monotonic_ns() - current.heard_from_ns > SILENT_S * 1e9
            )
        if silent and current is not None:
            log.info("%s fell silent; ending it", current.stream_id)
            self.finish(current.stream_id)
        return silent

    def _forget_upload(self) -> None:
        current = self._current
        if current is not None and current.upload is not None and current.watch and not current.watch.running:
            current.upload.unlink(missing_ok=True)
            current.upload = None

    # --- showing and answering ---

    def view(self) -> View:
        """What a page shows now. Cheap: the picture is drawn once, events are read at most once a second."""
        with self._lock:
            current, problem = self._current, self._problem
        if current is None:
            return View(phase=Phase.FAILED if problem else Phase.IDLE, problem=problem)
        phase, problem = self._phase(current)
        if current.watch is None:
            return View(phase=phase, live=current.feed is not None)
        with current.drawing:
            self._read_events(current)
            seen = current.witness.newest()
            if seen is not None and (current.drawn is None or current.drawn[0] != seen.key):
                current.drawn = (seen.key, draw_boxes(seen.jpeg, seen.boxes))
        return View(
            phase=phase,
            stream_id=current.stream_id,
            live=current.feed is not None,
            problem=problem,
            progress=current.watch.progress,
            picture=current.drawn[1] if current.drawn else None,
            picture_key=current.drawn[0] if current.drawn else (-1, -1),
            seen_ns=seen.pts_ns if seen else None,
            boxes=seen.boxes if seen else (),
            lines=current.witness.lines(),
            events=current.events,
        )

    def ask(self, question: str) -> tuple[Answer, float]:
        """Answer from all that was remembered so far; the answer and how many ms it took.

        Raises:
            UsageError: the question is empty or too long.
            MemoryStoreError: nothing has been remembered yet.
        """
        return self._reading(lambda: self._session.timed_ask(question))

    def key_frame(self, thumbnail: str) -> bytes:
        """The JPEG behind the `thumbnail` of an event or a citation.

        Raises:
            FileNotFoundError: it is not there (any more).
            MemoryStoreError: nothing has been remembered yet.
        """
        return self._reading(lambda: self._session.memory.picture(thumbnail))

    def close(self) -> None:
        """End a camera and remember what came of it, stop a file where it is. Idempotent."""
        self._closing.set()
        self._sweeper.join()
        self.finish()
        with suppress(Exception):  # the page has shown it
            self.wait(CLOSING_S)
        self._session.close()
        self._starter.shutdown()
        with self._lock:
            self._forget_upload()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _phase(self, current: _Current) -> tuple[Phase, str]:
        if current.watch is None:
            return Phase.STARTING, ""
        if current.watch.running:
            if current.finishing:
                return Phase.FINISHING, ""
            return (Phase.WATCHING if current.watch.progress.ready_ns else Phase.STARTING), ""
        try:
            current.watch.wait()
        except ReverieError as error:
            return Phase.FAILED, str(error)
        except Exception as error:  # a fault of ours: the page says so, the log has all of it
            log.exception("the watch of %s failed", current.stream_id)
            return Phase.FAILED, f"the watch ended with a fault: {error!r}; see the log"
        return Phase.DONE, ""

    def _read_events(self, current: _Current) -> None:
        now_ns = self._clock.monotonic_ns()
        if current.events_at_ns and now_ns - current.events_at_ns < EVENTS_EVERY_NS:
            return
        current.events_at_ns = now_ns
        try:
            events = self._reading(lambda: self._session.memory.timeline(stream_ids=(current.stream_id,)))
        except ReverieError:
            return  # nothing of the stream is in memory yet
        current.events = tuple(events[-MAX_EVENTS_SHOWN:])

    def _reading(self, read: Callable[[], T]) -> T:
        """The first reading opens memory and loads encoders, once; the others go on side by side."""
        if not self._opened:
            with self._first_reading:
                result = read()
                self._opened = True
                return result
        return read()
