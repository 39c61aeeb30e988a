"""What runs next: pure functions over a picture of the graph, so that every decision can be tested.

The executor draws the picture (`NodeView`), asks `plan` for the nodes to step, and steps them. A
node never has two steps under way. Senders of a full blocking edge are not stepped; receivers
come before senders, so that work drains before more is let in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reverie.pipeline.graph import Policy, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """One edge as the scheduler sees it: data items waiting, batches waiting, and since when."""

    sender: str
    receiver: str
    capacity: int
    policy: Policy
    num_items: int = 0
    num_batches: int = 0
    oldest_ns: int | None = None

    @property
    def full(self) -> bool:
        return self.num_items >= self.capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node as the scheduler sees it. A source has ended when it sent its last item.

    `not_before_ns` is when a node may be stepped again: a live source that had nothing, a memory
    that waits for space on its disk. A node that is `due` has something to do without input.
    """

    name: str
    role: Role
    busy: bool
    ended: bool = False
    due: bool = False
    max_batch: int = 1
    max_wait_ns: int = 0
    not_before_ns: int = 0


def plan(nodes: Sequence[NodeView], edges: Sequence[EdgeView], now_ns: int) -> list[str]:
    """Names of the nodes to step now, most downstream first. `nodes` stand upstream first."""
    drained = _drained(nodes, edges)
    return [node.name for node in reversed(nodes) if _ready(node, edges, now_ns, drained[node.name])]


def _ready(node: NodeView, edges: Sequence[EdgeView], now_ns: int, drained: bool) -> bool:
    if node.busy or node.ended or now_ns < node.not_before_ns:
        return False
    if any(edge.full and edge.policy is Policy.BLOCK for edge in edges if edge.sender == node.name):
        return False
    if node.role is Role.SOURCE or node.due:
        return True
    waiting = [edge for edge in edges if edge.receiver == node.name and edge.num_batches]
    if not waiting:
        return False
    if drained or sum(edge.num_items for edge in waiting) >= node.max_batch:
        return True
    oldest_ns = min(edge.oldest_ns for edge in waiting if edge.oldest_ns is not None)
    return now_ns - oldest_ns >= node.max_wait_ns


def _drained(nodes: Sequence[NodeView], edges: Sequence[EdgeView]) -> Mapping[str, bool]:
    """For each node: will nothing more come, so that gathering a fuller batch is in vain?"""
    drained: dict[str, bool] = {}
    for node in nodes:
        if node.role is Role.SOURCE:
            drained[node.name] = node.ended
            continue
        senders = {edge.sender for edge in edges if edge.receiver == node.name}
        idle = all(not sender.busy for sender in nodes if sender.name in senders)
        empty = all(not edge.num_batches for edge in edges if edge.receiver in senders)
        drained[node.name] = idle and empty and all(drained[sender] for sender in senders)
    return drained


def num_to_take(item_counts: Sequence[int], max_batch: int) -> int:
    """How many waiting batches to take for one step: as many as fit, but at least one."""
    taken = total = 0
    for count in item_counts:
        if taken and total + count > max_batch:
            break
        taken, total = taken + 1, total + count
    return taken


def to_drop(item_counts: Sequence[int], capacity: int, policy: Policy) -> list[int]:
    """Which waiting batches, oldest first, lose their data so that the edge holds its capacity again."""
    if policy is Policy.BLOCK or sum(item_counts) <= capacity:
        return []
    newest = len(item_counts) - 1
    if policy is Policy.LATEST:
        return [index for index in range(newest) if item_counts[index]]
    dropped: list[int] = []
    total = sum(item_counts)
    for index in range(newest):
        if total <= capacity:
            break
        if item_counts[index]:
            dropped.append(index)
            total -= item_counts[index]
    return dropped
