"""Recorded and live frames become Messages: filter first, decode only what matters."""

from agent.capture.reading import CaptureStats, Reading
from agent.capture.replay import Replay
from agent.capture.sources import Source, find_captures

__all__ = ["CaptureStats", "Reading", "Replay", "Source", "find_captures"]
