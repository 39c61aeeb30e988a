"""The Ray actors: a host on one dedicated thread inside an async shell, and a reasoner.

Calls of the host run one after another on its thread, in the order in which they were made: an async
actor starts them as their arguments arrive, so each carries its number and waits for its turn.
`health` has a concurrency group of its own, so it answers while the host computes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import ray

from reverie.pipeline.host import Host
from reverie.types import Answer, Item


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


# Actors of a pipeline share the machine whatever its cores: they ask Ray for none.
_HOST_OPTIONS: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "concurrency_groups": {"health": 1}}
_REASONING_OPTIONS: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 1}
HostActor: Any = ray.remote(**_HOST_OPTIONS)(HostShell)
ReasoningActor: Any = ray.remote(**_REASONING_OPTIONS)(Reasoning)
