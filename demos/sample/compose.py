"""Compose a sample stream: plan it, paint and mix it, encode it as MP4 (H.264 and AAC), write its truth beside it.

    truth = compose(seed=7, duration_s=120, out="sample.mp4")     # also writes sample.truth.json

The same seed, length and profile give the same truth and the same frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from demos.sample.catalogue import CATALOGUE, Asset, locate
from demos.sample.picture import Painter, actor_x_px, cutout_width_px
from demos.sample.plan import CLIP_SOUND_S, FPS, HEIGHT_PX, WIDTH_PX, Actor, Plan, Profile, Scene, plan_stream
from demos.sample.sound import RATE_HZ, Samples, mix
from demos.sample.truth import Fact, Truth, in_order
from demos.sample.words import load_captions, load_sentences

IN_SIGHT = 0.4  # the share of a cut-out's width from which on it counts as seen
_H264 = {
    "preset": "superfast",
    "crf": "23",
    "g": "50",
    "threads": "2",
}  # a fixed count of threads: same bits everywhere
_AAC_SAMPLES = 1024  # per packet


def compose(
    seed: int,
    duration_s: float = 120.0,
    out: str | Path = "sample.mp4",
    profile: Profile = "moving",
    progress: Callable[[float], None] | None = None,
) -> Truth:
    """Write the stream and its truth; `progress` is told the seconds done. Raises MissingMedia before it writes."""
    plan = plan_stream(seed, duration_s, profile)
    for scene in plan.scenes:
        for asset_id in (scene.asset_id, *(actor.asset_id for actor in scene.actors)):
            locate(CATALOGUE[asset_id])
    out = Path(out)
    truth = truth_of(plan)
    encode(plan, out, progress)
    truth.write(truth_path(out))
    return truth


def truth_path(stream: Path) -> Path:
    """Where the truth of a stream lies: x.mp4 -> x.truth.json."""
    return stream.with_suffix(".truth.json")


def encode(plan: Plan, out: Path, progress: Callable[[float], None] | None = None) -> None:
    """Paint and encode, sound and picture interleaved second by second."""
    painter, sound = Painter(plan), mix(plan)
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=FPS, options=_H264)
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        audio.bit_rate = 96_000
        chunks = _audio_frames(sound)
        for index in range(round(plan.duration_s * FPS)):
            planes = cv2.cvtColor(painter.frame(index), cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(frame))
            if index % FPS == 0:
                for chunk in _until(chunks, index + FPS):
                    container.mux(audio.encode(chunk))
                if progress is not None:
                    progress(index / FPS)
        for chunk in chunks:
            container.mux(audio.encode(chunk))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _audio_frames(sound: Samples) -> Iterator[av.AudioFrame]:
    for at in range(0, len(sound), _AAC_SAMPLES):
        part = np.ascontiguousarray(sound[None, at : at + _AAC_SAMPLES])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        yield frame


def _until(frames: Iterator[av.AudioFrame], end_index: int) -> Iterator[av.AudioFrame]:
    """Sound up to the time of a picture."""
    for frame in frames:
        yield frame
        if frame.pts >= end_index * RATE_HZ // FPS:
            return


# --- truth --------------------------------------------------------------------------------------


def truth_of(plan: Plan) -> Truth:
    """What a plan shows, says and writes, when."""
    facts = [*_said(plan), *_written(plan), *_heard(plan)]
    for scene in plan.scenes:
        facts += _seen(scene)
    return Truth(
        seed=plan.seed, profile=plan.profile, duration_s=plan.duration_s, fps=FPS, width_px=WIDTH_PX,
        height_px=HEIGHT_PX, facts=in_order(facts),
    )  # fmt: skip


def _seen(scene: Scene) -> Iterator[Fact]:
    asset = CATALOGUE[scene.asset_id]
    yield Fact(
        kind="scene", start_s=scene.start_s, end_s=scene.end_s, source_id=scene.asset_id, text=asset.phrase,
        also=asset.also,
    )  # fmt: skip
    if asset.parts:
        yield from _parts(scene, asset)
    else:
        yield Fact(
            kind="seen", start_s=scene.start_s, end_s=scene.end_s, source_id=asset.asset_id, text=asset.phrase,
            names=asset.names, also=asset.also,
        )  # fmt: skip
    for actor in scene.actors:
        yield _visit(actor) if actor.crosses else _stands(actor, scene)


def _parts(scene: Scene, asset: Asset) -> Iterator[Fact]:
    """The shots of a clip that has several, as far as the scene plays them."""
    for part in asset.parts:
        start_s, end_s = scene.start_s + part.start_s, min(scene.end_s, scene.start_s + part.end_s)
        if start_s < end_s:
            yield Fact(
                kind="seen", start_s=round(start_s, 3), end_s=round(end_s, 3), source_id=asset.asset_id,
                text=part.phrase, names=part.names, also=part.also,
            )  # fmt: skip


def _stands(actor: Actor, scene: Scene) -> Fact:
    asset = CATALOGUE[actor.asset_id]
    return Fact(
        kind="seen", start_s=scene.start_s, end_s=scene.end_s, source_id=asset.asset_id, text=asset.phrase,
        names=asset.names, also=asset.also, position="left" if actor.from_x_px < WIDTH_PX / 2 else "right",
    )  # fmt: skip


def _visit(actor: Actor) -> Fact:
    """From the first to past the last frame in which IN_SIGHT of the cut-out's width is on the screen."""
    asset = CATALOGUE[actor.asset_id]
    width_px = cutout_width_px(asset, actor.height_px)
    frames = range(round(actor.start_s * FPS), round(actor.end_s * FPS))
    seen = [index for index in frames if _share_in_sight(actor_x_px(actor, index / FPS), width_px) >= IN_SIGHT]
    way = "left to right" if actor.from_x_px < actor.to_x_px else "right to left"
    return Fact(
        kind="visit", start_s=seen[0] / FPS, end_s=(seen[-1] + 1) / FPS, source_id=asset.asset_id, text=asset.phrase,
        names=asset.names, also=asset.also, position=way,
    )  # fmt: skip


def _share_in_sight(x_px: float, width_px: int) -> float:
    left, right = max(0.0, x_px - width_px / 2), min(float(WIDTH_PX), x_px + width_px / 2)
    return max(0.0, right - left) / width_px


def _said(plan: Plan) -> Iterator[Fact]:
    sentences = {sentence.sentence_id: sentence for sentence in load_sentences()}
    for cue in plan.sentences:
        text = sentences[cue.sentence_id].text
        yield Fact(kind="said", start_s=cue.start_s, end_s=cue.end_s, source_id=cue.sentence_id, text=text)


def _written(plan: Plan) -> Iterator[Fact]:
    """Captions, and what stands in the pictures themselves."""
    captions = {caption.caption_id: caption for caption in load_captions()}
    for cue in plan.captions:
        yield Fact(
            kind="written", start_s=cue.start_s, end_s=cue.end_s, source_id=cue.caption_id,
            text=captions[cue.caption_id].text, position=cue.place,
        )  # fmt: skip
    for scene in plan.scenes:
        asset = CATALOGUE[scene.asset_id]
        if asset.written:
            yield Fact(
                kind="written", start_s=scene.start_s, end_s=scene.end_s, source_id=asset.asset_id, text=asset.written
            )
        for part in asset.parts:
            start_s, end_s = scene.start_s + part.start_s, min(scene.end_s, scene.start_s + part.end_s)
            if part.written and start_s < end_s:
                yield Fact(
                    kind="written", start_s=round(start_s, 3), end_s=round(end_s, 3), source_id=asset.asset_id,
                    text=part.written,
                )  # fmt: skip


def _heard(plan: Plan) -> Iterator[Fact]:
    """Music: the tunes, and the score of the clip that has one."""
    for tune in plan.tunes:
        yield Fact(
            kind="heard", start_s=tune.start_s, end_s=tune.end_s, source_id="tune", text="music", names=("music",)
        )
    for scene in plan.scenes:
        if CATALOGUE[scene.asset_id].sound:
            end_s = min(scene.end_s, scene.start_s + CLIP_SOUND_S)
            yield Fact(
                kind="heard", start_s=scene.start_s, end_s=end_s, source_id=scene.asset_id, text="music",
                names=("music",),
            )  # fmt: skip
