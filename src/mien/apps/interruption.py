"""Ctrl-C and SIGTERM for commands that finish what they are writing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the first Ctrl-C or SIGTERM in `signal` instead of stopping at once."""

    def __init__(self) -> None:
        self.signal = 0

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Delay the first signal inside `with`; a second one acts as usual."""
        before = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
