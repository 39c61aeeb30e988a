"""The Ray actors: a host on one dedicated thread inside an async shell, and a reasoner.

Calls of the host run one after another on its thread, in the order in which they were made; `health`
has a concurrency group of its own, so it answers while the host computes.
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

    async def setup(self) -> None:
        self._host = await self._on_thread(self._make)
        await self._on_thread(self._host.setup)

    async def step(self, names: Sequence[str], *batches: Sequence[Item]) -> Any:
        result = await self._on_thread(self._host.step, names, *batches)
        return result if len(result) > 1 else result[0]

    async def call(self, method: str, *args: Any) -> Any:
        return await self._on_thread(getattr(self._host, method), *args)

    @ray.method(concurrency_group="health")
    async def health(self) -> dict[str, int]:
        """The actor's process, for whoever watches or tests it."""
        return {"pid": os.getpid()}

    async def _on_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args))


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
