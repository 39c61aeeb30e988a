"""Scheduling decisions, each from a picture of the graph to the nodes that run next."""

from hypothesis import given
from hypothesis import strategies as st

from reverie.pipeline.graph import Policy, Role
from reverie.pipeline.scheduling import EdgeView, NodeView, num_to_take, plan, to_drop

MS = 1_000_000


def chain(queued=0, batches=None, source_busy=False, stage_busy=False, ended=False, policy=Policy.BLOCK, **stage):
    """A source, a stage and a sink; `queued` items wait for the stage."""
    nodes = [
        NodeView(name="source", role=Role.SOURCE, busy=source_busy, ended=ended),
        NodeView(name="stage", role=Role.STAGE, busy=stage_busy, **stage),
        NodeView(name="sink", role=Role.SINK, busy=False),
    ]
    first = EdgeView(
        sender="source",
        receiver="stage",
        capacity=8,
        policy=policy,
        num_items=queued,
        num_batches=(queued > 0) if batches is None else batches,
        oldest_ns=0 if queued or batches else None,
    )
    second = EdgeView(sender="stage", receiver="sink", capacity=8, policy=Policy.BLOCK)
    return nodes, [first, second]


def test_an_idle_source_is_pulled():
    assert plan(*chain(), now_ns=0) == ["source"]


def test_a_full_blocking_edge_holds_its_sender_back():
    assert plan(*chain(queued=8), now_ns=0) == ["stage"]


def test_a_full_dropping_edge_does_not():
    assert plan(*chain(queued=8, policy=Policy.LATEST), now_ns=0) == ["stage", "source"]


def test_receivers_come_before_senders():
    assert plan(*chain(queued=4), now_ns=0) == ["stage", "source"]


def test_a_node_has_one_step_at_a_time():
    assert plan(*chain(queued=4, stage_busy=True, source_busy=True), now_ns=0) == []


def test_a_small_batch_is_gathered_for_at_most_max_wait():
    picture = chain(queued=2, source_busy=True, max_batch=4, max_wait_ns=50 * MS)
    assert plan(*picture, now_ns=10 * MS) == []
    assert plan(*picture, now_ns=50 * MS) == ["stage"]


def test_nothing_is_gathered_for_once_the_source_has_ended():
    assert plan(*chain(queued=2, ended=True, max_batch=4, max_wait_ns=50 * MS), now_ns=0) == ["stage"]


def test_control_alone_is_worth_a_step():
    assert plan(*chain(queued=0, batches=1, source_busy=True), now_ns=0) == ["stage"]


def test_what_is_due_runs_without_input_but_not_before_its_time():
    nodes, edges = chain(source_busy=True, due=True, not_before_ns=100)
    assert plan(nodes, edges, now_ns=50) == []
    assert plan(nodes, edges, now_ns=100) == ["stage"]


@given(st.lists(st.integers(0, 10)), st.integers(1, 20))
def test_taking_never_passes_the_batch_unless_one_batch_alone_does(counts, max_batch):
    taken = num_to_take(counts, max_batch)
    assert taken <= len(counts)
    assert taken >= 1 or not counts
    assert sum(counts[:taken]) <= max_batch or taken == 1
    if taken < len(counts):
        assert sum(counts[: taken + 1]) > max_batch


@given(st.lists(st.integers(0, 10), max_size=20), st.integers(1, 20), st.sampled_from(Policy))
def test_dropping_keeps_the_newest_and_no_more_than_needed(counts, capacity, policy):
    dropped = to_drop(counts, capacity, policy)
    kept = [count for index, count in enumerate(counts) if index not in dropped]
    assert len(counts) - 1 not in dropped
    assert all(counts[index] for index in dropped)
    if policy is Policy.BLOCK or sum(counts) <= capacity:
        assert dropped == []
    else:
        assert sum(kept) <= max(capacity, counts[-1])
    if policy is Policy.DROP_OLDEST and dropped:
        assert sum(kept) + counts[dropped[-1]] > capacity
