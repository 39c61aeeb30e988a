"""The measurable world: a textured map larger than the view, things on it, and a camera that is moved by actions.

What can be measured exactly about generated video can be measured here: every frame's pose is known, so where the
camera has been before is known, and what was to be seen there; optical flow is known for every pixel, in whole
pixels. A `Place` is drawn from a seed: a terrain, landmarks that stand on it, and a hero (a shape of one colour) that
drifts about the view and so keeps its identity in all of it. `film` follows a list of actions through it.

The map is a torus of `MAP_PX` pixels, so there is no edge to run into. An action moves the camera by `STEP_PX`. The
hero moves by one pixel a frame along each axis, relative to the view, and turns around where the view ends.

Shapes: T frames, H = W = VIEW_PX. Positions are (y, x) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray

from reverie.generation.shapes import COLOURS, SHAPES, TERRAINS, coverage, terrain_texture

VIEW_PX = 32
MAP_PX = 96
STEP_PX = 4
_HERO_PX = 9  # its size: odd, so that it has a centre
_LANDMARKS = 14
_LANDMARK_PX = (7, 9, 11)
_EDGE = 0.35  # brightness of the hero's outline


class Action(StrEnum):
    """Where the camera goes within one frame."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    STAY = "stay"


ACTIONS = tuple(Action)
MOVES = {  # of the camera, (y, x) in pixels
    Action.LEFT: (0, -STEP_PX),
    Action.RIGHT: (0, STEP_PX),
    Action.UP: (-STEP_PX, 0),
    Action.DOWN: (STEP_PX, 0),
    Action.STAY: (0, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hero:
    """What keeps its identity: a colour and a shape."""

    colour: str
    shape: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What a camera saw, with the truth about it.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        camera: (T, 2) the view's upper left corner on the map, not wrapped.
        hero: (T, 2) the hero's centre in the view.
        flow: (T - 1, H, W, 2) float32, for each pixel of frame t where it lies in t + 1, less where it was: (x, y).
        visible: (T - 1, H, W) whether that pixel's surface, and it alone, is seen in both frames.
    """

    frames: UInt8[ndarray, "t h w 3"]
    camera: Int64[ndarray, "t 2"]
    hero: Int64[ndarray, "t 2"]
    flow: Float32[ndarray, "u h w 2"]
    visible: Bool[ndarray, "u h w"]


class Place:
    """A map with its landmarks, and a hero. The same seed, hero and terrain give the same place.

    Args:
        seed: what the map, the landmarks and, where they are not given, hero and terrain are drawn from.
        hero: its colour and shape.
        terrain: one of `TERRAINS`.
    """

    def __init__(self, seed: int, hero: Hero | None = None, terrain: str | None = None) -> None:
        random = np.random.default_rng(seed)
        drawn = Hero(colour=str(random.choice(list(COLOURS))), shape=str(random.choice(SHAPES)))
        self.hero = hero or drawn
        chosen = str(random.choice(list(TERRAINS)))
        self.terrain = terrain or chosen
        self.start = random.integers(0, MAP_PX, 2)
        self._hero_start = random.integers(_HERO_PX // 2, VIEW_PX - _HERO_PX // 2, 2)
        self._hero_heading = random.choice([-1, 1], 2)
        self._map_seed = int(random.integers(1 << 31))

    @property
    def prompt(self) -> str:
        return f"a {self.hero.colour} {self.hero.shape} over {self.terrain}"

    @cached_property
    def map(self) -> Float32[ndarray, "m n 3"]:
        """The torus without the hero, RGB in [0, 1]."""
        random = np.random.default_rng(self._map_seed)
        drawn = terrain_texture(self.terrain, MAP_PX, random)
        for _ in range(_LANDMARKS):
            size = int(random.choice(_LANDMARK_PX))
            mask = coverage(str(random.choice(SHAPES)), size)[..., None]
            colour = random.uniform(0.1, 0.9, 3).astype(np.float32)
            y, x = random.integers(0, MAP_PX, 2)
            rows, columns = (y + np.arange(size)) % MAP_PX, (x + np.arange(size)) % MAP_PX
            under = drawn[np.ix_(rows, columns)]
            drawn[np.ix_(rows, columns)] = under * (1 - mask) + colour * mask
        return drawn

    def film(self, actions: Sequence[Action], start: tuple[int, int] | None = None, first_frame: int = 0) -> Film:
        """A camera that begins at `start` (else at the place's own) and makes these moves.

        `first_frame` is how many frames the hero has drifted before.

        Returns:
            One frame more than there are actions.
        """
        moves = np.array([MOVES[Action(action)] for action in actions], dtype=np.int64).reshape(-1, 2)
        corner = np.array(self.start if start is None else start, dtype=np.int64)
        camera = np.concatenate([corner[None], corner + np.cumsum(moves, axis=0)])
        hero = self._hero_at(first_frame + np.arange(len(camera)))
        frames = np.stack([self._view(*pose) for pose in zip(camera, hero, strict=True)])
        flow, visible = _exact_flow(moves, hero, coverage(self.hero.shape, _HERO_PX))
        return Film(frames=frames, camera=camera, hero=hero, flow=flow, visible=visible)

    def _hero_at(self, frame: Int64[ndarray, "t"]) -> Int64[ndarray, "t 2"]:
        """A drift that turns around at the view's ends: a triangle wave along each axis."""
        low, span = _HERO_PX // 2, VIEW_PX - 1 - 2 * (_HERO_PX // 2)
        phase = np.where(self._hero_heading > 0, self._hero_start - low, 2 * span - (self._hero_start - low))
        travelled = (phase + frame[:, None]) % (2 * span)
        return np.asarray(low + np.where(travelled > span, 2 * span - travelled, travelled))

    def _view(self, corner: Int64[ndarray, "2"], hero: Int64[ndarray, "2"]) -> UInt8[ndarray, "h w 3"]:
        rows, columns = (corner[0] + np.arange(VIEW_PX)) % MAP_PX, (corner[1] + np.arange(VIEW_PX)) % MAP_PX
        view = self.map[np.ix_(rows, columns)]
        half = _HERO_PX // 2
        inside = np.s_[hero[0] - half : hero[0] + half + 1, hero[1] - half : hero[1] + half + 1]
        whole = coverage(self.hero.shape, _HERO_PX)[..., None]
        core = np.zeros_like(whole)
        core[1:-1, 1:-1] = np.minimum(coverage(self.hero.shape, _HERO_PX - 2)[..., None], whole[1:-1, 1:-1])
        painted = (
            view[inside] * (1 - whole) + _EDGE * (whole - core) + np.array(COLOURS[self.hero.colour], np.float32) * core
        )
        view[inside] = painted
        return np.asarray(np.round(np.clip(view, 0, 1) * 255), dtype=np.uint8)


def _exact_flow(
    moves: Int64[ndarray, "u 2"], hero: Int64[ndarray, "t 2"], shape: Float32[ndarray, "k k"]
) -> tuple[Float32[ndarray, "u h w 2"], Bool[ndarray, "u h w"]]:
    """The map moves against the camera, the hero as it drifts and in front of the map. Its edge pixels show both."""
    flow = np.empty((len(moves), VIEW_PX, VIEW_PX, 2), np.float32)
    visible = np.zeros((len(moves), VIEW_PX, VIEW_PX), bool)
    covered = np.stack([_in_view(centre, shape) for centre in hero])
    y, x = np.mgrid[:VIEW_PX, :VIEW_PX]
    for index, move in enumerate(moves):
        of_hero = covered[index] > 0
        flow[index] = np.where(of_hero[..., None], (hero[index + 1] - hero[index])[::-1], -move[::-1])
        to_y, to_x = y + flow[index, ..., 1].astype(int), x + flow[index, ..., 0].astype(int)
        inside = (to_y >= 0) & (to_y < VIEW_PX) & (to_x >= 0) & (to_x < VIEW_PX)
        then = covered[index + 1][to_y[inside], to_x[inside]]
        now = covered[index][inside]
        visible[index][inside] = (now == then) & ((now == 0) | (now == 1))
    return flow, visible


def _in_view(centre: Int64[ndarray, "2"], shape: Float32[ndarray, "k k"]) -> Float32[ndarray, "h w"]:
    view, half = np.zeros((VIEW_PX, VIEW_PX), np.float32), len(shape) // 2
    view[centre[0] - half : centre[0] + half + 1, centre[1] - half : centre[1] + half + 1] = shape
    return view


def wander(random: np.random.Generator, num_actions: int, turn: float = 0.15) -> list[Action]:
    """Actions of a camera that goes on in one direction and turns now and then (with this probability a frame)."""
    actions: list[Action] = []
    while len(actions) < num_actions:
        actions += [ACTIONS[random.integers(len(ACTIONS))]] * int(random.geometric(turn))
    return actions[:num_actions]


def out_and_back(away: Action, num_frames: int) -> list[Action]:
    """So many frames away, and the same way back: every place but the farthest is seen twice."""
    back = {Action.LEFT: Action.RIGHT, Action.RIGHT: Action.LEFT, Action.UP: Action.DOWN, Action.DOWN: Action.UP}
    return [away] * num_frames + [back[away]] * num_frames
