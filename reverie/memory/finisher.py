"""Forgetting that a reader holds up is finished as soon as the reader lets go, without anybody calling again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reverie.errors import MemoryStoreError

EVERY_S = 0.2


class Finisher:
    """Repeats a step on a thread of its own until it returns True. Thread-safe, but for `start` beside `stop`."""

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it is under way or was stopped."""
        if (self._thread is None or not self._thread.is_alive()) and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="reverie-finisher", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it is done, or nothing was to do, within the time."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def stop(self) -> None:
        """Give up, and wait for the step that is under way."""
        self._stopped.set()
        self.wait()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                if self._step():
                    return
            except MemoryStoreError:
                continue  # a full disk, say: the caller of the next write hears of it, and this goes on trying
