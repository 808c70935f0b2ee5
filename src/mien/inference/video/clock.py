"""One clock for a file of several recordings that were joined, and for a stream whose clock jumps.

Packets come in the order of decoding, in which neither decoding times nor the times of key frames run backwards. If one
does, another recording starts.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

# Seconds. Smaller steps back of key frames come from inaccurate clocks.
STEP_BACK = 0.025
# Longer steps forward are no pauses, if the format's clock may jump (MPEG files, network streams). FFmpeg's limit.
STEP_FORWARD = 10.0
# Between key frames, only longer steps back are jumps. After one wrong packet, an earlier clock continues if it is
# nearer than this to the expected time.
NEAR = 1.0
# How many clocks are remembered: sound may lag behind by a few short recordings.
REMEMBERED = 8


class VideoClock:
    """Moves the times of packets so that they continue where the video's clock jumps.

    Only the video decides. Sound follows the clock that brings it nearest to the video.
    """

    def __init__(self, step: float, *, can_jump: bool) -> None:
        """Start a clock; `step` is a frame's duration in seconds, `can_jump` if the format allows steps forward."""
        self.has_jumped = False
        self._step = step
        self._forward = STEP_FORWARD if can_jump else float("inf")
        self._shifts = deque([0.0], REMEMBERED)  # in seconds; the last one is in force
        # Of the video so far, moved: the last decoding time, and the latest time at which a frame is shown.
        self._decoded: float | None = None
        self._shown: float | None = None

    def move_video(self, packet: Packet[Any]) -> None:
        """Move the times of the video's next packet."""
        decoded, shown = _seconds(packet, packet.dts), _seconds(packet, packet.pts)
        if packet.is_keyframe and shown is not None:
            self._follow(shown, self._shown, STEP_BACK, shown)
        elif decoded is not None:
            self._follow(decoded, self._decoded, NEAR, decoded if shown is None else shown)
        shift = self._shifts[-1]
        if decoded is not None:
            self._decoded = decoded + shift
        if shown is not None:
            self._shown = shown + shift if self._shown is None else max(self._shown, shown + shift)
        _move(packet, shift)

    def move_sound(self, packet: Packet[Any]) -> None:
        """Move the times of a packet of sound that was stored near the video's last packet."""
        time = _seconds(packet, packet.pts if packet.dts is None else packet.dts)
        if time is not None and self.has_jumped:
            now = self._decoded or 0.0
            _move(packet, min(self._shifts, key=lambda shift: abs(time + shift - now)))

    def _follow(self, time: float, last: float | None, back: float, shown: float) -> None:
        """Change the shift in force if the clock has jumped from `last`, moved, to `time`; `back` is allowed."""
        if last is None:
            return
        step = time + self._shifts[-1] - last
        earlier = [shift for shift in self._shifts if -back <= time + shift - last <= NEAR]
        if step > NEAR and earlier:
            self._shifts.append(earlier[-1])
        elif step < -back or step > self._forward:
            self.has_jumped = True
            end = last if self._shown is None else self._shown
            self._shifts.append(end + self._step - shown)


def _seconds(packet: Packet[Any], ticks: int | None) -> float | None:
    return None if ticks is None else float(ticks * packet.time_base)


def _move(packet: Packet[Any], seconds: float) -> None:
    ticks = round(seconds / packet.time_base)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks
