"""A graph that cannot work is refused when it is made."""

import pytest

from reverie.errors import ConfigError
from reverie.pipeline.graph import Edge, Graph, Node, Policy, Port, Role, route
from reverie.types import EndOfStream, Gap, StreamStart, TimeSpan, Watermark
from tests.pipeline.test_merge import seen


def node(name, role=Role.STAGE):
    return Node(name=name, role=role, make=lambda: None)


def edge(sender, receiver, capacity=1):
    return Edge(sender=sender, port=Port.VIDEO, receiver=receiver, capacity=capacity, policy=Policy.BLOCK)


SOURCE = node("source", Role.SOURCE)


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ((SOURCE, SOURCE), (), "one name"),
        ((SOURCE,), (edge("source", "nowhere"),), "nowhere"),
        ((SOURCE, node("a")), (), "only sources have no inputs"),
        ((SOURCE, node("a")), (edge("source", "a", capacity=0),), "capacity 0"),
        ((SOURCE, node("a"), node("b")), (edge("source", "a"), edge("a", "b"), edge("b", "a")), "cycle"),
    ],
)
def test_a_graph_that_cannot_work_is_refused(nodes, edges, message):
    with pytest.raises(ConfigError, match=message):
        Graph(nodes=nodes, edges=edges)


def test_data_goes_to_its_port_records_to_records_and_flow_control_to_all():
    start = StreamStart(stream_id="s", uri="x", live=False, has_video=True, has_audio=False)
    gap = Gap(stream_id="s", span=TimeSpan(start_ns=0, end_ns=1), reason="lost")
    mark, end = Watermark(stream_id="s", pts_ns=1), EndOfStream(stream_id="s", pts_ns=2)
    routed = route([start, seen(0), gap, mark, end], (Port.OBSERVATIONS, Port.RECORDS, Port.AUDIO))
    assert routed == {
        Port.OBSERVATIONS: [seen(0), mark, end],
        Port.RECORDS: [start, gap, mark, end],
        Port.AUDIO: [mark, end],
    }
