"""The streams of benchmarks/segmentation.py, with the times at which something in them begins or ends.

- moving   composed like those of the other benchmarks and perceived by the embedded profile
- camera   ten minutes of a camera that never moves; now and then something crosses the picture; perceived too
- drifting, quiet   made in an embedding space: many seeds, known changes, chosen noise

What was perceived is kept beside the composed file and read back on the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import progress
from demos.sample.catalogue import SURFACES
from demos.sample.compose import compose, encode, truth_of, truth_path
from demos.sample.plan import VISITORS, WIDTH_PX, Actor, Motion, Plan, Scene, on_frame
from demos.sample.truth import Truth
from reverie.pipeline.session import Session
from reverie.types import Modality, Observation, TimeSpan, ns

MOVING_S, CAMERA_S = 90, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Observations in order, and the times at which something true changes (the first at the start)."""

    name: str
    observations: Sequence[Observation]
    changes_s: tuple[float, ...]
    duration_s: float


# --- perceived ----------------------------------------------------------------------------------


def moving(seed: int, work: Path) -> Stream:
    """A composed stream of scenes, clips and visits."""
    path = work / f"segmentation-moving-{seed}.mp4"
    if not truth_path(path).exists():
        compose(seed, MOVING_S, path)
    return _perceived(f"moving {seed}", path)


def camera(seed: int, work: Path) -> Stream:
    """A surface that stands still, crossed by one thing every minute or two."""
    path = work / f"segmentation-camera-{seed}.mp4"
    if not truth_path(path).exists():
        plan = camera_plan(seed)
        encode(plan, path)
        truth_of(plan).write(truth_path(path))
    return _perceived(f"camera {seed}", path)


def camera_plan(seed: int) -> Plan:
    """Pure data from a seed, as `demos.sample.plan` makes it for other streams."""
    rng = np.random.default_rng(seed)
    actors, at_s = [], float(rng.uniform(20, 60))
    while at_s < CAMERA_S - 30:
        height_px = int(rng.integers(260, 330))
        ends_px = (-float(height_px), WIDTH_PX + float(height_px))
        from_x_px, to_x_px = ends_px if rng.random() < 0.5 else ends_px[::-1]
        actors.append(
            Actor(
                asset_id=str(rng.choice(VISITORS)), start_s=on_frame(at_s),
                end_s=on_frame(at_s + float(rng.uniform(6, 15))), from_x_px=from_x_px, to_x_px=to_x_px,
                y_px=float(rng.uniform(240, 300)), height_px=height_px,
            )
        )  # fmt: skip
        at_s += float(rng.uniform(30, 120))
    ground = SURFACES[rng.integers(len(SURFACES))].asset_id
    scene = Scene(
        asset_id=ground, layout="stage", start_s=0, end_s=CAMERA_S, motion=Motion(), actors=tuple(actors)
    )  # fmt: skip
    return Plan(
        seed=seed, profile="still", duration_s=CAMERA_S, scenes=(scene,), captions=(), sentences=(), tunes=()
    )  # fmt: skip


def _perceived(name: str, path: Path) -> Stream:
    truth, memory = Truth.read(truth_path(path)), path.with_suffix(".memory")
    with Session(memory, runner="local") as session:
        if not memory.exists() or not any(stream.ended for stream in session.memory.streams()):
            progress(f"{name}: watching")
            session.watch(path)
        observations = session.memory.rows(vectors=True)
    return Stream(name=name, observations=observations, changes_s=changes_of(truth), duration_s=truth.duration_s)


def changes_of(truth: Truth) -> tuple[float, ...]:
    """Starts of scenes, shots and visits; ends of visits too, where nothing begins within the two seconds after."""
    starts = {round(fact.start_s, 2) for fact in truth.of("scene", "seen", "visit")}
    ends = {round(fact.end_s, 2) for fact in truth.of("visit")}
    ends = {end for end in ends if end < truth.duration_s and not any(0 <= start - end <= 2 for start in starts)}
    return tuple(sorted(starts | ends))


# --- made in an embedding space -----------------------------------------------------------------


def drifting(seed: int, duration_s: float = 300.0, noise: float = 0.3, drift: float = 0.05, width: int = 128) -> Stream:
    """Unit vectors that walk about a centre of their own until it changes: every 8-40 s, by a random step."""
    rng = np.random.default_rng(seed)
    observations, changes = [], [0.0]
    centre = rng.standard_normal(width) / np.sqrt(width)
    walk, until_s = np.zeros(width), float(rng.uniform(8, 40))
    rate = float(rng.uniform(0.0, 2.0)) * drift
    for index in range(int(duration_s * 2)):
        at_s = index / 2
        if at_s >= until_s:
            centre = centre + float(rng.uniform(0.4, 1.2)) * rng.standard_normal(width) / np.sqrt(width)
            centre /= np.linalg.norm(centre)
            walk, rate = np.zeros(width), float(rng.uniform(0.0, 2.0)) * drift
            changes.append(at_s)
            until_s = at_s + float(rng.uniform(8, 40))
        walk = walk + rate * rng.standard_normal(width) / np.sqrt(width)
        vector = centre + walk + noise * rng.standard_normal(width) / np.sqrt(width)
        observations.append(picture(at_s, vector, index))
    return Stream(name=f"drifting {seed}", observations=observations, changes_s=tuple(changes), duration_s=duration_s)


def quiet(seed: int, duration_s: float = 1800.0, noise: float = 0.1, width: int = 128) -> Stream:
    """A still place, a picture every 10 s; a few times something is there for 5-30 s, two pictures a second."""
    rng = np.random.default_rng(seed)
    place = rng.standard_normal(width) / np.sqrt(width)
    observations, changes, at_s, index = [], [0.0], 0.0, 0
    happens_s = float(rng.uniform(60, 600))
    while at_s < duration_s:
        if at_s >= happens_s:
            changes.append(at_s)
            thing = float(rng.uniform(0.4, 1.0)) * rng.standard_normal(width) / np.sqrt(width)
            for _ in range(int(2 * rng.uniform(5, 30))):
                vector = place + thing + 2 * noise * rng.standard_normal(width) / np.sqrt(width)
                observations.append(picture(at_s, vector, index))
                at_s, index = at_s + 0.5, index + 1
            changes.append(at_s)
            happens_s = at_s + float(rng.uniform(60, 900))
        vector = place + noise * rng.standard_normal(width) / np.sqrt(width)
        observations.append(picture(at_s, vector, index))
        later_s = 10.0 if rng.random() < 0.9 else 0.5
        at_s, index = float(np.ceil(2 * min(at_s + later_s, max(happens_s, at_s + 0.5))) / 2), index + 1
    changes = [at_s for at_s in changes if at_s < duration_s]
    return Stream(name=f"quiet {seed}", observations=observations, changes_s=tuple(changes), duration_s=duration_s)


def picture(at_s: float, vector: np.ndarray, seq: int) -> Observation:
    return Observation(
        stream_id="s", seq=seq, span=TimeSpan(start_ns=ns(at_s), end_ns=ns(at_s + 0.5)), modality=Modality.VISION,
        embedding=(vector / np.linalg.norm(vector)).astype(np.float32), encoder="made",
    )  # fmt: skip
