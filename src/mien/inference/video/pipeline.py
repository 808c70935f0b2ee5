"""Stages that run in parallel, each in its own thread, connected by short queues.

OpenCV, onnxruntime and FFmpeg release Python's global lock while they work, so threads can use several cores.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# A function from a list of items to results, and its maximum number of items per call.
Stage = tuple[Callable[[list[Any]], Iterable[Any]], int]
# How long to wait for a thread that itself waits for a camera or network.
JOIN_TIMEOUT = 2.0


class Channel(Generic[T]):
    """A bounded queue between two threads. Either end can stop the other."""

    def __init__(self, capacity: int, *, use_latest: bool = False) -> None:
        """Create an empty queue; `use_latest`: when full, drop the oldest item instead of waiting for room."""
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._use_latest = use_latest
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_abandoned = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Wait for room and add an item; False if the receiver has stopped."""
        with self._changed:
            if self._use_latest and len(self._items) >= self._capacity:
                self._items.popleft()
            self._changed.wait_for(lambda: self._is_abandoned or len(self._items) < self._capacity)
            if not self._is_abandoned:
                self._items.append(item)
                self._changed.notify_all()
            return not self._is_abandoned

    def take(self, maximum: int = 1) -> list[T]:
        """Wait for an item and take all that are there, at most `maximum`; at the end none, or raise its error."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closed or self._is_abandoned)
            taken = [self._items.popleft() for _ in range(min(maximum, len(self._items)))]
            self._changed.notify_all()
        if not taken and self._error is not None and not self._is_abandoned:
            raise self._error
        return taken

    def close(self, error: BaseException | None = None) -> None:
        """Mark the end of the items, or the error that ended them."""
        with self._changed:
            self._is_closed, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Stop receiving; waiting items are dropped."""
        with self._changed:
            self._is_abandoned = True
            self._items.clear()
            self._changed.notify_all()


def run_pipeline(
    items: Generator[Any, None, None], stages: Sequence[Stage], capacity: int, *, use_latest: bool = False
) -> Generator[Any, None, None]:
    """Send items through stages, and yield the results of the last one in order.

    An error in any stage stops all of them. It is raised here, after the results of all items before it. If the caller
    stops early, all stages stop.

    Args:
        items: A generator, run and closed in a thread.
        stages: The functions to call.
        capacity: The capacity of the queues between stages.
        use_latest: If the first stage is busy, drop all but the last item instead of holding up `items`.
    """
    inbox = Channel[Any](1 if use_latest else capacity, use_latest=use_latest)
    channels = [inbox, *(Channel[Any](capacity) for _ in stages)]
    results = (_results(*stage, source) for stage, source in zip(stages, channels, strict=False))
    threads = [
        threading.Thread(target=_send, args=sent, name="mien video", daemon=True)
        for sent in zip([items, *results], channels, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        while taken := channels[-1].take():
            yield from taken
    finally:
        for channel in channels:
            channel.abandon()
        for thread in threads:
            thread.join(JOIN_TIMEOUT)


def _results(
    work: Callable[[list[Any]], Iterable[Any]], maximum: int, source: Channel[Any]
) -> Generator[Any, None, None]:
    try:
        while items := source.take(maximum):
            yield from work(items)
    finally:
        source.abandon()


def _send(items: Generator[Any, None, None], target: Channel[Any]) -> None:
    error: BaseException | None = None
    try:
        with closing(items):
            for item in items:
                if not target.put(item):
                    break
    except BaseException as caught:  # raised again where the results are taken
        error = caught
    target.close(error)
