"""Write video files for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TICKS = 1000


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
