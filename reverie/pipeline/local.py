"""Runs every host in this process, each on a thread of its own: for tests, notebooks, and GPU machines without Ray.

Encoders release the interpreter's lock while they compute, so stages overlap much as they do in
processes of their own. As in those, a linear algebra library computes on one thread while a run goes on:
the stages are the parallelism, and sums in another order would move a spoken word by a step of its recogniser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from threadpoolctl import threadpool_limits

from reverie.pipeline.graph import Node, Port
from reverie.pipeline.host import Host
from reverie.types import Item


class LocalBackend:
    """Threads. A host that raises ends the run; there is no process to die.

    `pack` turns the items of a port into what travels: themselves, unless they go on to another process.
    """

    def __init__(self, pack: Callable[[list[Item]], Any] = list) -> None:
        self._pack = pack
        self._hosts: dict[str, Host] = {}
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._ports: dict[str, int] = {}
        self._limits: Any = None

    def start(self, node: Node, ports: Sequence[Port]) -> Future[Any]:
        if self._limits is None:
            self._limits = threadpool_limits(1, user_api="blas")
        self._threads[node.name] = ThreadPoolExecutor(1, thread_name_prefix=f"reverie-{node.name}")
        self._ports[node.name] = len(ports)
        return self._threads[node.name].submit(self._setup, node)

    def _setup(self, node: Node) -> None:
        host = node.make()
        host.setup()
        self._hosts[node.name] = host

    def step(
        self, name: str, edges: Sequence[str], payloads: Sequence[Future[Any]]
    ) -> tuple[Future[Any], list[Future[Any]]]:
        ports: list[Future[Any]] = [Future() for _ in range(self._ports[name])]

        def run() -> Any:
            report, *batches = self._hosts[name].step(edges, *(payload.result() for payload in payloads))
            for port, batch in zip(ports, batches, strict=True):
                port.set_result(self._pack(batch))
            return report

        return self._threads[name].submit(run), ports

    def call(self, name: str, method: str, *args: Any) -> Future[Any]:
        return self._threads[name].submit(lambda: getattr(self._hosts[name], method)(*args))

    def wait(self, tickets: Sequence[Future[Any]], timeout_s: float) -> list[Future[Any]]:
        return list(wait(tickets, timeout_s, FIRST_COMPLETED).done)

    def result(self, ticket: Future[Any]) -> Any:
        return ticket.result()

    def put(self, items: Sequence[Item]) -> Future[list[Item]]:
        payload: Future[list[Item]] = Future()
        payload.set_result(list(items))
        return payload

    def fetch(self, payload: Future[list[Item]]) -> list[Item]:
        return payload.result()

    def close(self) -> None:
        for name, thread in self._threads.items():
            if host := self._hosts.pop(name, None):
                thread.submit(host.close)
            thread.shutdown()
        self._threads.clear()
        if self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None
