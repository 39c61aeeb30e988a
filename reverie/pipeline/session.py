"""The Python face of reverie: open a memory, watch, ask, close.

    import reverie

    with reverie.open("my.memory") as session:
        session.watch("my.mp4")
        answer = session.ask("What was said about the train?")
        print(answer.text, answer.citations)

`watching` watches in the background, so that questions can be asked meanwhile, and frames pushed:

    with session.watching("rtsp://camera/stream") as watch:
        print(session.ask("Is anybody there?").text)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from reverie.clock import Clock, SystemClock
from reverie.errors import ConfigError, MemoryStoreError, UsageError
from reverie.memory import ForgetReceipt, Memory
from reverie.memory.store import DATABASE
from reverie.open_span import open_span
from reverie.perception.items import check_item
from reverie.pipeline.backend import Backend
from reverie.pipeline.build import Answerer, build_graph, open_memory, plan_sources
from reverie.pipeline.config import Profile, load_profile
from reverie.pipeline.executor import Executor
from reverie.pipeline.progress import Progress
from reverie.pipeline.stream_names import named_streams
from reverie.telemetry import Span
from reverie.types import Answer, AudioChunk, Frame, Item

if TYPE_CHECKING:
    from reverie.pipeline.distributed.backend import RayReasoner

Runner = Literal["ray", "local"]
SourceSpec = str | Path | Iterable[Frame | AudioChunk] | Any


class Watch:
    """A watch in the background. As a context manager it waits for the end of its streams, unless stopped.

    Leaving the block with an exception stops it at once; a live stream is ended where it stands.
    """

    def __init__(self, executor: Executor, stream_ids: Sequence[str], live: Sequence[str]) -> None:
        self._executor, self._stop = executor, threading.Event()
        self.stream_ids = tuple(stream_ids)
        self._live = tuple(live)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="reverie-watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._executor.run(self._stop)
        except BaseException as error:  # handed to whoever waits
            self._error = error

    @property
    def progress(self) -> Progress:
        return self._executor.progress

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def push(self, items: Sequence[Frame | AudioChunk], stream_id: str | None = None) -> None:
        """Send items to a stream that was opened with `reverie.Push`; live, so the newest wins."""
        if stream_id is None and len(self._live) != 1:
            raise UsageError("name the stream to push to: there is not exactly one live stream")
        stream_id = stream_id or self._live[0]
        for item in items:
            check_item(item, stream_id)
        self._executor.call_source(stream_id, "push", list(items))

    def finish(self) -> None:
        """End the live streams where they stand; what is under way is still remembered."""
        for stream_id in self._live:
            self._executor.call_source(stream_id, "finish")

    def stop(self) -> None:
        """Stop at once. A file can be taken up again later by watching it again."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> Progress:
        """Wait for the end.

        Raises:
            TimeoutError: it did not come in time; the watch goes on.
            ReverieError: what ended the watch.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"still watching {', '.join(self.stream_ids)} after {timeout_s} s")
        if self._error is not None:
            raise self._error
        return self.progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
            self._thread.join()
            return
        self.finish()
        self.wait()


class Session:
    """One memory, what writes it and what answers from it.

    The directory is made by the first watch; asking a memory that is not there is an error.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        profile: str | Path | Profile = "embedded",
        runner: Runner = "ray",
        clock: Clock | None = None,
    ) -> None:
        if runner not in ("ray", "local"):
            raise ConfigError(f"there is no runner {runner!r}; use 'ray' or 'local'")
        self.directory = Path(directory).resolve()
        self.profile = profile if isinstance(profile, Profile) else load_profile(profile)
        self.runner, self._clock = runner, clock or SystemClock()
        self._answerer: Answerer | None = None
        self._reasoner: RayReasoner | None = None
        self._watches: list[Watch] = []

    @property
    def memory(self) -> Memory:
        """A reader of the memory: search, timeline, tracks, export."""
        return self._open_answerer().memory

    def watch(self, *sources: SourceSpec, on_progress: Callable[[Progress], None] | None = None) -> Progress:
        """Watch to the end of every source: paths, URLs, or iterables of `Frame` and `AudioChunk`.

        A `reverie.Stream` gives any of them a name, a place and a time zone.

        Raises:
            SourceError: a source cannot be watched; nothing was written.
            MemoryLocked: another process writes this memory.
        """
        watch = self.watching(*sources)
        try:
            while watch.running:
                try:
                    watch.wait(0.25)
                except TimeoutError:
                    if on_progress:
                        on_progress(watch.progress)
            return watch.wait()
        except BaseException:
            watch.stop()
            raise

    def watching(
        self,
        *sources: SourceSpec,
        tap: Callable[[Sequence[Item]], None] | None = None,
        on_span: Callable[[Span], None] | None = None,
    ) -> Watch:
        """Watch in the background. `tap` sees every observation on its way to memory."""
        if not sources:
            raise UsageError("name at least one source to watch: a path, a URL or an iterable of frames")
        plans = plan_sources(sources, self.profile)
        open_memory(self.directory, self.profile, mode="w").close()
        graph = build_graph(plans, self.profile, self.directory)
        streams = {plan.stream_id: plan.node_name for plan in plans}
        executor = Executor(graph, self._backend(), streams, tap=tap, on_span=on_span)
        watch = Watch(executor, list(streams), [plan.stream_id for plan in plans if plan.live])
        self._watches.append(watch)
        return watch

    def ask(self, question: str, *, stream_ids: Sequence[str] = ()) -> Answer:
        """Answer from what has been remembered so far, also while a watch goes on.

        Under Ray the first watch starts a reasoning actor, which answers from then on.

        Raises:
            UsageError: the question is empty or too long, or nothing has been remembered here.
        """
        if self._reasoner is not None:
            return self._reasoner.ask(question, stream_ids=tuple(stream_ids))
        return self._open_answerer().ask(question, stream_ids=tuple(stream_ids))

    def timed_ask(self, question: str, *, stream_ids: Sequence[str] = ()) -> tuple[Answer, float]:
        """`ask`, and how many milliseconds it took from opening the memory on. Streams may be called by their files."""
        started_ns = self._clock.monotonic_ns()
        answer = self.ask(question, stream_ids=named_streams(self.memory, stream_ids) if stream_ids else ())
        return answer, (self._clock.monotonic_ns() - started_ns) / 1e6

    def close(self) -> None:
        """Stop what still watches, and let go of the memory. Idempotent."""
        for watch in self._watches:
            watch.stop()
        for watch in self._watches:
            watch._thread.join()
        self._watches.clear()
        if self._reasoner is not None:
            self._reasoner.close()
            self._reasoner = None
        if self._answerer is not None:
            self._answerer.close()
            self._answerer = None

    def _backend(self) -> Backend:
        if self.runner == "local":
            from reverie.pipeline.local import LocalBackend

            return LocalBackend()
        from reverie.pipeline.distributed.backend import RayBackend, RayReasoner

        if self._reasoner is None:
            self._reasoner = RayReasoner(partial(Answerer, self.directory, self.profile))
        return RayBackend()

    def _open_answerer(self) -> Answerer:
        if self._answerer is None:
            self._answerer = Answerer(self.directory, self.profile)
        return self._answerer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open(directory: str | Path, **options: Any) -> Session:  # the package's own word, as in `reverie.open(...)`
    """Open the memory in a directory: `Session(directory, profile=, runner=)`."""
    return Session(directory, **options)


def forget(
    directory: str | Path,
    *,
    from_s: float | None = None,
    to_s: float | None = None,
    stream_ids: tuple[str, ...] = (),
    text: str | None = None,
    entity: str | None = None,
    everything: bool = False,
    copies_too: bool = False,
    dry_run: bool = False,
) -> ForgetReceipt:
    """Delete from a memory for good: a span of media time, streams, what holds words, these together, an entity, all.

    With `dry_run` nothing is deleted, and the receipt tells what would be. `stream_ids` may be names of files.
    `copies_too`: with everything, also the list of copies that were made.

    Raises:
        UsageError: nothing was named, `everything` together with something, or times that cannot be.
        MemoryStoreError: there is no memory.
    """
    named = bool(stream_ids) or from_s is not None or to_s is not None or text is not None
    if named + everything + (entity is not None) != 1:
        raise UsageError("say what to forget: --from and --to, --stream, --text, or --entity alone, or --all alone")
    span = open_span(from_s, to_s)
    directory = Path(directory).resolve()
    if not (directory / DATABASE).exists():  # opened for writing it would be made
        raise MemoryStoreError(f"there is no memory at {directory}: watch something into it first")
    with open_memory(directory, load_profile("embedded"), "w") as memory:
        streams = named_streams(memory, stream_ids)
        return memory.forget(
            span=span, stream_ids=streams, text=text, entity=entity, everything=everything, copies_too=copies_too,
            dry_run=dry_run,
        )  # fmt: skip
