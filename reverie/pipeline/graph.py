"""The graph: which stage feeds which, over edges that name their capacity and their policy.

    source ──video──> vision, objects, writing ──observations──┐
       ├───audio──> speech, sound ─────────────observations──> memory
       └───records (StreamStart, Gap) ────────────────────────>

A port is a kind of data that a node sends. Flow control (`Watermark`, `Cut`, `EndOfStream`) goes
down every port; `StreamStart` and `Gap` are for the record and go down the `records` port alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reverie.errors import ConfigError
from reverie.types import AudioChunk, Control, Cut, EndOfStream, Frame, Item, Watermark


class Port(StrEnum):
    """A kind of data that a node sends."""

    VIDEO = "video"
    AUDIO = "audio"
    RECORDS = "records"
    OBSERVATIONS = "observations"


class Policy(StrEnum):
    """What a full edge does.

    `BLOCK` holds the sender back (files: every sampled frame arrives), `DROP_OLDEST` throws away
    the oldest waiting batch, `LATEST` all but the newest. What is thrown away is counted and
    recorded as a `Gap`; control items are never thrown away.
    """

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    LATEST = "latest"


class Role(StrEnum):
    """What a node does: bring items in, turn items into others, or keep them."""

    SOURCE = "source"
    STAGE = "stage"
    SINK = "sink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One stage of the graph. `make` builds its host where it will run, and has to be picklable.

    A node that is `here` runs in the process of whoever started the run: its items cannot travel (a
    user's generator).
    """

    name: str
    role: Role
    make: Callable[[], Any]
    max_batch: int = 1
    max_wait_s: float = 0.0
    live: bool = False
    here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A bounded queue between two nodes. `capacity` counts data items."""

    sender: str
    port: Port
    receiver: str
    capacity: int
    policy: Policy = Policy.BLOCK

    @property
    def name(self) -> str:
        return f"{self.sender}.{self.port}>{self.receiver}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes and edges, checked at birth.

    Raises:
        ConfigError: a name twice, an edge to nowhere, a cycle, or a stage that nothing reaches.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    _by_name: Mapping[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {node.name: node for node in self.nodes}
        if len(by_name) != len(self.nodes):
            raise ConfigError(f"two nodes of the graph have one name: {sorted(node.name for node in self.nodes)}")
        for edge in self.edges:
            if missing := {edge.sender, edge.receiver} - by_name.keys():
                raise ConfigError(f"edge {edge.name} names nodes that are not in the graph: {sorted(missing)}")
            if edge.capacity < 1:
                raise ConfigError(f"edge {edge.name} has capacity {edge.capacity}; give it at least 1")
        object.__setattr__(self, "_by_name", by_name)
        for node in self.nodes:
            if (node.role is Role.SOURCE) == bool(self.inputs(node.name)):
                raise ConfigError(f"node {node.name} is a {node.role}: only sources have no inputs")
        self.upstream_first()

    def node(self, name: str) -> Node:
        return self._by_name[name]

    def inputs(self, name: str) -> tuple[Edge, ...]:
        return tuple(edge for edge in self.edges if edge.receiver == name)

    def outputs(self, name: str) -> tuple[Edge, ...]:
        return tuple(edge for edge in self.edges if edge.sender == name)

    def ports(self, name: str) -> tuple[Port, ...]:
        """The ports that somebody listens to, in a fixed order."""
        return tuple(sorted({edge.port for edge in self.outputs(name)}))

    def upstream_first(self) -> tuple[str, ...]:
        """Node names so that every sender stands before its receivers (Kahn 1962)."""
        waiting = {node.name: {edge.sender for edge in self.inputs(node.name)} for node in self.nodes}
        order: list[str] = []
        while ready := [name for name, senders in waiting.items() if senders <= set(order)]:
            order += ready
            for name in ready:
                del waiting[name]
        if waiting:
            raise ConfigError(f"the graph has a cycle through {sorted(waiting)}")
        return tuple(order)


def route(items: Sequence[Item], ports: Sequence[Port]) -> dict[Port, list[Item]]:
    """Sort items into ports: data to its own, flow control to all, in the order in which they came."""
    routed: dict[Port, list[Item]] = {port: [] for port in ports}
    for item in items:
        if isinstance(item, Watermark | Cut | EndOfStream):
            for queue in routed.values():
                queue.append(item)
        elif (port := port_of(item)) in routed:
            routed[port].append(item)
    return routed


def port_of(item: Item) -> Port:
    """The port of a data item or record."""
    if isinstance(item, Frame):
        return Port.VIDEO
    if isinstance(item, AudioChunk):
        return Port.AUDIO
    if isinstance(item, Control):
        return Port.RECORDS
    return Port.OBSERVATIONS
