"""reverie: machines that watch, remember and imagine.

    import reverie

    with reverie.open("my.memory") as session:
        session.watch("my.mp4")
        print(session.ask("What was said about the train?").text)

Names are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reverie.errors import ConfigError, MemoryStoreError, ReverieError, SourceError, StageError, UsageError
    from reverie.memory import Memory
    from reverie.pipeline.build import Push, Stream, open_memory
    from reverie.pipeline.config import Profile, load_profile
    from reverie.pipeline.imagine import imagine
    from reverie.pipeline.progress import Progress
    from reverie.pipeline.session import Session, Watch, open
    from reverie.stage import Stage
    from reverie.types import (
        Answer,
        AudioChunk,
        Citation,
        Clip,
        Event,
        Frame,
        Hit,
        Modality,
        Observation,
        Query,
        TimeSpan,
        Track,
    )

_HOMES = {
    "reverie.errors": ("ConfigError", "MemoryStoreError", "ReverieError", "SourceError", "StageError", "UsageError"),
    "reverie.memory": ("Memory",),
    "reverie.pipeline.build": ("Push", "Stream", "open_memory"),
    "reverie.pipeline.config": ("Profile", "load_profile"),
    "reverie.pipeline.imagine": ("imagine",),
    "reverie.pipeline.progress": ("Progress",),
    "reverie.pipeline.session": ("Session", "Watch", "open"),
    "reverie.stage": ("Stage",),
    "reverie.types": (
        "Answer",
        "AudioChunk",
        "Citation",
        "Clip",
        "Event",
        "Frame",
        "Hit",
        "Modality",
        "Observation",
        "Query",
        "TimeSpan",
        "Track",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0.dev0"
__all__ = [
    "Answer",
    "AudioChunk",
    "Citation",
    "Clip",
    "ConfigError",
    "Event",
    "Frame",
    "Hit",
    "Memory",
    "MemoryStoreError",
    "Modality",
    "Observation",
    "Profile",
    "Progress",
    "Push",
    "Query",
    "ReverieError",
    "Session",
    "SourceError",
    "Stage",
    "StageError",
    "Stream",
    "TimeSpan",
    "Track",
    "UsageError",
    "Watch",
    "__version__",
    "imagine",
    "load_profile",
    "open",
    "open_memory",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'reverie' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
