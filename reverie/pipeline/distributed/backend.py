"""Runs every host in a Ray actor of its own, and passes batches as references to the object store.

The executor's process never opens a batch; on one node Ray shares the arrays without a copy.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from reverie.errors import ReverieError, StageError
from reverie.pipeline.backend import WorkerDied
from reverie.pipeline.distributed.actors import HostActor, ReasoningActor
from reverie.pipeline.graph import Node, Port
from reverie.types import Answer, Item

# One thread a process: the processes are the parallelism, and libraries that each start a thread for
# every core slow one another down.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
OBJECT_STORE_BYTES = 1 << 30
CLOSE_S = 10


def connect() -> None:
    """Join the cluster that RAY_ADDRESS names (a submitted job has it), or start one on this machine."""
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
    else:
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
        )


def disconnect() -> None:
    """Leave the cluster; one that `connect` started stops."""
    ray.shutdown()


class RayBackend:
    """One actor a node. A process that dies is reported as `WorkerDied`."""

    def __init__(self) -> None:
        connect()
        self._actors: dict[str, Any] = {}
        self._num_ports: dict[str, int] = {}
        self._owner: dict[Any, str] = {}

    def start(self, node: Node, ports: Sequence[Port]) -> Any:
        if node.name in self._actors:
            ray.kill(self._actors[node.name])
        options = HostActor.options(runtime_env={"env_vars": THREADS})
        self._actors[node.name] = options.remote(node.make)
        self._num_ports[node.name] = len(ports)
        return self._track(node.name, self._actors[node.name].setup.remote())

    def step(self, name: str, edges: Sequence[str], payloads: Sequence[Any]) -> tuple[Any, list[Any]]:
        num_ports = self._num_ports[name]
        refs = self._actors[name].step.options(num_returns=1 + num_ports).remote(tuple(edges), *payloads)
        report, *outputs = refs if num_ports else [refs]
        return self._track(name, report), outputs

    def call(self, name: str, method: str, *args: Any) -> Any:
        return self._track(name, self._actors[name].call.remote(method, *args))

    def _track(self, name: str, ref: Any) -> Any:
        self._owner[ref] = name
        return ref

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[Any]:
        done, _ = ray.wait(list(tickets), num_returns=1, timeout=timeout_s, fetch_local=False)
        if done:
            done, _ = ray.wait(list(tickets), num_returns=len(tickets), timeout=0, fetch_local=False)
        return list(done)

    def result(self, ticket: Any) -> Any:
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
        items: list[Item] = ray.get(payload)
        return items

    def pids(self) -> dict[str, int]:
        """The process of every node."""
        return {name: ray.get(actor.health.remote())["pid"] for name, actor in self._actors.items()}

    def close(self) -> None:
        for actor in self._actors.values():
            with contextlib.suppress(RayError):  # it is going away, by whatever way
                ray.get(actor.call.remote("close"), timeout=CLOSE_S)
            ray.kill(actor)
        self._actors.clear()


class RayReasoner:
    """A reasoning actor, asked from this process."""

    def __init__(self, make: Callable[[], Callable[..., Answer]]) -> None:
        connect()
        self._actor = ReasoningActor.options(runtime_env={"env_vars": THREADS}).remote(make)

    def ask(self, question: str, stream_ids: tuple[str, ...] = ()) -> Answer:
        try:
            answer: Answer = ray.get(self._actor.ask.remote(question, stream_ids))
        except RayTaskError as error:
            if isinstance(error.cause, ReverieError):
                raise error.cause from None
            raise
        return answer

    def close(self) -> None:
        ray.kill(self._actor)
