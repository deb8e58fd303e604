"""Scheduled scans on a machine of its own, for years: what to do when, and that it gets done."""

from agent.schedule.settings import AgentSettings, read_settings

__all__ = ["AgentSettings", "read_settings"]
