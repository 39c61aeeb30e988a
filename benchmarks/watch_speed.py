"""How fast streams are watched, where the time goes, and what the pipeline adds to decoding and encoding.

    python benchmarks/watch_speed.py [--data FOLDER] [--json]

Streams: a composed sample of moving scenes, one still scene, and every file in FOLDER/videos when it is given
(one of less than 30 s several times over). Embedded profile, every encoder on, one thread in each of them; through
Ray, and in threads of one process. Speed is media time over wall time from the moment that all stages are ready.
Beside it, in the same run:

- decode: `ffmpeg -threads 1 -i FILE -f null -`, its processor time;
- encoders alone: the same stages called in this process on the same sampled items, no graph and no memory;
- overhead: (processor time of all processes of the run - decode - encoders) / (decode + encoders).
"""

from __future__ import annotations

import math
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.processes import ProcessorTime
from benchmarks.report import arguments, progress, publish, table
from demos.sample.compose import compose
from reverie.perception.sources import open_source
from reverie.pipeline.build import perception_stages
from reverie.pipeline.config import Profile, load_profile
from reverie.pipeline.graph import port_of
from reverie.pipeline.progress import Progress
from reverie.pipeline.session import Runner, Session
from reverie.types import Control

SHORTEST_S = 30.0
SEED, SECONDS = 7, 120


def decode_cpu_s(path: Path) -> float:
    """Processor time of FFmpeg decoding everything in the file with one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-f", "null", "-"]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def encoders_cpu_s(path: Path, profile: Profile) -> dict[str, float]:
    """Processor time of each stage on the sampled items of the file, called one after another."""
    stages = [(name, port, make()) for name, port, make in perception_stages(profile)]
    for _, _, stage in stages:
        stage.setup()
    source = open_source(path, profile.source)
    stream_id = source.open().stream_id
    spent = {name: 0.0 for name, _, _ in stages}
    while items := source.pull():
        for name, port, stage in stages:
            data = [item for item in items if not isinstance(item, Control) and port_of(item) is port]
            started = time.process_time()
            for first in range(0, len(data), stage.max_batch):
                list(stage.process(data[first : first + stage.max_batch]))
            spent[name] += time.process_time() - started
    for name, _, stage in stages:
        started = time.process_time()
        list(stage.flush(stream_id))
        spent[name] += time.process_time() - started
        stage.close()
    source.close()
    return spent


def long_enough(path: Path, work: Path) -> Path:
    """The video, or, if it is too short for a speed to mean anything, the same several times over."""
    with av.open(str(path)) as media:
        seconds = (media.duration or 0) / av.time_base
    if seconds >= SHORTEST_S:
        return path
    times = math.ceil(SHORTEST_S / seconds)
    looped = work / f"{path.stem}-x{times}{path.suffix}"
    command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", str(times - 1), "-i", str(path), str(looped)]
    subprocess.run(command, check=True)
    return looped


def watched(path: Path, memory: Path, profile: Profile, runner: Runner) -> tuple[Progress, float]:
    """What a run came to, and the processor time of all its processes from the moment that every stage is ready."""
    shutil.rmtree(memory, ignore_errors=True)
    with Session(memory, profile=profile, runner=runner) as session:
        watch = session.watching(path)
        while watch.running and not watch.progress.ready_ns:
            time.sleep(0.05)
        processor_time = ProcessorTime()
        before_s = after_s = processor_time.sample()
        while watch.running:
            after_s = processor_time.sample()
            time.sleep(1.0)  # looking costs 20 ms
        return watch.wait(), after_s - before_s


def measure(path: Path, work: Path, profile: Profile) -> dict[str, Any]:
    """One stream through both runners, with its floors."""
    progress(f"{path.name}: decode and encoders alone")
    decode_s = decode_cpu_s(path)
    encoders = encoders_cpu_s(path, profile)
    floor_s = decode_s + sum(encoders.values())
    memory = work / f"speed-{path.stem}.memory"
    progress(f"{path.name}: watching in threads")
    in_threads, threads_s = watched(path, memory, profile, "local")
    progress(f"{path.name}: watching through Ray")
    result, run_s = watched(path, memory, profile, "ray")
    count = result.counters.value
    return {
        "stream": path.name,
        "seconds": round(result.watched_s, 1),
        "speed": round(result.speed, 2),
        "speed_threads": round(in_threads.speed, 2),
        "sampled": count("frames_sampled"),
        "unchanged": count("frames_unchanged"),
        "encoded": count("frames_encoded"),
        "startup_s": round(result.startup_s, 1),
        "decode_cpu_s": round(decode_s, 2),
        "encoders_cpu_s": round(sum(encoders.values()), 2),
        "run_cpu_s": round(run_s, 2),
        "overhead": round((run_s - floor_s) / floor_s, 3),
        "threads_cpu_s": round(threads_s, 2),
        "overhead_threads": round((threads_s - floor_s) / floor_s, 3),
        "alone": {name: round(value, 2) for name, value in encoders.items()},
        "stages": {name.split(":")[0]: round(spent.cpu_s, 2) for name, spent in result.stages.items()},
    }


def main() -> None:
    args = arguments(__doc__)
    profile = load_profile("embedded")
    streams = [args.work / "moving.mp4", args.work / "still.mp4"]
    for path, kind in zip(streams, ("moving", "still"), strict=True):
        if not path.exists():
            progress(f"composing {path.name}")
            compose(SEED, SECONDS, path, kind)
    if args.data:
        videos = sorted(path for path in (args.data / "videos").iterdir() if path.suffix in (".mp4", ".gif"))
        streams += [long_enough(path, args.work) for path in videos]
    rows = [measure(path, args.work, profile) for path in streams]
    columns = ("stream", "seconds", "speed", "speed_threads", "sampled", "unchanged", "encoded", "startup_s")
    body = table(
        ("stream", "seconds", "x real time", "in threads", "frames sampled", "unchanged", "encoded", "start-up s"),
        [[row[column] for column in columns] for row in rows],
    )
    body += "\n\nProcessor seconds: decoding and encoders alone, the whole run, and what the run adds.\n\n"
    body += table(
        ("stream", "ffmpeg decode", "encoders alone", "Ray, all processes", "overhead", "threads", "overhead"),
        [
            [
                *(row[key] for key in ("stream", "decode_cpu_s", "encoders_cpu_s", "run_cpu_s")),
                *(f"{row['overhead']:.1%}", row["threads_cpu_s"], f"{row['overhead_threads']:.1%}"),
            ]
            for row in rows
        ],
    )
    names = list(rows[0]["stages"])
    body += "\n\nProcessor seconds of each stage in the run (alone, in brackets).\n\n"
    body += table(
        ("stream", *names),
        [
            [
                row["stream"],
                *(
                    f"{row['stages'].get(name, 0)}" + (f" ({row['alone'][name]})" if name in row["alone"] else "")
                    for name in names
                ),
            ]
            for row in rows
        ],
    )
    body += "\n\nOne thread in each process: OMP, OpenBLAS, MKL, torch, OpenCV, ONNX Runtime, CTranslate2, FFmpeg."
    publish("watch_speed", "Watch speed", body, {"streams": rows}, args.json)


if __name__ == "__main__":
    main()
