"""Recorded and live frames become Messages: filter first, decode only what matters."""

from agent.capture.filter import Share
from agent.capture.reading import CaptureStats, Reading
from agent.capture.recorded import is_dense
from agent.capture.replay import Replay
from agent.capture.sources import Source, find_captures

__all__ = ["CaptureStats", "Reading", "Replay", "Share", "Source", "find_captures", "is_dense"]
