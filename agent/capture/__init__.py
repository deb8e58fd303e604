"""Recorded and live frames become Messages: filter first, decode only what matters."""

from agent.capture.replay import CaptureStats, Replay
from agent.capture.sources import Source, find_captures

__all__ = ["CaptureStats", "Replay", "Source", "find_captures"]
