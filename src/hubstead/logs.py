"""Logs: one line per event, JSON or text, on standard error."""

from __future__ import annotations

import logging
import sys

import structlog

from hubstead.settings import Settings


def configure(settings: Settings) -> None:
    """Set up logging for this process. Nothing secret reaches a log: see docs/architecture.md."""
    level = getattr(logging, settings.log_level.upper())
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if settings.log_format == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
