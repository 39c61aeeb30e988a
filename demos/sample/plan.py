"""The plan of a sample stream: what is shown, written, spoken and played, and when. Pure data from a seed.

A stream is a row of scenes, joined by hard cuts or short dissolves:

- fill   a photograph larger than the screen, panned and zoomed
- card   a photograph that fits the screen, drifting across a blurred ground
- clip   a moving clip, played forwards, and backwards where the scene is longer than it
- stage  a surface (bricks, grass, gravel) on which cut-outs stand or which they cross

Times are seconds of media time, on whole frames; sizes and places are pixels of the 960 x 540 picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from demos.sample.catalogue import CATALOGUE, CLIPS, PHOTOS, SURFACES, Asset
from demos.sample.words import load_captions, load_sentences, recording

WIDTH_PX, HEIGHT_PX, FPS = 960, 540, 25
CLIP_LENGTH_S = {"rabbit": 8.0, "street": 10.0, "man_in_car": 7.0}
CLIP_SOUND_S = 5.28  # the sound of the one clip that has any plays once
VISITORS = ("horse", "cat", "coffee", "motorcycle")  # of COCO: only what a detector knows can be counted by tracks
DISSOLVE_S = 0.4
SHORTEST_S = 4.0

Profile = Literal["moving", "still"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """A swing of the camera or card: `reach` in [0, 1] of what is possible without losing the subject."""

    reach: float = 0.0
    period_s: float = 8.0
    phase: float = 0.0
    zoom_from: float = 1.0
    zoom_to: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A cut-out on a stage. Its centre goes from `from_x_px` to `to_x_px` between its two times."""

    asset_id: str
    start_s: float
    end_s: float
    from_x_px: float
    to_x_px: float
    y_px: float
    height_px: int

    @property
    def crosses(self) -> bool:
        return abs(self.to_x_px - self.from_x_px) > WIDTH_PX / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One row of the plan. `dissolve_s` is how long it fades in from the scene before; 0 is a hard cut."""

    asset_id: str
    layout: Literal["photo", "clip", "stage"]
    start_s: float
    end_s: float
    motion: Motion
    dissolve_s: float = 0.0
    actors: tuple[Actor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionCue:
    """A text on the screen, `boxed` on a dark bar or outlined."""

    caption_id: str
    start_s: float
    end_s: float
    place: Literal["top", "bottom"]
    size_px: int
    boxed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceCue:
    """A recorded sentence, from its first to its last sound."""

    sentence_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneCue:
    """A stretch of music."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything of one stream, each row in the order of time."""

    seed: int
    profile: Profile
    duration_s: float
    scenes: tuple[Scene, ...]
    captions: tuple[CaptionCue, ...]
    sentences: tuple[SentenceCue, ...]
    tunes: tuple[TuneCue, ...]


def plan_stream(seed: int, duration_s: float = 120.0, profile: Profile = "moving") -> Plan:
    """The same seed, length and profile give the same plan. At least 10 s."""
    if duration_s < 10:
        raise ValueError(f"a sample stream lasts at least 10 s, not {duration_s:g}")
    rng = np.random.default_rng(seed)
    duration_s = on_frame(duration_s)
    scenes = tuple(_moving_scenes(rng, duration_s) if profile == "moving" else _still_scenes(rng, duration_s))
    tunes = tuple(_tunes(rng, scenes, duration_s))
    return Plan(
        seed=seed, profile=profile, duration_s=duration_s, scenes=scenes, tunes=tunes,
        captions=tuple(_captions(rng, scenes)), sentences=tuple(_sentences(rng, scenes, tunes, duration_s)),
    )  # fmt: skip


def on_frame(seconds: float) -> float:
    """The nearest frame's time."""
    return round(seconds * FPS) / FPS


# --- scenes -------------------------------------------------------------------------------------


def _moving_scenes(rng: np.random.Generator, duration_s: float) -> Iterator[Scene]:
    """Scenes that fill the stream. A thing that visits is seen nowhere else, so that its visits can be counted."""
    visitor = str(rng.choice(VISITORS))
    pair = _pick_pair(rng, visitor)
    alike = CATALOGUE[visitor].names[0]
    photos = [asset for asset in PHOTOS if asset.asset_id not in (visitor, *pair) and alike not in asset.also]
    clips = [asset for asset in CLIPS if alike not in asset.also]
    deck: list[str | Asset] = []
    at_s, before = 0.0, ""
    while duration_s - at_s > 16:
        if not deck:
            deck = _deal(rng, photos, clips)
        card = deck.pop()
        if isinstance(card, Asset) and card.asset_id == before:  # twice running would be one scene to a viewer
            deck.insert(0, card)
            card = deck.pop()
        before = card.asset_id if isinstance(card, Asset) else ""
        length_s = _length_s(rng, card)
        end_s = on_frame(at_s + length_s)
        dissolve_s = DISSOLVE_S if at_s > 0 and rng.random() < 0.25 else 0.0
        yield _scene(rng, card, at_s, end_s, dissolve_s, visitor, pair)
        at_s = end_s
    others = [asset for asset in photos if asset.asset_id != before]
    yield _scene(rng, others[rng.integers(len(others))], at_s, duration_s, 0.0, visitor, pair)


def _pick_pair(rng: np.random.Generator, visitor: str) -> tuple[str, str]:
    others = [asset.asset_id for asset in PHOTOS if asset.cutout and asset.asset_id != visitor]
    left, right = rng.permutation(others)[:2]
    return str(left), str(right)


def _deal(rng: np.random.Generator, photos: list[Asset], clips: list[Asset]) -> list[str | Asset]:
    """About two minutes of scenes, to be taken from the end: photographs, the clips, two stages with visits, a pair.

    The first two are what a stream of two minutes may have no time for: photographs only. Half of the six are of things
    in a class list, as far as there are any that are not in a stage's scene.
    """
    mixed = [photos[i] for i in rng.permutation(len(photos))]
    known, others = ([p for p in mixed if (p.vocabulary != "open") is listed] for listed in (True, False))
    deck = [*known[:3], *others][:6]
    chosen: list[str | Asset] = [deck[i] for i in rng.permutation(len(deck))]
    if rng.random() < 0.5:
        chosen[-1] = chosen[-2]  # one picture comes back
    rest = [*chosen[2:], "visit", "visit", "pair", *clips]
    return [*chosen[:2], *(rest[i] for i in rng.permutation(len(rest)))]


def _length_s(rng: np.random.Generator, card: str | Asset) -> float:
    if isinstance(card, str):
        return float(rng.uniform(11.5, 12.0) if card == "visit" else rng.uniform(7, 10))
    return CLIP_LENGTH_S[card.asset_id] if card.clip else float(rng.uniform(6, 11))


def _scene(
    rng: np.random.Generator, card: str | Asset, start_s: float, end_s: float, dissolve_s: float,
    visitor: str, pair: tuple[str, str],
) -> Scene:  # fmt: skip
    motion = Motion(
        reach=float(rng.uniform(0.7, 1.0)), period_s=float(rng.uniform(5, 9)), phase=float(rng.uniform(0, 2 * math.pi)),
        zoom_from=float(rng.uniform(1.1, 1.5)), zoom_to=float(rng.uniform(1.1, 1.5)),
    )  # fmt: skip
    if isinstance(card, Asset):
        layout: Literal["photo", "clip"] = "clip" if card.clip else "photo"
        return Scene(
            asset_id=card.asset_id, layout=layout, start_s=start_s, end_s=end_s, motion=motion, dissolve_s=dissolve_s
        )
    ground = SURFACES[rng.integers(len(SURFACES))].asset_id
    actors = tuple(_visits(rng, visitor, start_s, end_s) if card == "visit" else _standing(rng, pair, start_s, end_s))
    return Scene(
        asset_id=ground, layout="stage", start_s=start_s, end_s=end_s, motion=motion, dissolve_s=dissolve_s,
        actors=actors,
    )  # fmt: skip


def _visits(rng: np.random.Generator, visitor: str, start_s: float, end_s: float) -> Iterator[Actor]:
    """One or two crossings of 4.5 to 5 s, nobody in sight between them for at least a second."""
    height_px = int(rng.integers(260, 330))
    beyond_px = height_px * 1.0  # half of the widest cut-out, and some
    at_s = start_s + 0.6
    for _ in range(int(rng.integers(1, 3))):
        leave_s = at_s + float(rng.uniform(4.5, 4.9))
        rightwards = bool(rng.random() < 0.5)
        ends_px = (-beyond_px, WIDTH_PX + beyond_px) if rightwards else (WIDTH_PX + beyond_px, -beyond_px)
        yield Actor(
            asset_id=visitor, start_s=on_frame(at_s), end_s=on_frame(min(leave_s, end_s)), from_x_px=ends_px[0],
            to_x_px=ends_px[1], y_px=float(rng.uniform(240, 300)), height_px=height_px,
        )  # fmt: skip
        at_s = leave_s + 1.0


def _standing(rng: np.random.Generator, pair: tuple[str, str], start_s: float, end_s: float) -> Iterator[Actor]:
    """Two things, one in the left half of the picture and one in the right, each swaying a little."""
    for asset_id, x_px in zip(pair, (0.26 * WIDTH_PX, 0.74 * WIDTH_PX), strict=True):
        drift_px = float(rng.uniform(-25, 25))
        yield Actor(
            asset_id=asset_id, start_s=start_s, end_s=end_s, from_x_px=x_px - drift_px, to_x_px=x_px + drift_px,
            y_px=float(rng.uniform(240, 290)), height_px=int(rng.integers(250, 300)),
        )  # fmt: skip


def _still_scenes(rng: np.random.Generator, duration_s: float) -> Iterator[Scene]:
    """Photographs that stand still for about 40 s each, as a fixed camera sees a room where little happens."""
    count = max(1, round(duration_s / 40))
    assets = [PHOTOS[i % len(PHOTOS)] for i in rng.permutation(max(count, len(PHOTOS)))[:count]]
    for i, asset in enumerate(assets):
        start_s, end_s = on_frame(duration_s * i / count), on_frame(duration_s * (i + 1) / count)
        yield Scene(asset_id=asset.asset_id, layout="photo", start_s=start_s, end_s=end_s, motion=Motion())


# --- words and music ----------------------------------------------------------------------------


def _captions(rng: np.random.Generator, scenes: tuple[Scene, ...]) -> Iterator[CaptionCue]:
    """About one caption in 17 s, 3 to 8 s long, each inside one scene; pages already have text on them."""
    roomy = [scene for scene in scenes if scene.end_s - scene.start_s >= 6 and scene.asset_id not in ("page", "street")]
    pool = load_captions()
    count = min(len(roomy), len(pool), max(1, round(scenes[-1].end_s / 17)))
    order = rng.permutation(len(pool))
    for number, index in enumerate(sorted(rng.permutation(len(roomy))[:count])):
        scene = roomy[index]
        first_s, last_s = scene.start_s + scene.dissolve_s, scene.end_s - DISSOLVE_S
        length_s = float(rng.uniform(3, min(8, last_s - first_s)))
        start_s = first_s if rng.random() < 0.3 else float(rng.uniform(first_s, last_s - length_s))
        yield CaptionCue(
            caption_id=pool[order[number]].caption_id, start_s=on_frame(start_s), end_s=on_frame(start_s + length_s),
            place="top" if rng.random() < 0.35 else "bottom", size_px=int(rng.integers(38, 50)),
            boxed=bool(rng.random() < 0.6),
        )  # fmt: skip


def _tunes(rng: np.random.Generator, scenes: tuple[Scene, ...], duration_s: float) -> Iterator[TuneCue]:
    """One tune in every two minutes, 7 to 9 s, away from the clip that brings its own sound."""
    loud = list(_clip_sounds(scenes))
    for start_s in np.arange(0, duration_s - 30, 120):
        for _ in range(20):
            at_s = float(start_s + rng.uniform(8, min(110, duration_s - start_s - 12)))
            tune = TuneCue(start_s=on_frame(at_s), end_s=on_frame(at_s + rng.uniform(7, 9)))
            if all(tune.end_s + 1 <= a or b + 1 <= tune.start_s for a, b in loud):
                yield tune
                break


def _clip_sounds(scenes: tuple[Scene, ...]) -> Iterator[tuple[float, float]]:
    for scene in scenes:
        if CATALOGUE[scene.asset_id].sound:
            yield scene.start_s, min(scene.end_s, scene.start_s + CLIP_SOUND_S)


def _sentences(
    rng: np.random.Generator, scenes: tuple[Scene, ...], tunes: tuple[TuneCue, ...], duration_s: float
) -> Iterator[SentenceCue]:
    """Sentences with 1.5 to 7 s of silence between them, never over music."""
    taken = sorted([*_clip_sounds(scenes), *((tune.start_s, tune.end_s) for tune in tunes)])
    pool = load_sentences()
    at_s = float(rng.uniform(1.0, 3.0))
    for index in rng.permutation(len(pool)):
        sentence = pool[index]
        length_s = len(recording(sentence, 16_000)) / 16_000
        for start_s, end_s in taken:
            if at_s < end_s + 0.8 and start_s - 0.8 < at_s + length_s:
                at_s = end_s + 0.8 + float(rng.uniform(0, 2))
        if at_s + length_s > duration_s - 0.5:
            return
        yield SentenceCue(sentence_id=sentence.sentence_id, start_s=on_frame(at_s), end_s=on_frame(at_s + length_s))
        at_s += length_s + float(rng.uniform(1.5, 7.0))
