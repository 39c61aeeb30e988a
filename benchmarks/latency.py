"""How soon one can ask, how long an answer takes, what an hour keeps on disk, how much memory it all needs.

    python benchmarks/latency.py [--json]

- first answerable: from the start of a watch until a reader's question gets a citation;
- ask cold: `reverie ask` as a new process, without Ray; beside it a process that only imports torch and
  transformers, which an encoder behind them would need before its first answer;
- ask warm: one session, all of the stream's questions;
- bytes: the memory's directory over the hours watched, beside the file itself;
- peak memory: proportional set size of all processes of a watch, Ray's own included.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.processes import memory_bytes
from benchmarks.questions import make_questions
from benchmarks.report import arguments, progress, publish, table
from demos.sample.compose import compose
from reverie.errors import MemoryStoreError
from reverie.pipeline.session import Session

SEED, SECONDS, COLD_RUNS = 7, 120, 5
QUESTION = "What was seen?"


def seconds_of(command: list[str]) -> float:
    """Wall time of a process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def watch_and_ask(path: Path, memory: Path, runner: Literal["ray", "local"]) -> tuple[float, float, int]:
    """Seconds until the senses were ready and until a reader got a citation; peak memory from then to the end."""
    shutil.rmtree(memory, ignore_errors=True)
    started = time.perf_counter()
    first_s, peak = 0.0, 0
    with Session(memory, runner=runner) as session:
        watch = session.watching(path)
        called_s = time.perf_counter() - started  # Ray's own start is before the watch's
        with Session(memory, runner="local") as reader:
            while watch.running:
                if first_s:
                    peak = max(peak, memory_bytes())
                else:
                    try:
                        if reader.ask(QUESTION).citations:
                            first_s = time.perf_counter() - started
                    except MemoryStoreError:
                        pass  # not written yet
                time.sleep(0.25)
        progress_made = watch.wait()
    return called_s + (progress_made.ready_ns - progress_made.started_ns) / 1e9, first_s, peak


def main() -> None:
    args = arguments(__doc__)
    path, memory = args.work / "moving.mp4", args.work / "latency.memory"
    progress("composing")
    truth = compose(SEED, SECONDS, path)
    progress("watching in threads, and asking meanwhile")
    local_ready_s, local_first_s, _ = watch_and_ask(path, memory, "local")
    progress("watching through Ray, and asking meanwhile")
    ready_s, first_s, peak = watch_and_ask(path, memory, "ray")
    progress("asking cold")
    ask = [sys.executable, "-m", "reverie.cli", "ask", QUESTION, "--memory", str(memory), "--json"]
    cold_s = [seconds_of(ask) for _ in range(COLD_RUNS)]
    libraries = [sys.executable, "-c", "import torch; from transformers import BertModel"]
    imports_s = [seconds_of(libraries) for _ in range(COLD_RUNS)]
    progress("asking warm")
    with Session(memory, runner="local") as session:
        session.ask(QUESTION)
        warm_ms = [session.timed_ask(question.text)[1] for question in make_questions(truth)]
    kept = sum(file.stat().st_size for file in memory.rglob("*") if file.is_file())
    cold, imports = statistics.median(cold_s), statistics.median(imports_s)
    figures = {
        "first_answerable_s": round(first_s, 2),
        "ready_s": round(ready_s, 2),
        "first_answerable_local_s": round(local_first_s, 2),
        "ready_local_s": round(local_ready_s, 2),
        "ask_cold_s": round(cold, 2),
        "imports_of_torch_and_transformers_s": round(imports, 2),
        "ask_cold_over_imports": round(cold / imports, 2),
        "ask_warm_p50_ms": round(statistics.median(warm_ms), 1),
        "ask_warm_p95_ms": round(statistics.quantiles(warm_ms, n=20)[-1], 1),
        "bytes_per_hour": round(kept * 3600 / SECONDS),
        "bytes_over_file": round(kept / path.stat().st_size, 3),
        "peak_memory_bytes": peak,
    }
    kept_mb = figures["bytes_per_hour"] / 1e6
    rows = [
        (
            "start to first answerable moment, Ray",
            f"{first_s:.1f} s",
            f"{ready_s:.1f} s until Ray and every model were ready",
        ),
        (
            "the same, threads",
            f"{local_first_s:.1f} s",
            f"{local_ready_s:.1f} s until every model was ready",
        ),
        ("ask, cold (new process)", f"{cold:.2f} s", f"{cold / imports:.2f} of importing torch and transformers alone"),
        (
            "ask, warm p50 / p95",
            f"{figures['ask_warm_p50_ms']} / {figures['ask_warm_p95_ms']} ms",
            f"{len(warm_ms)} questions",
        ),
        ("kept on disk an hour", f"{kept_mb:.1f} MB", f"{figures['bytes_over_file']} of the file"),
        ("peak memory of all processes", f"{peak / 1e9:.2f} GB", "proportional set size"),
    ]
    publish("latency", "Latency, disk and memory", table(("what", "measured", "beside it"), rows), figures, args.json)


if __name__ == "__main__":
    main()
