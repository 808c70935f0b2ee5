"""Write video files for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

TICKS = 1000
RATE = 16000  # of sound
FAST = {"libx264": {"preset": "ultrafast"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}


def write_video(  # noqa: PLR0917
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    times: Sequence[float] | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Write RGB frames at 25 per second, or at `times` in seconds; return the path."""
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=25)
        video.pix_fmt = "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        if aspect:
            video.sample_aspect_ratio = aspect
        if times is not None:
            video.codec_context.time_base = Fraction(1, TICKS)
        for number, pixels in enumerate(frames):
            if number == 0:
                video.height, video.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * TICKS), Fraction(1, TICKS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def write_sound(path: Path) -> Path:
    """Write a second of silence."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        silence.rate = 16000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    return path


def grey_frames(count: int, height: int = 48, width: int = 64) -> list[NDArray[np.uint8]]:
    """Return noisy frames of increasing brightness with a white square in the upper left corner."""
    rng = np.random.default_rng(0)
    frames = []
    for number in range(count):
        frame = rng.integers(0, 60, (height, width, 3), dtype=np.uint8) + np.uint8(100 * number // count)
        frame[:16, :16] = 255
        frames.append(frame)
    return frames


@dataclass(frozen=True)
class Track:
    """A video track: its frames, RGB (h, w, 3), how it is encoded, and what it is."""

    frames: Sequence[NDArray[np.uint8]]
    codec: str = "libx264"
    disposition: int = 0


def write_tracks(path: Path, tracks: Sequence[Track], sound: float = 0, format: str | None = None) -> Path:
    """Write video tracks at 25 frames per second, with `sound` seconds of a tone; return the path."""
    with av.open(str(path), "w", format=format) as container:
        streams = []
        for track in tracks:
            stream = container.add_stream(track.codec, rate=25)
            stream.height, stream.width = track.frames[0].shape[:2]
            stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(track.codec, "yuv420p")
            stream.disposition = Disposition(track.disposition)
            stream.options = FAST.get(track.codec, {})
            streams.append(stream)
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        packets = [audio.encode(tone(sound)) + audio.encode()] if audio else []
        for stream, track in zip(streams, tracks, strict=True):
            for number, pixels in enumerate(track.frames):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=stream.pix_fmt)
                frame.pts = number
                packets.append(stream.encode(frame))
            packets.append(stream.encode())
        for some in packets:
            container.mux(some)
    return path


def tone(seconds: float) -> av.AudioFrame:
    """Return a tone of 440 Hz as one frame: mono, 16 kHz."""
    wave = 0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(round(seconds * RATE)))
    sound = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
    sound.rate = RATE
    return sound


def put_metadata_first(path: Path) -> Path:
    """Move the `udta` box of an MP4 file, which holds its cover, before its tracks, as some taggers do."""
    data = path.read_bytes()
    start = data.index(b"moov") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    boxes, place = [], start + 8
    while place < end:
        size = int.from_bytes(data[place : place + 4], "big")
        boxes.append(data[place : place + size])
        place += size
    boxes.sort(key=lambda box: box[4:8] != b"udta")
    path.write_bytes(data[: start + 8] + b"".join(boxes) + data[end:])
    return path


def write_flashes(path: Path, video: str, sound: str, seconds: float = 2, rate: Fraction | int = 25) -> Path:
    """Write a dark video that flashes and beeps for 0.1 s at 0.4 s, 1.2 s, ..."""
    with av.open(str(path), "w") as container:
        film = container.add_stream(video, rate=rate)
        film.height, film.width, film.pix_fmt = 48, 64, "yuv420p"
        film.options = FAST.get(video, {})
        audio = container.add_stream(sound, rate=48000)
        audio.layout = "stereo"
        samples = np.arange(round(seconds * 48000)) / 48000
        wave = np.sin(2 * np.pi * 1000 * samples) * is_flash(samples)
        pieces = [wave[start : start + 1000] for start in range(0, len(wave), 1000)]
        for number in range(round(seconds * rate)):
            pixels = np.full((48, 64, 3), 250 if is_flash(number / float(rate)) else 10, np.uint8)
            container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            while pieces and len(wave) - sum(map(len, pieces)) <= number / rate * 48000:
                stereo = np.ascontiguousarray(np.tile(pieces[0], (2, 1)).astype(np.float32))
                piece = av.AudioFrame.from_ndarray(stereo, format="fltp", layout="stereo")
                piece.rate, piece.pts = 48000, len(wave) - sum(map(len, pieces))
                piece.time_base = Fraction(1, 48000)
                container.mux(audio.encode(piece))
                del pieces[0]
        container.mux(film.encode())
        container.mux(audio.encode())
    return path


def is_flash(time: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    """Return whether there is a flash at a time in seconds; rounded, so that frames do not lie on its edge."""
    return np.asarray((np.asarray(time) + 0.4 + 1e-6) % 0.8 < 0.1) & (np.asarray(time) > 0.1)


def beeps(path: Path) -> list[float]:
    """Return when the sound of a file starts after silence, in seconds."""
    starts, loud = list[float](), -1.0
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            samples = np.abs(frame.to_ndarray().astype(float))
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            samples = samples.max(axis=0) / (32768 if frame.format.name.startswith("s16") else 1)
            for place in np.flatnonzero(samples > 0.3):
                time = frame.time + place / frame.rate
                if time - loud > 0.2:
                    starts.append(time)
                loud = time
    return starts
