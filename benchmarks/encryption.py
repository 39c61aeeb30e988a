"""What encryption at rest costs: the same stream into a plain and an encrypted memory, the same questions to both.

    python benchmarks/encryption.py [--hours 6] [--json]

A seeded stream of moments with vectors, key frames and utterances; every write is durable. Reported: write latency,
first and warm search, opening, bytes on disk. The two memories take turns, so that neither has the quieter machine.
"""

from __future__ import annotations

import io
import shutil
import statistics
import sys
import time
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.report import arguments, progress, publish, table
from reverie.memory import Memory
from reverie.types import Item, Label, Modality, Observation, Query, TimeSpan, Watermark, ns

WIDTH, WORDS, BATCH_S = 384, 2000, 10
NUM_QUESTIONS = 50


class Words:
    """Each word a fixed random direction: encoding takes no time that would hide what is measured."""

    encoder_id = "words"

    def __init__(self) -> None:
        self._table = np.random.default_rng(0).standard_normal((WORDS, WIDTH)).astype(np.float32)

    def encode(self, texts):
        numbers = [[crc32(word.encode()) % WORDS for word in text.split()] for text in texts]
        rows = [self._table[own].sum(axis=0) for own in numbers]
        return np.stack([row / np.linalg.norm(row) for row in rows])


def batch(number: int) -> list[Item]:
    """Ten seconds: a moment each second, one key frame of about 10 kB, one utterance of eight words."""
    rng = np.random.default_rng(number)
    items: list[Item] = []
    for second in range(BATCH_S):
        at_ns = ns(number * BATCH_S + second)
        vector = rng.standard_normal(WIDTH).astype(np.float32)
        picture = None
        if second == 0:
            buffer = io.BytesIO()
            pixels = rng.integers(0, 255, (27, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((384, 216)).save(buffer, "JPEG", quality=80)
            picture = buffer.getvalue()
        items.append(
            Observation(
                stream_id="tv", seq=number * BATCH_S + second, span=TimeSpan(start_ns=at_ns, end_ns=at_ns + ns(1)),
                modality=Modality.VISION, embedding=vector / np.linalg.norm(vector), encoder="pictures",
                labels=(Label(name=f"w{rng.integers(50)}", score=0.5),), thumbnail=picture,
                starts_shot=second == 0,
            )
        )  # fmt: skip
    words = " ".join(f"w{word}" for word in rng.integers(0, WORDS, 8))
    start_ns = ns(number * BATCH_S + 2)
    items.append(
        Observation(
            stream_id="tv", seq=number, span=TimeSpan(start_ns=start_ns, end_ns=start_ns + ns(4)),
            modality=Modality.SPEECH, text=words,
        )
    )  # fmt: skip
    return [*items, Watermark(stream_id="tv", pts_ns=ns((number + 1) * BATCH_S))]


def timed_ms(call) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    options = arguments(__doc__, hours={"type": float, "default": 6.0, "help": "length of the stream"})
    keys = {"plain": None, "encrypted": "a key for a benchmark"}
    roots = {name: options.work / f"encryption-{name}" for name in keys}
    for root in roots.values():
        shutil.rmtree(root, ignore_errors=True)
    writes_ms: dict[str, list[float]] = {name: [] for name in keys}
    memories = {name: Memory.open(roots[name], text_encoder=Words(), mode="w", key=key) for name, key in keys.items()}
    num_batches = round(options.hours * 3600 / BATCH_S)
    for number in range(num_batches):
        items = batch(number)
        for name in sorted(keys, reverse=bool(number % 2)):
            writes_ms[name].append(timed_ms(lambda name=name, items=items: memories[name].write(items)))
        if number % 500 == 499:
            progress(f"{number + 1} of {num_batches} batches written")
    for memory in memories.values():
        memory.close()
    figures: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng(1)
    questions = [" ".join(f"w{word}" for word in rng.integers(0, WORDS, 3)) for _ in range(NUM_QUESTIONS)]
    for name, key in keys.items():
        started = time.perf_counter()
        with Memory.open(roots[name], text_encoder=Words(), key=key) as memory:
            open_ms = (time.perf_counter() - started) * 1e3
            first_ms = timed_ms(lambda memory=memory: memory.search(Query(text=questions[0])))
            warm_ms = [timed_ms(lambda q=q, memory=memory: memory.search(Query(text=q))) for q in questions]
        figures[name] = {
            "write_p50_ms": statistics.median(writes_ms[name]),
            "write_p99_ms": float(np.percentile(writes_ms[name], 99)),
            "open_ms": open_ms,
            "first_search_ms": first_ms,
            "search_p50_ms": statistics.median(warm_ms),
            "search_p99_ms": float(np.percentile(warm_ms, 99)),
            "megabytes": sum(path.stat().st_size for path in roots[name].rglob("*") if path.is_file()) / 1e6,
        }
    headings = ["memory", "write p50", "write p99", "open", "first search", "search p50", "search p99", "on disk"]
    rows = [
        [name, *(f"{value:.1f} ms" for key, value in own.items() if key != "megabytes"), f"{own['megabytes']:.1f} MB"]
        for name, own in figures.items()
    ]
    body = f"{num_batches} durable writes of {BATCH_S} s each, {NUM_QUESTIONS} questions.\n\n{table(headings, rows)}"
    publish("encryption", "What encryption at rest costs", body, figures, options.json)


if __name__ == "__main__":
    main()
