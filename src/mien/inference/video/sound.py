"""The sound of a video, kept for its annotated copy."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

# Codecs that MP4 files are played with; sound in another one is converted to AAC, which has these rates in Hz.
COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}
AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}


class Sound:
    """A queue of sound from the thread that reads a video to the one that writes its copy."""

    def __init__(self, track: AudioStream) -> None:
        """Start empty; `track` is the video's, which is open."""
        from av.bitstream import BitStreamFilterContext

        self.start: float | None = None  # when the video's first frame is shown, in seconds
        self.is_complete = False  # whether the video was read to its end
        self.track = track
        codec = track.codec_context.codec.canonical_name
        self._is_copied = codec in COPIED
        # AAC in MPEG and raw streams has a header in each packet, which MP4 has in the file's.
        self._filter = None
        if codec == "aac" and not track.codec_context.extradata:
            self._filter = BitStreamFilterContext("aac_adtstoasc", track)
        self._pieces = deque[Any]()  # packets if they are copied, else decoded frames
        self._taken = 0.0  # the end of what was taken, in seconds from the video's first frame

    def put(self, packet: Packet[AudioStream]) -> None:
        """Add a packet while the video is open; a damaged one is left out."""
        from av import FFmpegError

        with contextlib.suppress(FFmpegError):
            if not self._is_copied:
                self._pieces += packet.decode()
            elif packet.size:  # the last one is empty
                self._pieces += [packet] if self._filter is None else self._filter.filter(packet)

    def add_track(self, copy: OutputContainer) -> AudioStream:
        """Add a track for the sound to an MP4 file, while the video is open."""
        if self._is_copied:
            return copy.add_stream_from_template(self.track)
        context = self.track.codec_context
        track = copy.add_stream("aac", rate=context.sample_rate if context.sample_rate in AAC_RATES else 48000)
        track.layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        return track

    def take(self, track: AudioStream, end: float | None) -> Iterator[Packet[AudioStream]]:
        """Yield packets for the copy's `track` up to `end`, in seconds from the video's first frame.

        With `end` None, yield the rest, and finish the track. Left out is what starts before the first frame, and what
        would sound at the same time as something that was taken before, where recordings were joined.

        Raises:
            ValueError: The format of the sound changes, so it cannot be converted.
        """
        while self._pieces and self.start is not None:
            piece = self._pieces[0]
            duration = float(piece.duration * piece.time_base) if piece.duration else 0.0
            time = -1.0 if piece.pts is None else float(piece.pts * piece.time_base) - self.start
            if end is not None and time >= end:
                break
            self._pieces.popleft()
            if time < self._taken - duration / 2:
                continue
            self._taken = time + duration
            piece.pts = round(time / piece.time_base)
            if self._is_copied:
                piece.dts, piece.stream = piece.pts, track
                yield piece
            else:
                yield from track.encode(piece)
        if end is None and not self._is_copied:
            yield from track.encode(None)
