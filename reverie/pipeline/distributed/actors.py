"""The Ray actors: a host on one dedicated thread inside an async shell, a reasoner, and a session of imagination.

Calls of the host run one after another on its thread, in the order in which they were made: an async
actor starts them as their arguments arrive, so each carries its number and waits for its turn.
`health` has a concurrency group of its own, so it answers while the host computes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import ray

from reverie.generation.session import Imagination, Pace
from reverie.pipeline.host import Host
from reverie.types import Answer, Clip, Item


class HostShell:
    """Runs one host. Restarting is the executor's business: it has the states to go on from."""

    def __init__(self, make: Callable[[], Host]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reverie-host")
        self._turn = 0
        self._turned = asyncio.Condition()

    async def setup(self, turn: int) -> None:
        await self._in_turn(turn, self._begin)

    def _begin(self) -> None:
        self._host = self._make()
        self._host.setup()

    async def step(self, turn: int, names: Sequence[str], *batches: Sequence[Item]) -> Any:
        result = await self._in_turn(turn, lambda: self._host.step(names, *batches))
        return result if len(result) > 1 else result[0]

    async def call(self, turn: int, method: str, *args: Any) -> Any:
        return await self._in_turn(turn, lambda: getattr(self._host, method)(*args))

    @ray.method(concurrency_group="health")
    async def health(self) -> dict[str, int]:
        """The actor's process, for whoever watches or tests it."""
        return {"pid": os.getpid()}

    async def _in_turn(self, turn: int, function: Callable[[], Any]) -> Any:
        async with self._turned:
            await self._turned.wait_for(lambda: self._turn == turn)
            future = asyncio.get_running_loop().run_in_executor(self._thread, function)
            self._turn += 1
            self._turned.notify_all()
        return await future


class Answers(Protocol):
    """What answers questions (see `reverie.pipeline.build.Answerer`)."""

    def ask(self, question: str, *, stream_ids: tuple[str, ...]) -> Answer: ...


class Reasoning:
    """Answers from a memory that another actor writes. It holds no state, so it may restart at will."""

    def __init__(self, make: Callable[[], Answers]) -> None:
        self._make = make
        self._answers: Answers | None = None

    def ask(self, question: str, stream_ids: tuple[str, ...]) -> Answer:
        if self._answers is None:  # the memory may not have been there when the actor started
            self._answers = self._make()
        return self._answers.ask(question, stream_ids=stream_ids)

    def pid(self) -> int:
        return os.getpid()


class Imagining:
    """One session of imagination. Its calls run one after another."""

    def __init__(self, make: Callable[[], Imagination]) -> None:
        self._make = make

    def begin(self) -> dict[str, Any]:
        """Load the model; tell what does not change."""
        self._session = session = self._make()
        self._before = session.snapshot()
        return {
            "name": session.model.name, "seed": session.seed, "sources": session.sources, "rate_hz": session.rate_hz,
            "size": session.size, "num_frames": session.num_frames, "made": session.made, "prompt": session.prompt,
        }  # fmt: skip

    def next_clip(self) -> tuple[Clip, Pace]:
        self._before = self._session.snapshot()
        return self._session.next_clip(), self._session.pace

    def steer(self, prompt: str | None, actions: Sequence[str] | None) -> None:
        self._session.steer(prompt=prompt, actions=actions)

    def save(self, path: Path, before_last: bool) -> None:
        """As it is, or as it was before the last clip."""
        (self._before if before_last else self._session.snapshot()).save(path)


# Actors of a pipeline share the machine whatever its cores: they ask Ray for none.
_HOST_OPTIONS: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "concurrency_groups": {"health": 1}}
_REASONING_OPTIONS: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 1}
HostActor: Any = ray.remote(**_HOST_OPTIONS)(HostShell)
ReasoningActor: Any = ray.remote(**_REASONING_OPTIONS)(Reasoning)
ImaginationActor: Any = ray.remote(num_cpus=0, max_restarts=0)(Imagining)
