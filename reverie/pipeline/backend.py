"""Where hosts run: the few calls that the executor makes, whoever answers them.

A batch that travels is opaque here: a list in the local backend, a reference to Ray's object store
in the Ray backend. Only the small `Report` of each step is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from reverie.pipeline.graph import Node, Port
from reverie.types import Item

Ticket = Any  # a call under way
Payload = Any  # a batch that travels


class WorkerDied(Exception):
    """The process of a node is gone, its state with it: a notice to the executor, never shown to a user."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the worker of node {name} died")
        self.name = name


class Backend(Protocol):
    """Starts hosts and carries calls to them. One call at a time runs in each host, in the order made."""

    def start(self, node: Node, ports: Sequence[Port]) -> Ticket:
        """Build and set up the host of a node, anew if there was one."""
        ...

    def step(self, name: str, edges: Sequence[str], payloads: Sequence[Payload]) -> tuple[Ticket, list[Payload]]:
        """Begin a step. Returns its ticket, whose result is the Report, and the payload of each port to be."""
        ...

    def call(self, name: str, method: str, *args: Any) -> Ticket:
        """Begin any other call of the host."""
        ...

    def wait(self, tickets: Sequence[Ticket], timeout_s: float) -> list[Ticket]:
        """Those that are done, at least one unless the time ran out."""
        ...

    def result(self, ticket: Ticket) -> Any:
        """The result of a call that is done.

        Raises:
            WorkerDied: the process is gone.
            ReverieError: what the host raised.
        """
        ...

    def put(self, items: Sequence[Item]) -> Payload:
        """Make a payload."""
        ...

    def fetch(self, payload: Payload) -> list[Item]:
        """Open a payload."""
        ...

    def close(self) -> None:
        """Close every host and release what they hold. Idempotent."""
        ...
