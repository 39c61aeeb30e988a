"""Graphs of fakes that several tests run."""

from functools import partial
from pathlib import Path

from reverie.pipeline.graph import Edge, Graph, Node, Port, Role
from reverie.pipeline.host import SourceHost, StageHost
from reverie.pipeline.memory_host import MemoryHost
from reverie.testing import FakeEncoder, FakeListener, FakeSource, RecordingMemory


def fake_graph(
    path: Path, seconds=30, stream_ids=("s",), live=False, cut_interval_s=5.0, source=FakeSource, here=False
):
    """Sources into an encoder and a listener into a recording memory."""
    names = [f"source:{stream_id}" for stream_id in stream_ids]
    ports = (Port.AUDIO, Port.RECORDS, Port.VIDEO)
    edges = [
        edge
        for name in names
        for edge in (
            Edge(sender=name, port=Port.VIDEO, receiver="vision", capacity=6),
            Edge(sender=name, port=Port.AUDIO, receiver="speech", capacity=4),
            Edge(sender=name, port=Port.RECORDS, receiver="memory", capacity=100),
        )
    ]
    stage_edges = [
        Edge(sender=stage, port=Port.OBSERVATIONS, receiver="memory", capacity=64) for stage in ("vision", "speech")
    ]
    owners = {edge.name: edge.sender.split(":")[1] for edge in edges if edge.port is Port.RECORDS}
    inputs = owners | {edge.name: None for edge in stage_edges}
    nodes = [
        Node(
            name=name,
            role=Role.SOURCE,
            live=live,
            here=here,
            make=partial(SourceHost, partial(source, stream_id, seconds, live), ports, cut_interval_s),
        )
        for name, stream_id in zip(names, stream_ids, strict=True)
    ]
    out = (Port.OBSERVATIONS,)
    nodes += [
        Node(name="vision", role=Role.STAGE, max_batch=4, make=partial(StageHost, "vision", FakeEncoder, out)),
        Node(name="speech", role=Role.STAGE, max_batch=4, make=partial(StageHost, "speech", FakeListener, out)),
        Node(
            name="memory",
            role=Role.SINK,
            max_batch=64,
            make=partial(MemoryHost, partial(RecordingMemory, path), inputs),
        ),
    ]
    graph = Graph(nodes=tuple(nodes), edges=tuple(edges + stage_edges))
    return graph, dict(zip(stream_ids, names, strict=True))


def expected_rows(stream_id: str, seconds: int):
    """What any run of `fake_graph` has to record for a stream, in order."""
    rows = [
        {"key": [stream_id, "vision", seq], "start_ns": seq * 500_000_000, "said": f"frame {seq + 1}"}
        for seq in range(2 * seconds)
    ]
    for first in range(0, 2 * seconds, 7):
        levels = [(seq % 100) / 100 for seq in range(first, min(first + 7, 2 * seconds))]
        start_ns = first * 500_000_000
        rows.append(
            {"key": [stream_id, "speech", start_ns], "start_ns": start_ns, "said": f"the sum is {sum(levels):.2f}"}
        )
    return sorted(rows, key=lambda row: (row["start_ns"], row["key"][1] == "speech"))
