"""Settings: what can be configured, in groups by room, loaded from file, environment and options.

The room owns the name, default, help and check of all settings, and records the sources of values.
It never reads a setting on a room's behalf: ``app.py`` and ``cli/`` load, rooms read their group.
"""

from hubstead.settings.docs import Described, as_markdown, describe
from hubstead.settings.groups import (
    AccountSettings,
    BlobSettings,
    CommitSettings,
    DatabaseSettings,
    GitSettings,
    LfsSettings,
    LogSettings,
    RequestSettings,
    S3Settings,
    ServerSettings,
    WebhookSettings,
    XetSettings,
)
from hubstead.settings.loader import FILE_NAME, BadSettings, load
from hubstead.settings.model import Settings, options
from hubstead.settings.values import format_bytes, parse_bytes, parse_seconds
from hubstead.settings.warnings import list_warnings

__all__ = [
    "FILE_NAME",
    "AccountSettings",
    "BadSettings",
    "BlobSettings",
    "CommitSettings",
    "DatabaseSettings",
    "Described",
    "GitSettings",
    "LfsSettings",
    "LogSettings",
    "RequestSettings",
    "S3Settings",
    "ServerSettings",
    "Settings",
    "WebhookSettings",
    "XetSettings",
    "as_markdown",
    "describe",
    "format_bytes",
    "list_warnings",
    "load",
    "options",
    "parse_bytes",
    "parse_seconds",
]
