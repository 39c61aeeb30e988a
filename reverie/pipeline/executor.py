"""Runs a graph: steps the nodes that `scheduling.plan` names, and passes their batches on unopened.

The same loop runs over threads and over Ray actors (see `backend.py`). When a worker dies, all work
goes back to the last cut that memory acknowledged: sources seek, stages get their state of then,
and what memory holds already it ignores, so nothing is lost and nothing is doubled (files). A live
source cannot be asked again: its stages start afresh and the loss is recorded as a `Gap`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reverie.clock import Clock, SystemClock
from reverie.errors import ReverieError, StageError
from reverie.pipeline.backend import Backend, Payload, Ticket, WorkerDied
from reverie.pipeline.graph import Edge, Graph, Node, Port, Role
from reverie.pipeline.host import Batch, Report, describe
from reverie.pipeline.progress import Progress
from reverie.pipeline.scheduling import EdgeView, NodeView, num_to_take, plan, to_drop
from reverie.telemetry import Span
from reverie.types import Gap, Item, TimeSpan

log = logging.getLogger(__name__)

POLL_S = 0.05
TICK_NS = 1_000_000_000
MAX_RECOVERIES_WITHOUT_PROGRESS = 3
MAX_WAITING_CALLS = 256


@dataclass(slots=True)
class _Waiting:
    """A batch on an edge."""

    payload: Payload
    batch: Batch
    since_ns: int


@dataclass(slots=True)
class _Running:
    """What the executor knows of a node."""

    node: Node
    ports: tuple[Port, ...]
    busy: bool = False
    ended: bool = False
    paused: str = ""
    not_before_ns: int = 0
    stepped_ns: int = 0


@dataclass(slots=True)
class _Stream:
    """How far a stream is safe: its last acknowledged cut, and the states on the way to it."""

    source: str
    live: bool = False
    cut_index: int | None = None
    committed_ns: int = 0
    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    ended: bool = False


class Executor:
    """One run of one graph.

    `streams` maps every stream to the node that is its source. `tap` sees the observations on their
    way to memory, `on_span` every step of every node; both are called from the thread that runs.
    """

    def __init__(
        self,
        graph: Graph,
        backend: Backend,
        streams: Mapping[str, str],
        *,
        clock: Clock | None = None,
        tap: Callable[[Sequence[Item]], None] | None = None,
        on_span: Callable[[Span], None] | None = None,
    ) -> None:
        self._graph, self._backend, self._clock = graph, backend, clock or SystemClock()
        self._tap, self._on_span = tap, on_span
        self._nodes = {name: _Running(graph.node(name), graph.ports(name)) for name in graph.upstream_first()}
        self._queues: dict[Edge, deque[_Waiting]] = {edge: deque() for edge in graph.edges}
        self._streams = {
            stream_id: _Stream(source, live=graph.node(source).live) for stream_id, source in streams.items()
        }
        self._tickets: dict[Ticket, tuple[str, list[Payload]]] = {}
        self._calls: deque[tuple[str, str, tuple[Any, ...]]] = deque()
        self._unmade: list[tuple[str, str, tuple[Any, ...]]] = []
        self._asides: list[Ticket] = []
        self._num_recoveries = 0
        self._lock = threading.Lock()
        self.progress = Progress(num_streams=len(streams), started_ns=self._clock.monotonic_ns())

    def call_source(self, stream_id: str, method: str, *args: Any) -> None:
        """Have a method of a stream's source host called, soon. Thread-safe.

        When the executor does not keep up, the oldest call that still waits is given up; items that were
        to be pushed by it are recorded as lost.
        """
        with self._lock:
            if len(self._calls) >= MAX_WAITING_CALLS:
                self._unmade.append(self._calls.popleft())
            self._calls.append((self._streams[stream_id].source, method, args))

    def run(self, stop: threading.Event | None = None) -> Progress:
        """Run to the end of every stream, or until `stop` is set (files can be taken up again later)."""
        try:
            self._start()
            while not all(stream.ended for stream in self._streams.values()):
                if stop is not None and stop.is_set():
                    break
                try:
                    self._turn()
                except WorkerDied as death:
                    self._recover(death.name)
        finally:
            self.progress.finish(self._clock.monotonic_ns())
            self._backend.close()
        return self.progress

    # --- one turn ---

    def _turn(self) -> None:
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            calls, self._calls = list(self._calls), deque()
            unmade, self._unmade = self._unmade, []
        for _, method, args in unmade:
            if method == "push":
                self._lose(describe(args[0]), "pushed faster than it could be taken")
        self._asides += [self._backend.call(name, method, *args) for name, method, args in calls]
        self._settle_asides()
        for name in plan(self._node_views(now_ns), self._edge_views(), now_ns):
            self._dispatch(name, now_ns)
        if not self._tickets:
            self._clock.sleep(POLL_S)
            return
        for ticket in self._backend.wait(list(self._tickets), POLL_S):
            name, payloads = self._tickets.pop(ticket)
            self._nodes[name].busy = False
            self._complete(name, self._backend.result(ticket), payloads)

    def _settle_asides(self) -> None:
        """Calls that were made for somebody else: what they raise is theirs, and only logged here."""
        for ticket in self._backend.wait(self._asides, 0) if self._asides else ():
            self._asides.remove(ticket)
            try:
                self._backend.result(ticket)
            except ReverieError as error:
                log.warning("%s", error)

    def _dispatch(self, name: str, now_ns: int) -> None:
        running = self._nodes[name]
        edges: list[str] = []
        payloads: list[Payload] = []
        for edge in self._graph.inputs(name):
            queue = self._queues[edge]
            for _ in range(num_to_take([waiting.batch.num_data for waiting in queue], running.node.max_batch)):
                edges.append(edge.name)
                payloads.append(queue.popleft().payload)
        running.busy, running.stepped_ns = True, now_ns
        ticket, outputs = self._backend.step(name, edges, payloads)
        self._tickets[ticket] = (name, outputs)

    def _complete(self, name: str, report: Report, payloads: Sequence[Payload]) -> None:
        running, now_ns = self._nodes[name], self._clock.monotonic_ns()
        by_port = dict(zip(running.ports, payloads, strict=True))
        for edge in self._graph.outputs(name):
            batch = report.batches[edge.port]
            if batch.num_data or batch.control:
                self._queues[edge].append(_Waiting(by_port[edge.port], batch, now_ns))
                self._shed(edge)
        seen = report.batches.get(Port.OBSERVATIONS)
        if self._tap and seen and seen.num_data:
            self._tap(self._backend.fetch(by_port[Port.OBSERVATIONS]))
        running.paused = report.paused
        running.not_before_ns = now_ns + round(report.retry_after_s * 1e9)
        self._keep_states(name, report)
        self.progress.step_done(name, running.node.role, report, now_ns)
        if self._on_span:
            self._on_span(
                Span(
                    stage=name,
                    started_ns=running.stepped_ns,
                    wall_s=report.wall_s,
                    cpu_s=report.cpu_s,
                    num_items=report.num_items,
                )
            )
        if running.node.role is Role.SOURCE and report.ended:
            running.ended = True
        if running.node.role is Role.SINK:
            for stream_id in report.ended:
                self._streams[stream_id].ended = True
            for stream_id, watched_ns in report.watched_ns.items():
                self._streams[stream_id].committed_ns = watched_ns

    def _keep_states(self, name: str, report: Report) -> None:
        for (stream_id, index), state in report.snapshots.items():
            self._streams[stream_id].states.setdefault(index, {})[name] = state
        for cut in report.cuts:
            stream = self._streams[cut.stream_id]
            stream.cut_index = cut.index
            stream.states = {index: states for index, states in stream.states.items() if index >= cut.index}
            self._num_recoveries = 0

    def _shed(self, edge: Edge) -> None:
        """Make room on a full live edge, and put on record what was lost."""
        queue = self._queues[edge]
        for index in to_drop([waiting.batch.num_data for waiting in queue], edge.capacity, edge.policy):
            lost = queue[index]
            bare = Batch(num_data=0, control=lost.batch.control, spans={})
            queue[index] = _Waiting(self._backend.put(lost.batch.control), bare, lost.since_ns)
            self._lose(lost.batch, f"{edge.receiver} too slow")

    def _lose(self, batch: Batch, reason: str) -> None:
        """Count what a batch held, and put it on record."""
        self.progress.counters.add("frames_dropped", batch.num_data)
        for stream_id, (count, first_ns, last_ns) in batch.spans.items():
            span = TimeSpan(start_ns=first_ns, end_ns=last_ns + 1)
            self._record(Gap(stream_id=stream_id, span=span, reason=reason, num_dropped=count))

    def _record(self, gap: Gap) -> None:
        """Send a gap to memory beside the source's own records."""
        source = self._streams[gap.stream_id].source
        for edge in self._graph.outputs(source):
            if edge.port is Port.RECORDS:
                batch = Batch(num_data=0, control=(gap,), spans={})
                self._queues[edge].append(_Waiting(self._backend.put([gap]), batch, self._clock.monotonic_ns()))

    # --- the picture that the scheduler sees ---

    def _node_views(self, now_ns: int) -> list[NodeView]:
        ticking = any(stream.live for stream in self._streams.values())
        return [
            NodeView(
                name=name,
                role=running.node.role,
                busy=running.busy,
                ended=running.ended,
                due=bool(running.paused)
                or (ticking and running.node.role is Role.STAGE and now_ns - running.stepped_ns >= TICK_NS),
                max_batch=running.node.max_batch,
                max_wait_ns=round(running.node.max_wait_s * 1e9),
                not_before_ns=running.not_before_ns,
            )
            for name, running in self._nodes.items()
        ]

    def _edge_views(self) -> list[EdgeView]:
        return [
            EdgeView(
                sender=edge.sender,
                receiver=edge.receiver,
                capacity=edge.capacity,
                policy=edge.policy,
                num_items=sum(waiting.batch.num_data for waiting in queue),
                num_batches=len(queue),
                oldest_ns=queue[0].since_ns if queue else None,
            )
            for edge, queue in self._queues.items()
        ]

    # --- starting and starting again ---

    def _start(self) -> None:
        starting = [self._backend.start(running.node, running.ports) for running in self._nodes.values()]
        for ticket in starting:
            self._finish_call(ticket)
        self.progress.ready_ns = self._clock.monotonic_ns()

    def _finish_call(self, ticket: Ticket) -> Any:
        while not self._backend.wait([ticket], POLL_S):
            pass
        return self._backend.result(ticket)

    def _recover(self, dead: str) -> None:
        """Go back to the last acknowledged cuts, with a new worker for the dead node."""
        self._num_recoveries += 1
        self.progress.counters.add("recoveries")
        if self._num_recoveries > MAX_RECOVERIES_WITHOUT_PROGRESS:
            raise StageError(dead, f"its process died {self._num_recoveries} times at the same place; see its log")
        log.warning("%s died; going back to the last committed cut", dead)
        self._tickets.clear()
        self._asides.clear()
        for queue in self._queues.values():
            queue.clear()
        try:
            self._finish_call(self._backend.start(self._nodes[dead].node, self._nodes[dead].ports))
            restoring = [self._backend.call(name, "restore", self._states_of(name)) for name in self._nodes]
            for ticket in restoring:
                self._finish_call(ticket)
        except WorkerDied as death:
            self._recover(death.name)
            return
        for running in self._nodes.values():
            running.busy, running.paused, running.not_before_ns = False, "", 0
            running.ended = running.node.role is Role.SOURCE and all(
                stream.ended for stream in self._streams.values() if stream.source == running.node.name
            )
        for stream_id, stream in self._streams.items():
            if stream.live and not stream.ended:
                span = TimeSpan(
                    start_ns=stream.committed_ns, end_ns=max(stream.committed_ns, self.progress.read_ns[stream_id])
                )
                self._record(Gap(stream_id=stream_id, span=span, reason=f"{dead} was restarted"))

    def _states_of(self, name: str) -> dict[str, Any]:
        states: dict[str, Any] = {}
        for stream_id, stream in self._streams.items():
            known = {} if stream.cut_index is None or stream.live else stream.states[stream.cut_index]
            states[stream_id] = known.get(name)
        return states
