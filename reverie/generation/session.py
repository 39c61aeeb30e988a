"""A streaming session: long video from a model that makes chunks, steered on the way, kept and gone on with.

    for clip in Imagination(model, prompt="a red circle over grass", seconds=60, seed=3):
        show(clip.frames)

Clips come as they are made. The requested length is kept to the frame: the last clip is cut to it. Without one the
video has no end. `steer` changes prompt and actions from the next chunk on. `save` keeps all that a session is in one
safetensors file, and `resume` goes on from it, in this process or another, with the same frames as if it had never
stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from reverie.errors import ModelError, UsageError
from reverie.generation.chunks import Beginning, ChunkModel, State, Steering, told
from reverie.types import Clip

_KIND = "reverie session"


@dataclass(slots=True)
class Pace:
    """How quickly clips came.

    Attributes:
        first_s: until the first clip was there.
        made_s: in which all of them were made.
        num_frames: made in this process.
    """

    first_s: float = 0.0
    made_s: float = 0.0
    num_frames: int = 0

    @property
    def frames_per_s(self) -> float:
        return self.num_frames / self.made_s if self.made_s else 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a session is: the state of its model, and what it was told."""

    state: State
    told: dict[str, Any]

    def save(self, path: Path) -> None:
        """Into a safetensors file, atomically."""
        temporary = path.with_suffix(".partial")
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.state.items()}
        save_file(tensors, temporary, {"session": json.dumps(self.told)})
        temporary.replace(path)


class Imagination:
    """One video in the making; iterate over it for its clips.

    Args:
        model: makes the chunks.
        prompt: what is to be seen.
        actions: of the camera, one a frame; the last one goes on.
        seconds: how long; None: without an end.
        seed: of all that is random.
        beginning: frames, anchor and adapter to begin with.
        sources: where those come from, for the provenance of what is made.
        state: of the model, to go on from instead of a beginning.

    Raises:
        UsageError: a length that is not positive, or what the model does not know.
    """

    def __init__(
        self,
        model: ChunkModel,
        *,
        prompt: str = "",
        actions: Sequence[str] = (),
        seconds: float | None = None,
        seed: int = 0,
        beginning: Beginning | None = None,
        sources: Sequence[Mapping[str, Any]] = (),
        state: State | None = None,
    ) -> None:
        if seconds is not None and not seconds > 0:
            raise UsageError(
                f"a video of {seconds} s cannot be made: give a positive number of seconds, or none for no end"
            )
        self.model, self.seed, self.sources, self.pace = model, seed, tuple(sources), Pace()
        self.num_frames = None if seconds is None else max(1, round(seconds * model.rate_hz))
        self.made = 0
        self._steering, self._steered_at = Steering(), 0
        self.steer(prompt=prompt, actions=actions)
        self._state = model.begin(seed, beginning or Beginning()) if state is None else state

    @property
    def name(self) -> str:
        """Of the model."""
        return self.model.name

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        return self.model.rate_hz

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.model.size

    @property
    def prompt(self) -> str:
        """What the next clip is told."""
        return self._steering.prompt

    def steer(self, *, prompt: str | None = None, actions: Sequence[str] | None = None) -> None:
        """Tell the chunks from the next one on another prompt, or other actions. UsageError if unknown."""
        steering = Steering(
            prompt=self._steering.prompt if prompt is None else prompt,
            actions=self._steering.actions if actions is None else tuple(actions),
        )
        self.model.check(steering)
        self._steering = steering
        if actions is not None:
            self._steered_at = self.made

    def __iter__(self) -> Iterator[Clip]:
        while self.num_frames is None or self.made < self.num_frames:
            yield self.next_clip()

    def next_clip(self) -> Clip:
        """Make the next chunk."""
        started = time.monotonic()
        steering = self._steering
        count = self.model.num_new(self._state)
        chunk = Steering(prompt=steering.prompt, actions=told(steering.actions, self.made - self._steered_at, count))
        frames, self._state = self.model.extend(self._state, chunk)
        if self.num_frames is not None:
            frames = frames[: self.num_frames - self.made]
        clip = Clip(frames=frames, first_frame=self.made, rate_hz=self.model.rate_hz, prompt=steering.prompt)
        self.made += len(frames)
        self.pace.made_s += time.monotonic() - started
        self.pace.num_frames += len(frames)
        self.pace.first_s = self.pace.first_s or self.pace.made_s
        return clip

    def snapshot(self) -> Snapshot:
        """The session as it is between two clips. Nothing that is made later changes it."""
        told = {
            "kind": _KIND, "model": self.model.name, "seed": self.seed, "made": self.made,
            "num_frames": self.num_frames, "prompt": self._steering.prompt, "actions": self._steering.actions,
            "steered_at": self._steered_at, "sources": self.sources,
        }  # fmt: skip
        return Snapshot(state=self._state, told=told)

    def save(self, path: Path) -> None:
        """Keep the session as it is between two clips, atomically."""
        self.snapshot().save(path)

    @classmethod
    def resume(cls, path: Path, model: ChunkModel, seconds: float | None = None) -> Self:
        """Go on from a saved session; `seconds` is then the new length of the whole video.

        Raises:
            ModelError: the file is no session, or one of another model.
        """
        try:
            with safe_open(path, framework="pt") as file:
                kept: dict[str, Any] = json.loads((file.metadata() or {}).get("session", "{}"))
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (SafetensorError, json.JSONDecodeError, OSError) as error:
            raise ModelError(f"{path} cannot be read as a saved session ({error})") from error
        if kept.get("kind") != _KIND or kept["model"] != model.name:
            raise ModelError(f"{path} is no session of the model {model.name!r}")
        session = cls(
            model, prompt=kept["prompt"], actions=kept["actions"], seconds=seconds, seed=kept["seed"],
            sources=kept["sources"], state=state,
        )  # fmt: skip
        session.made, session._steered_at = kept["made"], kept["steered_at"]
        if seconds is None:
            session.num_frames = kept["num_frames"]
        return session
