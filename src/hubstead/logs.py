"""Logs: one line per event, JSON or text, on standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import TextIO

import msgspec
import structlog

from hubstead.settings import LogSettings

_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(settings: LogSettings) -> None:
    """Set up logging for this process. Nothing secret reaches a log: see docs/architecture.md."""
    level = getattr(logging, settings.level.upper())
    as_text = settings.format == "text"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if as_text else as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)


class _Lines:
    """Writes lines, unbuffered. One that the disk has no room for is lost: no request fails."""

    def __init__(self, stream: TextIO) -> None:
        buffer = stream.buffer
        self._write = getattr(buffer, "raw", buffer).write

    def msg(self, line: str | bytes) -> None:
        """Write a line, if that is possible."""
        data = line if isinstance(line, bytes) else line.encode(errors="backslashreplace")
        with contextlib.suppress(OSError):
            self._write(data + b"\n")

    debug = info = warning = error = critical = exception = msg


def as_json(_logger: object, _method: str, event: structlog.typing.EventDict) -> bytes:
    """Render an event as a line of JSON, whatever its values are; there is one per request."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:  # names in git need not be UTF-8
        return json.dumps(event, default=repr).encode()
