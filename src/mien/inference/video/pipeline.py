"""Stages that run side by side, each in a thread of its own, joined by short queues.

OpenCV, onnxruntime and FFmpeg let go of Python's lock while they work, so threads are enough to use several cores.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

Work = Callable[[list[Any]], Iterable[Any]]
# How long a thread that waits for a camera or a network is waited for.
SECONDS_TO_STOP = 2.0


class Channel(Generic[T]):
    """A queue of bounded length between two threads. Either end can stop the other."""

    def __init__(self, capacity: int, *, use_latest: bool = False) -> None:
        """Make an empty queue.

        Args:
            capacity: How many items wait at most.
            use_latest: When it is full, drop the oldest item and take the new one, instead of waiting for room.
        """
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._use_latest = use_latest
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_abandoned = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Add an item, when there is room; False when nobody will take it any more."""
        with self._changed:
            if self._use_latest and len(self._items) >= self._capacity:
                self._items.popleft()
            self._changed.wait_for(lambda: self._is_abandoned or len(self._items) < self._capacity)
            if not self._is_abandoned:
                self._items.append(item)
                self._changed.notify_all()
            return not self._is_abandoned

    def take(self, most: int = 1) -> list[T]:
        """Take all items that wait, at least 1 and at most `most`; none when there will be no more.

        Raises:
            BaseException: What `close` was given, after the items that came before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closed or self._is_abandoned)
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._changed.notify_all()
        if not taken and self._error is not None and not self._is_abandoned:
            raise self._error
        return taken

    def close(self, error: BaseException | None = None) -> None:
        """Say that no more items come, and why if that was not planned."""
        with self._changed:
            self._is_closed, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that no more items are wanted; those that wait are let go."""
        with self._changed:
            self._is_abandoned = True
            self._items.clear()
            self._changed.notify_all()


def run_pipeline(
    frames: Iterator[Any],
    source: Channel[Any],
    stages: Sequence[tuple[Work, int]],
    capacity: int,
    done: Callable[[], None],
) -> Iterator[Any]:
    """Send items through stages and yield what the last one returns, in order.

    An error in a stage ends all of them; it is raised here after the results of the items before it. When the
    caller stops early, all stages end.

    Args:
        frames: The items; taken in a thread.
        source: The queue into the first stage; it decides whether a slow pipeline holds `frames` up or drops some.
        stages: Functions from a list of items to results, each with the most items it takes at a time.
        capacity: The length of the queues between stages.
        done: Called in the thread that took the items, when it takes no more.
    """
    channels = [source, *(Channel[Any](capacity) for _ in stages)]
    calls = [partial(_feed, frames, source, done)]
    for (work, most), inbox, outbox in zip(stages, channels, channels[1:], strict=False):
        calls.append(partial(_work, work, most, inbox, outbox))
    threads = [threading.Thread(target=call, name=f"mien-{i}", daemon=True) for i, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    try:
        while taken := channels[-1].take():
            yield from taken
    finally:
        for channel in channels:
            channel.abandon()
        for thread in threads:
            thread.join(SECONDS_TO_STOP)


def _feed(frames: Iterator[A], outbox: Channel[A], done: Callable[[], None]) -> None:
    error: BaseException | None = None
    try:
        for frame in frames:
            if not outbox.put(frame):
                break
    except BaseException as caught:  # it is raised again where the results are taken
        error = caught
    finally:
        done()
        outbox.close(error)


def _work(work: Callable[[list[A]], Iterable[B]], most: int, inbox: Channel[A], outbox: Channel[B]) -> None:
    error: BaseException | None = None
    try:
        while items := inbox.take(most):
            for result in work(items):
                if not outbox.put(result):
                    return
    except BaseException as caught:  # it is raised again where the results are taken
        error = caught
    finally:
        inbox.abandon()
        outbox.close(error)
