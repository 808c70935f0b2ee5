"""Bounds on the work that is accepted: requests in progress, and bytes in memory."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from mien.apps.web.problems import ProblemError


class Budget:
    """A limited amount of something; a request for more is refused at once instead of waiting. Thread-safe.

    What a request takes is released when its work is done, not when the client leaves: a thread that decodes an image
    cannot be stopped.
    """

    def __init__(self, limit: int, resource: str) -> None:
        """Set the limit, and the plural noun for errors, as in "requests"."""
        self.limit = limit
        self.taken = 0
        self._resource = resource
        self._lock = threading.Lock()

    def check(self, amount: int = 1) -> None:
        """Raise `ProblemError` (429) if this much is not available."""
        if self.taken + amount > self.limit:
            raise ProblemError("queue-full", f"The limit of {self.limit:,} {self._resource} is reached; try again.")

    def take(self, amount: int = 1) -> None:
        """Take an amount until `release`; `ProblemError` (429) if it is not available."""
        with self._lock:
            self.check(amount)
            self.taken += amount

    def release(self, amount: int = 1) -> None:
        """Return an amount."""
        with self._lock:
            self.taken -= amount

    @contextlib.contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Provide a `take` whose amounts are released after the block."""
        held = 0

        def take(amount: int) -> None:
            nonlocal held
            self.take(amount)
            held += amount

        try:
            yield take
        finally:
            self.release(held)
