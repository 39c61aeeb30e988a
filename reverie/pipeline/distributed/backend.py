"""Runs every host in a Ray actor of its own, and passes batches as references to the object store.

The executor's process never opens a batch; on one node Ray shares the arrays without a copy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from reverie.errors import ReverieError, StageError
from reverie.pipeline.backend import WorkerDied
from reverie.pipeline.distributed.actors import Answers, HostActor, ReasoningActor
from reverie.pipeline.graph import Node, Port
from reverie.pipeline.local import LocalBackend
from reverie.types import Answer, Item

# One thread a process: the processes are the parallelism, and libraries that each start a thread for
# every core slow one another down.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# What Ray gathers about itself and nobody here asks for: together about a fortieth of a watch's processor time.
QUIET = {"RAY_enable_metrics_collection": "0", "RAY_task_events_report_interval_ms": "0", "RAY_event_stats": "0"}
OBJECT_STORE_BYTES = 1 << 30
CLOSE_S = 10
HERE_POLL_S = 0.01
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="ray-starter")  # stays until the process ends


def connect() -> None:
    """Join the cluster that RAY_ADDRESS names (a submitted job has it), or start one on this machine.

    Ray's processes die with the thread that started them, so a thread that stays does it.
    """
    _STARTER.submit(_connect).result()


def _connect() -> None:
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        # Its workers have an environment of their own: each of ours is started with the limits.
        ray.init(log_to_driver=False, runtime_env={"env_vars": THREADS})
    else:
        os.environ.update(THREADS | QUIET)  # inherited by all of Ray's processes, without a set-up step in each
        ray.init(
            address="local",  # without it Ray joins whatever cluster was started on this machine last
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
        )


def disconnect() -> None:
    """Leave the cluster; one that `connect` started stops."""
    ray.shutdown()


class RayBackend:
    """One actor a node, but for nodes that have to run here. A process that dies is reported as `WorkerDied`."""

    def __init__(self) -> None:
        connect()
        self._here = LocalBackend(pack=ray.put)
        self._names_here: set[str] = set()
        self._actors: dict[str, Any] = {}
        self._num_ports: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._owner: dict[Any, str] = {}

    def start(self, node: Node, ports: Sequence[Port]) -> Any:
        if node.here:
            self._names_here.add(node.name)
            return self._here.start(node, ports)
        if node.name in self._actors:
            ray.kill(self._actors[node.name])
        self._actors[node.name] = HostActor.remote(node.make)
        self._num_ports[node.name], self._turns[node.name] = len(ports), -1
        return self._track(node.name, self._actors[node.name].setup.remote(self._next_turn(node.name)))

    def step(self, name: str, edges: Sequence[str], payloads: Sequence[Any]) -> tuple[Any, list[Any]]:
        if name in self._names_here:
            return self._here.step(name, edges, payloads)
        num_ports = self._num_ports[name]
        payloads = [payload.result() if isinstance(payload, Future) else payload for payload in payloads]
        refs = (
            self._actors[name]
            .step.options(num_returns=1 + num_ports)
            .remote(self._next_turn(name), tuple(edges), *payloads)
        )
        report, *outputs = refs if num_ports else [refs]
        return self._track(name, report), outputs

    def call(self, name: str, method: str, *args: Any) -> Any:
        if name in self._names_here:
            return self._here.call(name, method, *args)
        return self._track(name, self._actors[name].call.remote(self._next_turn(name), method, *args))

    def _next_turn(self, name: str) -> int:
        self._turns[name] += 1
        return self._turns[name]

    def _track(self, name: str, ref: Any) -> Any:
        self._owner[ref] = name
        return ref

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[Any]:
        here = [ticket for ticket in tickets if isinstance(ticket, Future)]
        there = [ticket for ticket in tickets if not isinstance(ticket, Future)]
        if not there:
            return self._here.wait(here, timeout_s)
        # Two kinds of tickets cannot be waited for at once: Ray's are, in slices short enough for the others.
        deadline = time.monotonic() + timeout_s
        while True:
            slice_s = min(HERE_POLL_S, timeout_s) if here else timeout_s
            done, _ = ray.wait(there, num_returns=1, timeout=slice_s, fetch_local=False)
            if done:
                done, _ = ray.wait(there, num_returns=len(there), timeout=0, fetch_local=False)
            done += [ticket for ticket in here if ticket.done()]
            if done or time.monotonic() >= deadline:
                return list(done)

    def result(self, ticket: Any) -> Any:
        if isinstance(ticket, Future):
            return self._here.result(ticket)
        name = self._owner.pop(ticket, "")
        try:
            return ray.get(ticket)
        except (RayActorError, OutOfMemoryError):
            raise WorkerDied(name) from None
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ReverieError):
                raise cause from None
            raise StageError(name, repr(cause)) from error

    def put(self, items: Sequence[Item]) -> Any:
        return ray.put(list(items))

    def fetch(self, payload: Any) -> list[Item]:
        items: list[Item] = ray.get(payload.result() if isinstance(payload, Future) else payload)
        return items

    def pids(self) -> dict[str, int]:
        """The process of every node."""
        return {name: ray.get(actor.health.remote())["pid"] for name, actor in self._actors.items()}

    def close(self) -> None:
        self._here.close()
        for name, actor in self._actors.items():
            with contextlib.suppress(RayError):  # it is going away, by whatever way
                ray.get(actor.call.remote(self._next_turn(name), "close"), timeout=CLOSE_S)
            ray.kill(actor)
        self._actors.clear()


class RayReasoner:
    """A reasoning actor, asked from this process. `make` builds what answers, where the actor runs."""

    def __init__(self, make: Callable[[], Answers]) -> None:
        connect()
        self._actor = ReasoningActor.remote(make)

    def ask(self, question: str, *, stream_ids: tuple[str, ...] = ()) -> Answer:
        try:
            answer: Answer = ray.get(self._actor.ask.remote(question, stream_ids))
        except RayTaskError as error:
            if isinstance(error.cause, ReverieError):
                raise error.cause from None
            raise
        return answer

    def pid(self) -> int:
        """The actor's process."""
        pid: int = ray.get(self._actor.pid.remote())
        return pid

    def close(self) -> None:
        ray.kill(self._actor)
