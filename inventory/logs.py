"""Writes each line of the log as one JSON object."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

__all__ = ["JsonLines"]


class JsonLines(logging.Formatter):
    """One JSON object a line, ASCII alone: nothing in a message can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with its time in UTC, level, logger, message, and the fault if there is one."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        status = getattr(record, "status_code", None)
        if isinstance(status, int):
            line["status"] = str(status)
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line)
