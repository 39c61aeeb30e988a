"""The picture track: any frame of a plan, (540, 960, 3) uint8 RGB.

`Painter.frame(index)` depends on the plan and the index alone, so frames may be painted in any order; painting them in
order is quick, because a scene's pictures are loaded once, when it comes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from demos.sample.catalogue import CATALOGUE, Asset, locate
from demos.sample.plan import FPS, HEIGHT_PX, WIDTH_PX, Actor, CaptionCue, Motion, Plan, Scene
from demos.sample.words import load_captions

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Sprite = NDArray[np.uint8]  # (H, W, 4) RGBA, not premultiplied


KEPT = 0.85  # the share of a subject's width and height that a moving camera never loses


class View(Protocol):
    """A scene that can be painted at any of its times."""

    def paint(self, at_s: float) -> Picture:
        """The picture `at_s` seconds after the scene began; a new array."""
        ...


class Painter:
    """Paints the frames of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._views: dict[int, View] = {}
        texts = {caption.caption_id: caption.text for caption in load_captions()}
        self._captions = [(cue, _draw_caption(cue, texts[cue.caption_id])) for cue in plan.captions]

    def frame(self, index: int) -> Picture:
        at_s = index / FPS
        number = next(i for i, scene in enumerate(self._plan.scenes) if at_s < scene.end_s - 1e-6)
        scene = self._plan.scenes[number]
        picture = self._view(number).paint(at_s - scene.start_s)
        if number and at_s < scene.start_s + scene.dissolve_s:
            before = self._plan.scenes[number - 1]
            share = (at_s - scene.start_s) / scene.dissolve_s
            old = self._view(number - 1).paint(at_s - before.start_s)
            picture = cv2.addWeighted(picture, share, old, 1 - share, 0)
        for cue, sprite in self._captions:
            if cue.start_s - 1e-6 <= at_s < cue.end_s - 1e-6:
                y_px = 0.12 * HEIGHT_PX if cue.place == "top" else 0.87 * HEIGHT_PX
                lay(picture, sprite, WIDTH_PX / 2, y_px)
        return picture

    def _view(self, number: int) -> View:
        if number not in self._views:
            self._views = {n: view for n, view in self._views.items() if n == number - 1}
            scene = self._plan.scenes[number]
            kinds: dict[str, type[PhotoView] | type[ClipView] | type[StageView]]
            kinds = {"photo": PhotoView, "clip": ClipView, "stage": StageView}
            self._views[number] = kinds[scene.layout](scene)
        return self._views[number]


# --- views --------------------------------------------------------------------------------------


class PhotoView:
    """A photograph panned across the screen, or a card where its subject or text would not fit a wide screen."""

    def __init__(self, scene: Scene) -> None:
        asset = CATALOGUE[scene.asset_id]
        self._motion, self._length_s = scene.motion, scene.end_s - scene.start_s
        self._picture = load_picture(asset)
        self._focus = asset.focus
        x0, y0, x1, y1 = asset.focus
        height, width = self._picture.shape[:2]
        subject_px = max((x1 - x0) * width, (y1 - y0) * height * 16 / 9)
        self._card = bool(asset.written) or KEPT * subject_px > 1.001 * _widest(self._picture)
        if self._card:
            self._ground = _blurred(self._picture)
            scale = 0.84 * min(HEIGHT_PX / height, WIDTH_PX / width)
            self._picture = _resized(self._picture, scale)

    def paint(self, at_s: float) -> Picture:
        if self._card:
            return self._paint_card(at_s)
        return pan(self._picture, self._focus, self._motion, at_s, self._length_s)

    def _paint_card(self, at_s: float) -> Picture:
        motion, (height, width) = self._motion, self._picture.shape[:2]
        angle = 2 * math.pi * at_s / motion.period_s + motion.phase
        x_px = (WIDTH_PX - width) / 2 * (1 + 0.85 * motion.reach * math.sin(angle))
        y_px = (HEIGHT_PX - height) / 2 * (1 + 0.6 * motion.reach * math.cos(angle / 2))
        picture = self._ground.copy()
        place = np.array([[1, 0, x_px], [0, 1, y_px]])
        return cv2.warpAffine(
            self._picture, place, (WIDTH_PX, HEIGHT_PX), picture, cv2.INTER_LINEAR, 5
        )  # 5: transparent


class ClipView:
    """A clip, fitted into the screen, forwards and then backwards again and again."""

    def __init__(self, scene: Scene) -> None:
        asset = CATALOGUE[scene.asset_id]
        needed = math.ceil((scene.end_s - scene.start_s) * FPS) + 2 * FPS
        self._pictures, self._fps = load_clip(asset, needed)
        height, width = self._pictures[0].shape[:2]
        self._ground: Picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
        self._at = (HEIGHT_PX - height) // 2, (WIDTH_PX - width) // 2

    def paint(self, at_s: float) -> Picture:
        last = len(self._pictures) - 1
        position = int(at_s * self._fps + 1e-6) % (2 * last)
        shown = self._pictures[position if position <= last else 2 * last - position]
        picture = self._ground.copy()
        (y, x), (height, width) = self._at, shown.shape[:2]
        picture[y : y + height, x : x + width] = shown
        return picture


class StageView:
    """Cut-outs on a surface."""

    def __init__(self, scene: Scene) -> None:
        self._ground = PhotoView(scene)
        self._start_s = scene.start_s
        self._actors = [(actor, load_cutout(CATALOGUE[actor.asset_id], actor.height_px)) for actor in scene.actors]

    def paint(self, at_s: float) -> Picture:
        picture = self._ground.paint(at_s)
        for actor, sprite in self._actors:
            if actor.start_s <= self._start_s + at_s < actor.end_s:
                lay(picture, sprite, actor_x_px(actor, self._start_s + at_s), actor.y_px)
        return picture


# --- movement -----------------------------------------------------------------------------------


def pan(
    picture: Picture, focus: tuple[float, float, float, float], motion: Motion, at_s: float, length_s: float
) -> Picture:
    """What a swinging, zooming camera sees of a photograph while it keeps the focus in sight."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = focus[0] * width, focus[1] * height, focus[2] * width, focus[3] * height
    widest = _widest(picture)
    zoom = motion.zoom_from + (motion.zoom_to - motion.zoom_from) * min(1.0, at_s / length_s)
    tightest = KEPT * max(x1 - x0, (y1 - y0) * 16 / 9)
    seen_w = min(widest, max(widest / zoom, tightest))
    seen_h = seen_w * 9 / 16
    angle = 2 * math.pi * at_s / motion.period_s + motion.phase
    x = _swing(x0, x1, seen_w, width, motion.reach * math.sin(angle))
    y = _swing(y0, y1, seen_h, height, motion.reach * math.cos(0.7 * angle))
    scale = WIDTH_PX / seen_w
    look = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
    return cv2.warpAffine(picture, look, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _swing(near: float, far: float, seen: float, size: float, share: float) -> float:
    """Where the window of length `seen` begins: inside [0, size], KEPT of [near, far] in it; share in [-1, 1]."""
    spare = (1 - KEPT) * (far - near)
    low, high = max(0.0, far - spare - seen), min(size - seen, near + spare)
    if low > high:
        low = high = min(max(0.0, (near + far - seen) / 2), max(0.0, size - seen))
    return (low + high) / 2 + (high - low) / 2 * share


def actor_x_px(actor: Actor, at_s: float) -> float:
    """The centre of an actor at a time of the stream."""
    share = (at_s - actor.start_s) / (actor.end_s - actor.start_s)
    return actor.from_x_px + (actor.to_x_px - actor.from_x_px) * share


def lay(picture: Picture, sprite: Sprite, x_px: float, y_px: float) -> None:
    """Blend a sprite into a picture, in place, its centre at (x_px, y_px); what hangs over the edge is cut off."""
    height, width = sprite.shape[:2]
    left, top = round(x_px - width / 2), round(y_px - height / 2)
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(picture.shape[1], left + width), min(picture.shape[0], top + height)
    if x0 >= x1 or y0 >= y1:
        return
    part = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
    under = picture[y0:y1, x0:x1].astype(np.uint16)
    alpha = part[:, :, 3:].astype(np.uint16)
    picture[y0:y1, x0:x1] = ((part[:, :, :3] * alpha + under * (255 - alpha) + 127) // 255).astype(np.uint8)


# --- loading ------------------------------------------------------------------------------------


def load_picture(asset: Asset) -> Picture:
    """A photograph, enlarged where its widest 16:9 window would be narrower than a screen and a third."""
    with Image.open(locate(asset)) as file:
        picture = np.asarray(file.convert("RGB"))
    return _resized(picture, max(1.0, 1.35 * WIDTH_PX / _widest(picture)))


def load_clip(asset: Asset, most: int) -> tuple[list[Picture], float]:
    """The first frames of a clip, fitted into the screen, and their rate."""
    pictures: list[Picture] = []
    with av.open(str(locate(asset))) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        fps = float(stream.average_rate or FPS)
        scale = min(WIDTH_PX / stream.width, HEIGHT_PX / stream.height)
        for frame in container.decode(stream):
            pictures.append(_resized(frame.to_ndarray(format="rgb24"), scale))
            if len(pictures) >= most:
                break
    return pictures, fps


@lru_cache(maxsize=16)
def load_cutout(asset: Asset, height_px: int) -> Sprite:
    """The subject of a photograph, cut out along the shape that the catalogue names, or as a paper print."""
    with Image.open(locate(asset)) as file:
        picture = np.asarray(file.convert("RGB"))
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = asset.focus
    part = picture[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)]
    part = _resized(part, height_px / part.shape[0])
    if asset.cutout == "dark":
        grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
        alpha = np.clip((200 - grey.astype(np.int16)) * 2, 0, 255).astype(np.uint8)
    else:
        part = cv2.copyMakeBorder(part, 7, 7, 7, 7, cv2.BORDER_CONSTANT, value=(245, 245, 240))
        alpha = np.full(part.shape[:2], 255, np.uint8)
    sprite = np.dstack([part, alpha])
    sprite.flags.writeable = False
    return sprite


def cutout_width_px(asset: Asset, height_px: int) -> int:
    """How wide a cut-out of that height is."""
    return int(load_cutout(asset, height_px).shape[1])


def _draw_caption(cue: CaptionCue, text: str) -> Sprite:
    """White letters, on a dark box or with a dark outline, in the font that Pillow carries."""
    font = ImageFont.load_default(size=cue.size_px)
    stroke_px = 0 if cue.boxed else 3
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke_px)
    pad_px = cue.size_px // 2
    size = math.ceil(right - left) + 2 * pad_px, math.ceil(bottom - top) + 2 * pad_px
    ground = (16, 16, 20, 215) if cue.boxed else (0, 0, 0, 0)
    image = Image.new("RGBA", size, ground)
    ImageDraw.Draw(image).text(
        (pad_px - left, pad_px - top), text, font=font, fill=(255, 255, 255, 255), stroke_width=stroke_px,
        stroke_fill=(10, 10, 10, 255),
    )  # fmt: skip
    return np.asarray(image)


def _widest(picture: Picture) -> float:
    """The width of the largest 16:9 window in a picture, in pixels."""
    return min(picture.shape[1], picture.shape[0] * 16 / 9)


def _resized(picture: Picture, scale: float) -> Picture:
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _blurred(picture: Picture) -> Picture:
    """A dim, blurred version of a picture that fills the screen."""
    height, width = picture.shape[:2]
    small = _resized(picture, max(WIDTH_PX / width, HEIGHT_PX / height) / 8)
    y, x = (small.shape[0] - HEIGHT_PX // 8) // 2, (small.shape[1] - WIDTH_PX // 8) // 2
    small = cv2.GaussianBlur(small[max(0, y) :, max(0, x) :][: HEIGHT_PX // 8, : WIDTH_PX // 8], (0, 0), 4)
    return cv2.resize(small // 3 + 20, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
