"""Faces in videos, cameras and streams: found, tracked, classified and smoothed over time."""

from mien.core.types import FrameResult, TrackedFace
from mien.inference.video.face_stream import FaceStream, FrameFaces, StreamSettings, stream
from mien.inference.video.frames import Frame, VideoError, VideoSource
from mien.inference.video.recording import VideoRecorder
from mien.inference.video.smoothing import SMOOTHING_MODES, Smoother, SmoothingMode
from mien.inference.video.sources import open_video
from mien.inference.video.summary import VideoSummary
from mien.inference.video.track import TrackedDetection, TrackerSettings
from mien.inference.video.tracking import Tracker

__all__ = [
    "SMOOTHING_MODES",
    "FaceStream",
    "Frame",
    "FrameFaces",
    "FrameResult",
    "Smoother",
    "SmoothingMode",
    "StreamSettings",
    "TrackedDetection",
    "TrackedFace",
    "Tracker",
    "TrackerSettings",
    "VideoError",
    "VideoRecorder",
    "VideoSource",
    "VideoSummary",
    "open_video",
    "stream",
]
