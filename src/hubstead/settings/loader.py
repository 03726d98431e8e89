"""Load the settings from TOML file, environment and command line; later sources win."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from hubstead.settings.model import PREFIX, Option, Settings, options
from hubstead.settings.values import format_bytes, parse_value

FILE_NAME = "hubstead.toml"
FILE_VARIABLE = "HUBSTEAD_SETTINGS"
#: The limit of parts per object of S3.
_MOST_PARTS = 10_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadSettings(Exception):
    """The settings are invalid; the text lists the faults with their sources and remedies."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(["The settings cannot be used:", *(f"  {f}" for f in faults)]))


def load(
    *,
    data: Path | None = None,
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings from file, environment and command line, and check them.

    Args:
        data: The data folder, if the command line names one (``--data``).
        file: The settings file, if the command line names one (``--settings``). Else the one
            in ``HUBSTEAD_SETTINGS``, else ``hubstead.toml`` in the data folder if there is one.
        overrides: Values given as options, by setting; ``None`` means not given.

    Raises:
        BadSettings: for an unreadable file, an unknown name, or a value that cannot be used.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    if data is not None:
        given["data"] = data
    by_name = {option.name: option for option in options()}
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    faults = list(_unknown_variables())
    for source in _sources(file, given, faults):
        for name, raw in source.values.items():
            try:
                values[name] = parse_value(raw, by_name[name], source.base_dir)
                origins[name] = source.origin
            except ValueError as error:
                faults.append(_fault(by_name[name], source.origin, error))
    settings = replace(Settings().replace(**values), origins=origins)
    faults = faults or list(_conflicts(settings))
    if faults:
        raise BadSettings(faults)
    return settings


@dataclass(frozen=True, slots=True)
class _Source:
    origin: str
    values: Mapping[str, object]
    base_dir: Path


def _sources(file: Path | None, given: Mapping[str, object], faults: list[str]) -> list[_Source]:
    """Return the values of all sources; later sources override earlier ones.

    Skip sources with unknown names, and append the names to ``faults``.
    """
    here = Path.cwd()
    environment = {o.name: os.environ[o.variable] for o in options() if o.variable in os.environ}
    sources = [_Source("environment", environment, here)]
    path, is_named = _settings_file(file, given)
    if path is not None:
        try:
            values = _read_file(path, may_set_data=is_named)
        except BadSettings as bad:
            faults += bad.faults
        else:
            sources.insert(0, _Source(f"file {path}", values, path.parent))
    if unknown := list(_unknown_names(given, "option")):
        faults += unknown
    else:
        sources.append(_Source("option", given, here))
    return sources


def _settings_file(file: Path | None, given: Mapping[str, object]) -> tuple[Path | None, bool]:
    """Return the settings file, and whether the user named it (otherwise: in the data folder)."""
    named = file or os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named).absolute(), True
    data = given.get("data") or os.environ.get(f"{PREFIX}DATA") or Settings.data
    path = Path(str(data)).absolute() / FILE_NAME
    return (path if path.exists() else None), False


def _read_file(path: Path, *, may_set_data: bool) -> dict[str, object]:
    """Read the settings file; unknown names in it are faults, with a hint.

    Raises:
        BadSettings: the file cannot be read, or names what it must not.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings([f"{path}: {error}"]) from error
    faults = list(_unknown_names(values, str(path)))
    if "data" in values and not may_set_data:
        faults.append(
            f"{path}: data cannot be set by the file inside the data folder: "
            f"use --data or {PREFIX}DATA"
        )
    if faults:
        raise BadSettings(faults)
    return values


def _fault(option: Option, origin: str, error: ValueError) -> str:
    where = option.variable if origin == "environment" else origin
    reason = "it must be text in quotes" if option.secret else str(error)
    return f"{option.name} ({where}): {reason}"


def _unknown_names(values: Mapping[str, object], source: str) -> Iterator[str]:
    known = [option.name for option in options()]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see docs/settings.md for the list"
            yield f"{source}: there is no setting {name!r}: {hint}"


def _unknown_variables() -> Iterator[str]:
    """Report misspelled variables; ignore dissimilar names, which other programs may use."""
    known = [option.name for option in options()]
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in known and variable != FILE_VARIABLE:
            for near in difflib.get_close_matches(name, known, n=1, cutoff=0.8):
                hint = f"did you mean {PREFIX}{near.upper()}?"
                yield f"environment: {variable} is not a setting: {hint}"


def _conflicts(settings: Settings) -> Iterator[str]:
    """Report values that contradict one another, or that their type alone does not reject."""
    server, lfs = settings.server, settings.lfs
    if server.port > 65535:
        yield f"port: {server.port} is too large: at most 65535"
    if not server.host:
        yield "host: it must not be empty: write 0.0.0.0 for every IPv4 address"
    yield from _control_characters(settings)
    yield from _bad_stores(settings)
    for network in server.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield f"trusted_proxies: {network!r} is not a network like 10.0.0.0/8"
    for kind in settings.webhooks.kinds:
        if kind not in ("model", "dataset", "space", "kernel"):
            yield f"webhook_kinds: {kind!r} is none of model, dataset, space, kernel"
    if lfs.max_file_bytes > lfs.part_bytes * _MOST_PARTS:
        yield (
            f"lfs_part_bytes: {format_bytes(lfs.part_bytes)} is too small for files of "
            f"{format_bytes(lfs.max_file_bytes)} in at most {_MOST_PARTS} parts"
        )
    if lfs.threshold_bytes > settings.commits.max_regular_file_bytes:
        yield (
            "lfs_threshold_bytes: it must not exceed max_regular_file_bytes, or files between the "
            "two could not be uploaded at all"
        )


def _control_characters(settings: Settings) -> Iterator[str]:
    """Report values with characters that end a line, or are none, in files of git and in logs."""
    for option in options():
        value = option.value(settings)
        if isinstance(value, Path):
            value = str(value.absolute())
        elif option.name in ("database", "blobs"):
            value = unquote(value)
        if isinstance(value, str) and _CONTROL.search(value):
            yield f"{option.name}: it contains a newline or another control character"


def _bad_stores(settings: Settings) -> Iterator[str]:
    database, blobs = settings.database.url, settings.blobs.url
    if database and not database.startswith(("postgresql://", "sqlite:///")):
        yield "database: write postgresql://user:password@host/name, or leave it empty for SQLite"
    if blobs and not blobs.startswith(("s3://", "file:///")):
        yield "blobs: write s3://bucket/prefix, or leave it empty for files in the data folder"
