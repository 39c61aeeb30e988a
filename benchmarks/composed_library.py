"""Real pictures and clips, perceived once by the embedded profile, to be replayed as days and weeks.

A scene is what the profile's encoders made of one photograph (panned and zoomed as in the sample streams) or clip: a
moment a second, each with its picture's vector, names, boxes and JPEG. What was heard in a clip is left out. The
moments are kept in a file of the work folder and read back on the next run.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.report import progress
from demos.sample.catalogue import CATALOGUE, CLIPS, PHOTOS, SURFACES
from demos.sample.compose import encode
from demos.sample.plan import CLIP_LENGTH_S, Motion, Plan, on_frame
from demos.sample.plan import Scene as Shown
from reverie.pipeline.session import Session
from reverie.types import Box, Item, Label, Modality, Observation, ns

PHOTO_S = 12.0
FOOTAGE = {  # of --data/videos: how a question names what is seen there
    "car-detection.mp4": "cars passing on a road",
    "store-aisle-detection.gif": "people in the aisle of a shop",
}
# What observations are made of: those that were kept in another form are perceived anew.
_FORM = zlib.crc32(" ".join(field.name for kind in (Observation, Box, Label) for field in fields(kind)).encode())
Moment = tuple[Observation, ...]  # of one picture: the whole, and the things in it; times from the scene's start


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was perceived of one picture or clip, and the words in which a question asks for it."""

    scene_id: str
    phrase: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """`rare` scenes are needles; `common` ones recur every day."""

    rare: tuple[Scene, ...]
    common: tuple[Scene, ...]


def load_library(work: Path, data: Path | None) -> Library:
    """The perceived scenes, from the work folder or made anew; `data/videos` adds real footage to the common ones."""
    rare = [_perceived(asset.asset_id, asset.phrase, work) for asset in PHOTOS]
    common = [_perceived(asset.asset_id, asset.phrase, work) for asset in (*CLIPS, *SURFACES)]
    for name, phrase in FOOTAGE.items():
        if data is not None and (data / "videos" / name).exists():
            common.append(_perceived(name, phrase, work, data / "videos" / name))
    return Library(rare=tuple(rare), common=tuple(common))


def _perceived(scene_id: str, phrase: str, work: Path, path: Path | None = None) -> Scene:
    kept = work / f"scene-{Path(scene_id).stem}-{_FORM}.pickle"
    if not kept.exists():
        progress(f"{scene_id}: watching")
        path = path or _paint(scene_id, work / f"scene-{scene_id}.mp4")
        kept.write_bytes(pickle.dumps(_watch(path, kept.with_suffix(".memory"))))
    return Scene(scene_id=scene_id, phrase=phrase, moments=pickle.loads(kept.read_bytes()))


def _paint(asset_id: str, path: Path) -> Path:
    asset = CATALOGUE[asset_id]
    end_s = on_frame(CLIP_LENGTH_S.get(asset_id, PHOTO_S))
    motion = Motion(reach=0.9, period_s=7.0, zoom_from=1.1, zoom_to=1.5)
    layout = "clip" if asset.clip else "stage" if asset.surface else "photo"
    scene = Shown(asset_id=asset_id, layout=layout, start_s=0, end_s=end_s, motion=motion)
    plan = Plan(seed=0, profile="moving", duration_s=end_s, scenes=(scene,), captions=(), sentences=(), tunes=())
    encode(plan, path)
    return path


def _watch(path: Path, memory: Path) -> tuple[Moment, ...]:
    seen: list[Item] = []
    with Session(memory, runner="local") as session:
        session.watching(path, tap=seen.extend).wait()
    found = [item for item in seen if isinstance(item, Observation)]
    return a_second_each([item for item in found if item.modality in (Modality.VISION, Modality.OBJECTS)])


def a_second_each(observations: Sequence[Observation]) -> tuple[Moment, ...]:
    """The first picture of each second with the boxes that belong to it, all shown for one second."""
    pictures = sorted(
        (item for item in observations if item.modality is Modality.VISION), key=lambda item: item.span.start_ns
    )
    moments: dict[int, Moment] = {}
    for picture in pictures:
        second = picture.span.start_ns // ns(1)
        if second not in moments:
            beside = [
                item for item in observations
                if item.modality is Modality.OBJECTS and item.span.start_ns == picture.span.start_ns
            ]  # fmt: skip
            moments[second] = (picture, *beside)
    return tuple(moments[second] for second in sorted(moments))
