"""Imagination behind one call: a prompt, actions, or a memory in; clips of video out, as they are made.

    for clip in reverie.imagine("a red circle over grass", actions="left*8, up", seconds=20):
        show(clip.frames)

What a memory holds can be gone on with (see `recollection`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from reverie.errors import UsageError
from reverie.generation.chunks import Beginning
from reverie.generation.session import Imagination, Pace
from reverie.generation.writer import VideoWriter
from reverie.pipeline.build import open_memory
from reverie.pipeline.config import Profile, load_profile
from reverie.pipeline.imagination_config import ImaginationProfile, build_chunk_model, load_imagination
from reverie.pipeline.recollection import recollect
from reverie.types import IMAGINED, Citation, Clip

_MOST_REPEATS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From so many seconds into the video on, another prompt or other actions."""

    at_s: float
    prompt: str | None = None
    actions: tuple[str, ...] | None = None


class ClipSession(Protocol):
    """A session, in this process (`Imagination`) or in an actor (`RayImagination`)."""

    seed: int
    made: int
    num_frames: int | None
    sources: tuple[Mapping[str, Any], ...]
    pace: Pace

    @property
    def name(self) -> str: ...
    @property
    def rate_hz(self) -> float: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def prompt(self) -> str: ...
    def __iter__(self) -> Iterator[Clip]: ...
    def next_clip(self) -> Clip: ...
    def steer(self, *, prompt: str | None = None, actions: Sequence[str] | None = None) -> None: ...
    def save(self, path: Path) -> None: ...


def imagine(
    prompt: str = "",
    *,
    actions: str | Sequence[str] = (),
    seconds: float | None = None,
    seed: int = 0,
    profile: str | Path | ImaginationProfile = "world",
    from_memory: str | Path | None = None,
    about: str = "",
    memory_profile: str | Path = "embedded",
    resemble: bool = False,
    runner: Literal["local", "ray"] = "local",
) -> ClipSession:
    """A video, made while it is iterated over.

    Args:
        prompt: what is to be seen; empty: whatever the model likes.
        actions: of the camera, one a frame, or as text: "left*8, up"; the last one goes on.
        seconds: how long, to the frame; None: without an end.
        seed: of all that is random: equal calls give equal videos.
        profile: the model, see `configs/generation/`.
        from_memory: the directory of a memory to go on from.
        about: what of it: "continue what happened at 14:03", "the kitchen this morning, from the left".
        memory_profile: the profile that it was watched with.
        resemble: begin like what is remembered, rather than go on from it.
        runner: "ray": in an actor of its own, on a GPU of its own where there are any; several run beside each other.

    Returns:
        A session; iterating over it gives `Clip`s, and `steer` changes prompt and actions on the way.

    Raises:
        UsageError: a length that is not positive, an unknown action, an over-long prompt.
        NotPerceivable: the prompt, or what is remembered, is of what the model does not know.
        ModelError: no weights.
    """
    if (from_memory is None) != (not about):
        raise UsageError("to go on from a memory, name it and say what of it: both, or neither")
    told = actions_of(actions) if isinstance(actions, str) else tuple(actions)
    make = partial(
        _begin, load_imagination(profile), prompt, told, seconds, seed,
        None if from_memory is None else Path(from_memory).absolute(), about, load_profile(memory_profile), resemble,
    )  # fmt: skip
    return _run(make, runner)


def _run(make: Callable[[], Imagination], runner: Literal["local", "ray"]) -> ClipSession:
    if runner not in ("local", "ray"):
        raise UsageError(f"there is no runner {runner!r}; use 'local' or 'ray'")
    if runner == "local":
        return make()
    from reverie.pipeline.distributed.imagination import RayImagination

    return RayImagination(make)


def _begin(
    profile: ImaginationProfile,
    prompt: str,
    actions: tuple[str, ...],
    seconds: float | None,
    seed: int,
    memory: Path | None,
    about: str,
    memory_profile: Profile,
    resemble: bool,
) -> Imagination:
    """A new session, where it runs."""
    model = build_chunk_model(profile)
    beginning, sources = Beginning(), list[dict[str, Any]]()
    if memory is not None:
        found = recollect(memory, about, model, memory_profile)
        beginning = Beginning(
            first=None if resemble else found.frames, related=found.anchor if resemble else None, anchor=found.anchor,
            adapter=model.adapter_of(found.frames),
        )  # fmt: skip
        prompt, actions = prompt or found.prompt, actions or found.actions
        cited = [_cited(citation) for citation in found.citations]
        sources = [{"memory": memory.name, "about": about, "citations": cited}]
    return Imagination(
        model, prompt=prompt, actions=actions, seconds=seconds, seed=seed, beginning=beginning, sources=sources
    )


def actions_of(text: str) -> tuple[str, ...]:
    """Text such as "left*8, up" to eight times left and then up. Raises UsageError for a number that is none."""
    actions: list[str] = []
    for part in filter(None, (part.strip() for part in text.replace("\n", ",").split(","))):
        name, _, times = part.partition("*")
        if times and not (times.strip().isdigit() and 0 < int(times) <= _MOST_REPEATS):
            raise UsageError(f"cannot read the action {part!r}: write a name, or a name and a number, as in left*8")
        actions += [name.strip()] * int(times or 1)
    return tuple(actions)


def resume(
    path: Path,
    *,
    seconds: float | None = None,
    profile: str | Path | ImaginationProfile = "world",
    runner: Literal["local", "ray"] = "local",
) -> ClipSession:
    """Go on with a session that `Imagination.save` kept; `seconds` is of the whole video.

    Raises:
        ModelError: the file is no session, or one of another model.
    """
    return _run(partial(_resumed, path.absolute(), load_imagination(profile), seconds), runner)


def _resumed(path: Path, profile: ImaginationProfile, seconds: float | None) -> Imagination:
    return Imagination.resume(path, build_chunk_model(profile), seconds)


def film(
    session: ClipSession,
    path: Path,
    *,
    turns: Sequence[Turn] = (),
    keep: Path | None = None,
    memory: Path | None = None,
    profile: str | Path | ImaginationProfile = "world",
    progress: Callable[[ClipSession], None] = lambda session: None,
) -> dict[str, Any]:
    """Write a session into a file while it is made, and tell what was made.

    Args:
        session: what makes the clips; written from where it stands.
        path: a .mp4, a .webp, or a folder for PNG files.
        turns: each is taken by the first clip that begins at or after its time.
        keep: where the session is kept, whatever ends it: its end, Ctrl+C, a full disk.
        memory: what it goes on from notes both files as copies, for receipts of `forget`.
        profile: says how large a pixel is drawn.
        progress: called after every clip.

    Raises:
        UsageError: the file is there already, or of a kind that cannot be written.
        GenerationError: it cannot be written on; what was written plays.
    """
    scale, rate_hz = load_imagination(profile).pixel_scale, session.rate_hz
    prompts: list[tuple[int, str]] = []
    if memory is not None:
        with open_memory(memory) as remembered:  # first: a crash misses none
            remembered.note_copy("imagined video", path)
            if keep is not None:
                remembered.note_copy("kept session", keep)
    try:
        with VideoWriter(path, rate_hz, provenance(session), scale=scale) as writer:
            for clip in _steered(session, turns):
                writer.write(clip.frames)
                if not prompts or prompts[-1][1] != clip.prompt:
                    prompts.append((clip.first_frame, clip.prompt))
                progress(session)
    finally:
        if keep is not None:
            session.save(keep)
    height, width = session.size
    return {
        "file": str(path), "frames": session.pace.num_frames, "seconds": round(session.pace.num_frames / rate_hz, 3),
        "rate_hz": rate_hz, "size": [width * scale, height * scale], "first_clip_s": round(session.pace.first_s, 3),
        "frames_per_s": round(session.pace.frames_per_s, 2), "prompts": [list(told) for told in prompts],
        **provenance(session),
    }  # fmt: skip


def _steered(session: ClipSession, turns: Sequence[Turn]) -> Iterator[Clip]:
    waiting = sorted(turns, key=lambda turn: turn.at_s)
    while session.num_frames is None or session.made < session.num_frames:
        while waiting and waiting[0].at_s * session.rate_hz <= session.made:
            turn = waiting.pop(0)
            session.steer(prompt=turn.prompt, actions=turn.actions)
        yield session.next_clip()


def provenance(session: ClipSession) -> dict[str, Any]:
    """What a file says of how it came to be."""
    return {
        IMAGINED: 1, "model": session.name, "seed": session.seed, "prompt": session.prompt,
        "from": list(session.sources),
    }  # fmt: skip


def _cited(citation: Citation) -> dict[str, Any]:
    span = citation.span
    return {
        "stream": citation.stream_id, "from_s": span.start_s, "to_s": span.end_s, "sense": str(citation.modality),
        "text": citation.text,
    }  # fmt: skip
