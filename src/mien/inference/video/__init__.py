"""Faces in videos, cameras and streams: found, tracked, classified and smoothed over time."""

from mien.inference.video.face_stream import FaceStream, StreamSettings, stream
from mien.inference.video.frames import Frame, VideoError, VideoSource
from mien.inference.video.sources import open_video
from mien.inference.video.tracking import Tracker

__all__ = ["FaceStream", "Frame", "StreamSettings", "Tracker", "VideoError", "VideoSource", "open_video", "stream"]
