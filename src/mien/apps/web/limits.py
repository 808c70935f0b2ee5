"""What bounds the work that is taken on: places in the queue, and bytes in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from mien.apps.web.problems import ProblemError


class Admission:
    """A number of places; who finds none is refused at once instead of waiting. For one event loop.

    A place is free again when the work is done, and not when the client has gone: a thread that decodes a picture
    cannot be stopped, and goes on costing.
    """

    def __init__(self, places: int, what: str) -> None:
        """Take how many places there are, and what to call those who fill them, as in "requests"."""
        self.places = places
        self.taken = 0
        self._what = what

    def check(self) -> None:
        """Raise `ProblemError` (429) if no place is free."""
        if self.taken >= self.places:
            raise ProblemError("queue-full", f"All {self.places} places for {self._what} are taken; try again.")

    def take(self) -> Place:
        """Take a place until it is left; `ProblemError` (429) if none is free."""
        self.check()
        self.taken += 1
        return Place(self)

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """Take a place for as long as the block lasts, or the job that the place is handed to.

        Raises:
            ProblemError: No place is free (429).
        """
        place = self.take()
        try:
            yield place
        finally:
            if not place.is_handed_over:
                place.leave()


class Place:
    """One place of an `Admission`."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.is_handed_over = False

    def leave(self) -> None:
        """Make the place free; to be called once."""
        self._admission.taken -= 1

    def hand_over(self, job: Future[Any]) -> None:
        """Keep the place until a job in another thread is done, whoever still waits for it."""
        self.is_handed_over = True
        loop = asyncio.get_running_loop()

        def leave(_: object) -> None:
            # the loop is closed already when a job outlasts the server
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.leave)

        job.add_done_callback(leave)


class ByteBudget:
    """Bytes that all requests together may hold in memory. For one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    @contextlib.contextmanager
    def share(self) -> Iterator[ByteShare]:
        """Give a request its share, which is free again after the block."""
        share = ByteShare(self)
        try:
            yield share
        finally:
            self.held -= share.held


class ByteShare:
    """What one request holds of a `ByteBudget`."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, size: int) -> None:
        """Take so many bytes more; `ProblemError` (429) if others hold too many."""
        if self._budget.held + size > self._budget.most:
            raise ProblemError("queue-full", "The bodies of other requests fill the memory; try again.")
        self._budget.held += size
        self.held += size
