"""A bounded queue before the model: so many ask at once, so many wait, the next is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qa.errors import ModelBusyError


class Gate:
    """At most `slots` inside and `queue` waiting; used from one event loop."""

    def __init__(self, *, slots: int, queue: int) -> None:
        self._free = asyncio.Semaphore(slots)
        self._slots = slots
        self._queue = queue
        self._inside = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Wait for a place. Raises `ModelBusyError` at once where the queue is full."""
        if self._inside >= self._slots + self._queue:
            raise ModelBusyError(f"{self._inside} questions are waiting for the model already.")
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1
