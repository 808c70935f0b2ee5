"""Choose one of a file's tracks: the film and not its cover, the main sound and not the commentary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.inference.video.frames import VideoError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

# Codecs of still images. Covers are stored with them, often without being marked as covers; so are old cameras' films.
IMAGE_CODECS = {"mjpeg", "png", "apng", "gif", "bmp", "webp", "tiff", "jpeg2000", "jpegls", "jpegxl"}


def find_film(container: InputContainer, name: str) -> VideoStream:
    """Return the video track to read: not a cover or thumbnails, and the default one of several.

    Raises:
        VideoError: There is none, or none that can be decoded. The error says what the file contains instead.
    """
    films = [stream for stream in container.streams.video if not _is_extra(stream)]
    if not films:
        raise no_video(container, name)
    best = container.streams.best("video")
    film = max(films, key=lambda stream: _rank(stream, best))
    if film.codec_context is None:
        raise VideoError(f"{name} has a codec that FFmpeg cannot decode; convert it to H.264.")
    return film


def find_sound(container: InputContainer, film: VideoStream) -> AudioStream | None:
    """Return the audio track that belongs to a film: the default one, and not a commentary or a dubbed one."""
    best = container.streams.best("audio", related=film)
    tracks = [track for track in container.streams.audio if track.codec_context is not None]
    return max(tracks, key=lambda track: _rank(track, best), default=None)


def may_be_cover(container: InputContainer, film: VideoStream) -> bool:
    """Return whether a track is a cover unless it has more than one frame: an image beside sound."""
    return bool(container.streams.audio) and film.codec_context.name in IMAGE_CODECS


def no_video(container: InputContainer, name: str) -> VideoError:
    """Return the error that says what a file without a film contains."""
    kinds: list[str] = sorted({stream.type for stream in container.streams if stream.type != "video"})
    kinds += ["a cover image"] if container.streams.video else []
    return VideoError(f"{name} has no video, only {' and '.join(kinds) or 'an empty container'}.")


def _rank(stream: Stream, best: Stream | None) -> tuple[bool, ...]:
    """Return a track's rank: the greatest is chosen, and the first of equal ones.

    The last criterion is FFmpeg's own choice, which also counts the first frames and compares bit rates.
    """
    from av.stream import Disposition

    secondary = Disposition.comment | Disposition.dub | Disposition.dependent
    secondary |= Disposition.hearing_impaired | Disposition.visual_impaired
    return (
        stream.codec_context is not None,
        stream.codec_context is not None and stream.codec_context.name not in IMAGE_CODECS,
        stream.frames != 1,
        not stream.disposition & secondary,
        bool(stream.disposition & Disposition.default),
        best is not None and stream.index == best.index,
    )


def _is_extra(stream: Stream) -> bool:
    """Return whether a video track is not a film but a cover, thumbnails or a still image."""
    from av.stream import Disposition

    extras = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return bool(stream.disposition & extras)
