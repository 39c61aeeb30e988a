"""A profile: which models perceive, how the graph is sized, how memory and answers are tuned.

Profiles are YAML files in `configs/`; every key not given has the default of the component that owns
it, and an unknown key is an error. `reverie config show` prints a profile in full.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reverie.errors import ConfigError
from reverie.memory import MemoryConfig
from reverie.perception.conse import ConseConfig
from reverie.perception.detector import SsdConfig
from reverie.perception.objects import ObjectsConfig
from reverie.perception.openclip import OpenClipConfig
from reverie.perception.sound import SoundConfig
from reverie.perception.source_config import SourceConfig
from reverie.perception.speech import SpeechConfig
from reverie.perception.vision import VisionConfig
from reverie.perception.whisper import WhisperConfig
from reverie.perception.writing import WritingConfig
from reverie.pipeline.graph import Policy
from reverie.reasoning import ReaderConfig, ReasonerConfig

AProfile = TypeVar("AProfile", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConsePictures(_Part):
    """Pictures by class probabilities and the class names' meanings: needs no download."""

    kind: Literal["conse"] = "conse"
    options: ConseConfig = ConseConfig()


class OpenClipPictures(_Part):
    """Pictures and questions in one trained space."""

    kind: Literal["open_clip"]
    options: OpenClipConfig


class EdgeConfig(_Part):
    """How much may wait between stages, and what a full edge does. Files always block."""

    video_items: int = Field(16, ge=1, description="Frames that may wait for a stage.")
    audio_items: int = Field(64, ge=1, description="Chunks of sound that may wait for a stage.")
    observation_items: int = Field(256, ge=1, description="Observations that may wait for memory.")
    live_video: Policy = Field(Policy.LATEST, description="What a full edge of live frames does.")
    live_audio: Policy = Field(Policy.DROP_OLDEST, description="What a full edge of live sound does.")


class ReaderServer(_Part):
    """An OpenAI-compatible server that words the answers from the evidence."""

    base_url: str = Field(description='Up to and with /v1: "http://127.0.0.1:8080/v1".')
    model: str = Field(description="The model's name on that server.")
    api_key_env: str = Field("OPENAI_API_KEY", description="Environment variable that holds the key, if it needs one.")
    options: ReaderConfig = ReaderConfig()


class Profile(_Part):
    """Everything that `reverie watch` and `reverie ask` need to know. A sense set to null is left out."""

    name: str
    summary: str
    source: SourceConfig = SourceConfig()
    vision: VisionConfig = VisionConfig()
    pictures: Annotated[ConsePictures | OpenClipPictures, Field(discriminator="kind")] = ConsePictures()
    objects: ObjectsConfig | None = ObjectsConfig()
    detector: SsdConfig = SsdConfig()
    writing: WritingConfig | None = WritingConfig()
    speech: SpeechConfig | None = SpeechConfig()
    recogniser: WhisperConfig = WhisperConfig()
    sound: SoundConfig | None = SoundConfig()
    memory: MemoryConfig = MemoryConfig()
    reasoner: ReasonerConfig = ReasonerConfig()
    reader: ReaderServer | None = Field(None, description="Who words the answers; null: they are extracted.")
    edges: EdgeConfig = EdgeConfig()
    cut_interval_s: float = Field(20.0, gt=0, description="Media time between the points that work can resume from.")


def profile_folder() -> Path:
    """Where the profiles that ship with reverie are: inside the wheel, or beside the package in a checkout."""
    packaged = Path(str(files("reverie"))) / "_configs"
    return packaged if packaged.is_dir() else Path(str(files("reverie"))).parent / "configs"


def profile_names() -> list[str]:
    """Names of the profiles that ship with reverie."""
    return sorted(path.stem for path in profile_folder().glob("*.yaml"))


def load_profile(name_or_path: str | Path) -> Profile:
    """Load a profile by its name, or from a YAML file.

    Raises:
        ConfigError: there is no such profile, or it has unknown keys or values out of range.
    """
    return read_profile(name_or_path, profile_folder(), Profile)


def read_profile(name_or_path: str | Path, folder: Path, model: type[AProfile]) -> AProfile:
    """A profile of some kind: by its name out of a folder, or from a YAML file. Raises ConfigError."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        names = sorted(known.stem for known in folder.glob("*.yaml"))
        if str(name_or_path) not in names:
            raise ConfigError(
                f"there is no profile {str(name_or_path)!r}; there are {', '.join(names)}, or give a .yaml file"
            )
        path = folder / f"{name_or_path}.yaml"
    try:
        return model.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the profile {path}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"the profile {path.name} is wrong: {faults}") from error


def profile_as_yaml(profile: Profile) -> str:
    """The profile with every option and its value."""
    text: str = yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text.rstrip()
