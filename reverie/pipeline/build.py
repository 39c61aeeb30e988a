"""Wiring: a profile and sources become a graph; a profile and a memory become something that answers.

The one place where perception, memory and reasoning meet. What is built here travels to other
processes, so factories are plain functions of picklable arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from reverie.errors import UsageError
from reverie.memory import Memory
from reverie.memory.encryption import key_from_environment
from reverie.perception.addresses import scheme
from reverie.perception.conse import Conse, class_meanings
from reverie.perception.detector import COCO_NAMES, Ssd
from reverie.perception.frame_encoder import FrameEncoder
from reverie.perception.live import PushSource
from reverie.perception.minilm import MiniLM
from reverie.perception.objects import ObjectsStage
from reverie.perception.openclip import OpenClipFrames, OpenClipText
from reverie.perception.sound import SoundStage
from reverie.perception.sources import Source, open_source
from reverie.perception.speech import SpeechStage
from reverie.perception.vision import VisionStage
from reverie.perception.whisper import Whisper
from reverie.perception.writing import WritingStage
from reverie.pipeline.config import OpenClipPictures, Profile, load_profile
from reverie.pipeline.graph import Edge, Graph, Node, Policy, Port, Role
from reverie.pipeline.host import SourceHost, StageHost
from reverie.pipeline.memory_host import MemoryHost
from reverie.reasoning import OpenAIReader, Reasoner, Senses
from reverie.reasoning.senses import EMBEDDED_MISSING
from reverie.stage import Stage
from reverie.types import Answer, Modality, TextEncoder, TimeSpan, zone_named

STAGE_PORTS = (Port.OBSERVATIONS,)
RECORD_ITEMS = 1024
MEMORY_BATCH = 256


@dataclass(frozen=True, slots=True)
class Push:
    """A live stream whose frames and sound are pushed with `Watch.push`."""

    stream_id: str
    has_video: bool = True
    has_audio: bool = True
    wall_anchor_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A source with what it does not know of itself: its name, where it stands, and in which time zone.

    `source` is whatever may be watched; `place`, `timezone` and `imagined` are those of `StreamStart`. What is empty
    stays as the source says.
    """

    source: Any
    stream_id: str = ""
    place: str = ""
    timezone: str = ""
    imagined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """A source that was found fit to watch, and where its host has to run."""

    stream: Stream
    stream_id: str
    node_name: str
    make: Callable[[], Source]
    live: bool
    here: bool


def plan_sources(sources: Sequence[Any], profile: Profile) -> list[SourcePlan]:
    """Open every source once and look at it, before anything is started or written.

    Raises:
        SourceError: one of them cannot be watched.
        UsageError: two of them are the same stream, or a time zone is none.
    """
    plans: list[SourcePlan] = []
    for number, source in enumerate(sources):
        stream = source if isinstance(source, Stream) else Stream(source)
        if stream.timezone:
            try:
                zone_named(stream.timezone)
            except ValueError as error:
                raise UsageError(str(error)) from None
        spec = stream.source
        travels = isinstance(spec, str | Path | Push)
        make = partial(_make_source, _absolute(spec), profile, stream.stream_id)
        made = make()
        start = made.open()
        if any(plan.stream_id == start.stream_id for plan in plans):
            made.close()
            raise UsageError(f"{spec} is the same stream as another source; name it once")
        if travels:
            made.close()
        if stream.stream_id not in ("", start.stream_id):
            raise UsageError(f"a source of your own names its stream itself: {start.stream_id!r}")
        plans.append(
            SourcePlan(
                stream=stream,
                stream_id=start.stream_id,
                node_name=f"source:{number}",
                make=make if travels else partial(_same, made),  # a generator gives its items once
                live=start.live,
                here=not travels,
            )
        )
    return plans


def _absolute(spec: Any) -> Any:
    """A path that means the same in every process; URLs, cameras and iterables as they are."""
    if isinstance(spec, str) and not scheme(spec) and not spec.startswith("camera:"):
        return str(Path(spec).absolute())
    return spec.absolute() if isinstance(spec, Path) else spec


def _make_source(spec: Any, profile: Profile, stream_id: str) -> Source:
    if isinstance(spec, Push):
        return PushSource(
            stream_id or spec.stream_id,
            profile.source,
            has_video=spec.has_video,
            has_audio=spec.has_audio,
            wall_anchor_ns=spec.wall_anchor_ns,
        )
    return open_source(spec, profile.source, stream_id=stream_id)


def _same(source: Any) -> Source:
    return cast(Source, source)


def build_graph(plans: Sequence[SourcePlan], profile: Profile, directory: Path) -> Graph:
    """The graph of `graph.py`'s docstring, with one source node for each plan."""
    stages = perception_stages(profile)
    source_ports = tuple(sorted({Port.RECORDS, *(port for _, port, _ in stages)}))
    nodes = [
        Node(
            name=plan.node_name,
            role=Role.SOURCE,
            live=plan.live,
            here=plan.here,
            make=partial(
                SourceHost,
                plan.make,
                source_ports,
                profile.cut_interval_s,
                plan.stream.place,
                plan.stream.timezone,
                plan.stream.imagined,
            ),
        )
        for plan in plans
    ]
    edges: list[Edge] = []
    owners: dict[str, str | None] = {}
    for name, port, make in stages:
        stage = make()
        nodes.append(
            Node(
                name=name,
                role=Role.STAGE,
                max_batch=stage.max_batch,
                max_wait_s=stage.max_wait_s,
                make=partial(StageHost, name, make, STAGE_PORTS),
            )
        )
        edges += [_sense_edge(plan, port, name, profile) for plan in plans]
        edge = Edge(sender=name, port=Port.OBSERVATIONS, receiver="memory", capacity=profile.edges.observation_items)
        edges.append(edge)
        owners[edge.name] = None
    for plan in plans:
        edge = Edge(sender=plan.node_name, port=Port.RECORDS, receiver="memory", capacity=RECORD_ITEMS)
        edges.append(edge)
        owners[edge.name] = plan.stream_id
    write = partial(open_memory, directory, profile, "w")
    nodes.append(Node(name="memory", role=Role.SINK, max_batch=MEMORY_BATCH, make=partial(MemoryHost, write, owners)))
    return Graph(nodes=tuple(nodes), edges=tuple(edges))


def _sense_edge(plan: SourcePlan, port: Port, stage: str, profile: Profile) -> Edge:
    sizes = profile.edges
    capacity, live = (
        (sizes.video_items, sizes.live_video) if port is Port.VIDEO else (sizes.audio_items, sizes.live_audio)
    )
    policy = live if plan.live else Policy.BLOCK
    return Edge(sender=plan.node_name, port=port, receiver=stage, capacity=capacity, policy=policy)


def perception_stages(profile: Profile) -> list[tuple[str, Port, Callable[[], Stage[Any, Any]]]]:
    """The senses that the profile has: name, what they take, and how to make them."""
    # A frame stands until the next one is sampled, so the rate of sampling says how long.
    step = {"frame_interval_s": 1 / profile.source.sampling.fps}
    vision = profile.vision.model_copy(update=step)
    stages: list[tuple[str, Port, Callable[[], Stage[Any, Any]]]] = [
        ("vision", Port.VIDEO, partial(VisionStage, picture_encoder(profile), vision))
    ]
    if profile.objects is not None:
        objects = profile.objects.model_copy(update=step)
        stages.append(("objects", Port.VIDEO, partial(ObjectsStage, Ssd(profile.detector), objects)))
    if profile.writing is not None:
        writing = profile.writing.model_copy(update=step)
        stages.append(("writing", Port.VIDEO, partial(WritingStage, None, writing)))
    if profile.speech is not None:
        stages.append(("speech", Port.AUDIO, partial(SpeechStage, Whisper(profile.recogniser), profile.speech)))
    if profile.sound is not None:
        stages.append(("sound", Port.AUDIO, partial(SoundStage, profile.sound)))
    return stages


def picture_encoder(profile: Profile) -> FrameEncoder:
    """The profile's encoder of whole pictures, not loaded yet."""
    if isinstance(profile.pictures, OpenClipPictures):
        return OpenClipFrames(profile.pictures.options)
    return Conse(profile.pictures.options)


def query_encoders(profile: Profile) -> Mapping[str, TextEncoder]:
    """What embeds a question into the space of the profile's pictures."""
    pictures = picture_encoder(profile)
    text: TextEncoder = MiniLM()
    if isinstance(profile.pictures, OpenClipPictures):
        text = OpenClipText(profile.pictures.options)
    return {pictures.encoder_id: text}


def open_memory(
    directory: str | Path, profile: str | Path | Profile = "embedded", mode: Literal["r", "w"] = "r"
) -> Memory:
    """The memory in a directory, with the encoders of the profile and the key of the environment, if there is one.

    Mode "w" opens it for the one writer, and makes it if need be: `teach`, `note`, `forget`, `pin` need that.

    Raises:
        ConfigError: there is no such profile.
        MemoryLocked: another process writes it.
        MemoryStoreError: mode "r" and nothing is there; see `Memory.open` for the rest.
    """
    profile = profile if isinstance(profile, Profile) else load_profile(profile)
    return Memory.open(
        Path(directory),
        text_encoder=MiniLM(),
        mode=mode,
        query_encoders=query_encoders(profile),
        config=profile.memory,
        key=key_from_environment(),
    )


def senses(profile: Profile) -> Senses:
    """What the profile perceives, for declining what it cannot."""
    left_out = {
        Modality.OBJECTS: profile.objects,
        Modality.WRITING: profile.writing,
        Modality.SPEECH: profile.speech,
        Modality.SOUND: profile.sound,
    }
    return Senses(
        profile=profile.name,
        modalities=tuple(modality for modality in Modality if left_out.get(modality, True) is not None),
        object_names=tuple(filter(None, COCO_NAMES)) if profile.objects is not None else (),
        class_meanings=class_meanings() if not isinstance(profile.pictures, OpenClipPictures) else {},
        missing=EMBEDDED_MISSING,
    )


class Answerer:
    """A reader of a memory and the reasoner over it."""

    def __init__(self, directory: Path, profile: Profile) -> None:
        self.memory = open_memory(directory, profile, "r")
        reader = None
        if (server := profile.reader) is not None:
            reader = OpenAIReader(server.base_url, server.model, server.api_key_env, server.options)
        self._reasoner = Reasoner(self.memory, senses(profile), profile.reasoner, reader)

    def ask(self, question: str, *, stream_ids: Iterable[str] = ()) -> Answer:
        return self._reasoner.ask(question, stream_ids=tuple(stream_ids))

    def looked_in(self, question: str) -> tuple[tuple[str, ...], TimeSpan | None]:
        return self._reasoner.looked_in(question)

    def close(self) -> None:
        self.memory.close()
