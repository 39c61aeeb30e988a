"""What a write costs does not grow with what its stream has: no statement of it reads all rows of one."""

import re

import numpy as np

from benchmarks.soak import STREAM, WordVectors, batches
from reverie.clock import ManualClock
from reverie.memory import Memory, MemoryConfig, StoreConfig
from reverie.types import StreamStart

WHOLE_STREAM = re.compile(r"SEARCH .* (observation|track)_\w+ \(stream=\?\)|SCAN (observation|vector|sentence|track)\b")

LITERAL = re.compile(r"x?'[^']*'|\b\d[\d.e+-]*")


def test_no_statement_of_writing_demoting_or_consolidating_reads_a_whole_stream(tmp_path):
    clock = ManualClock()
    config = MemoryConfig(max_bytes=1_500_000, store=StoreConfig(durability="normal"))
    with Memory.open(tmp_path / "m", text_encoder=WordVectors(), mode="w", config=config, clock=clock) as memory:
        start = StreamStart(stream_id=STREAM, uri=STREAM, live=True, has_video=True, has_audio=True)
        memory.write([start])
        statements: dict[str, str] = {}
        memory._store.writer.set_trace_callback(lambda sql: statements.setdefault(LITERAL.sub("?", sql), sql))
        for items in batches(np.random.default_rng(7), 0.05):
            clock.advance(10)
            memory.write(items)
        memory._store.writer.set_trace_callback(None)
        levels = {event.level for event in memory.timeline()}
        plans = {
            step
            for statement in statements.values()
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
            and not re.search(r"temp\.| LIMIT \d{2,}", statement)
            for (*_, step) in memory._store.writer.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        }
        assert memory.episodes()
    assert {0, 3} <= levels
    assert len(plans) > 50
    assert [step for step in plans if WHOLE_STREAM.search(step)] == []
