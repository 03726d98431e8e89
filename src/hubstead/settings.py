"""What can be configured: one class, read from TOML, the environment and the command line.

Each setting carries its help, and remembers where its value came from. Later sources win:
default, file, environment, option. ``python -m hubstead.settings`` prints ``docs/settings.md``.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import typed_settings as ts
from typed_settings.cls_utils import deep_options
from typed_settings.converters import TSConverter
from typed_settings.exceptions import TsError
from typed_settings.loaders import Loader, TomlFormat
from typed_settings.types import LoadedSettings, LoaderMeta, OptionInfo, OptionList

PREFIX = "HUBSTEAD_"
FILE_NAME = "hubstead.toml"
FILE_VARIABLE = "HUBSTEAD_SETTINGS"
HIDDEN = "***"

_KIB = 1024
_SIZES = {"": 1, "b": 1} | {
    unit: base**power
    for power, letter in enumerate("kmgt", start=1)
    for unit, base in ((letter, _KIB), (f"{letter}ib", _KIB), (f"{letter}b", 1000))
}
_SPANS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
#: S3 joins at most this many parts to one object.
_MOST_PARTS = 10_000


class BadSettings(Exception):
    """The settings cannot be used; the text names each fault, its source and the way out."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(["The settings cannot be used:", *(f"  {f}" for f in faults)]))


def _setting(
    default: Any, text: str, *, group: str, least: float | None = None, secret: bool = False
) -> Any:
    notes = {"help": text, "group": group, "least": least, "secret": secret}
    return field(default=default, metadata={"typed-settings": notes})


_place = partial(_setting, group="Where things are kept")
_server = partial(_setting, group="The web server")
_account = partial(_setting, group="Accounts")
_webhook = partial(_setting, group="Webhooks")
_file_limit = partial(_setting, group="Limits of files and commits")
_request_limit = partial(_setting, group="Limits of requests")
_lifetime = partial(_setting, group="How long things are kept")
_push_limit = partial(_setting, group="Git")
_xet = partial(_setting, group="Xet")
_running = partial(_setting, group="Running")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """Every setting of the server. Sizes are in bytes, spans of time in seconds."""

    data: Path = _place(
        Path("data"),
        "The folder that holds everything the hub writes on this machine. In the company shape "
        "(PostgreSQL and S3) it is only a cache.",
    )
    database: str = _place(
        "",
        "Empty: a SQLite file `hubstead.db` in the data folder. Otherwise the address of a "
        "PostgreSQL database: `postgresql://user:password@host/name`.",
        secret=True,
    )
    blobs: str = _place(
        "",
        "Empty: files in the folder `blobs` of the data folder. Otherwise "
        "`s3://bucket/prefix` in a store that speaks S3.",
    )
    s3_endpoint: str = _place("", "The address of the S3 server; empty: Amazon's own.")
    s3_region: str = _place("us-east-1", "The region of the bucket.")
    s3_access_key: str = _place("", "The id of the key for S3.")
    s3_secret_key: str = _place("", "The secret part of the key for S3.", secret=True)
    s3_session_token: str = _place("", "The token of a temporary key for S3.", secret=True)
    s3_path_style: bool = _place(
        True, "Put the bucket into the path of the address instead of before its host name."
    )
    s3_direct_downloads: bool = _place(
        False,
        "Send downloads straight to S3 by signed addresses. Clients must be able to reach "
        "`s3_public_endpoint`.",
    )
    s3_public_endpoint: str = _place(
        "",
        "What clients call the S3 server, if that is not `s3_endpoint`: signed addresses begin "
        "with it.",
    )

    host: str = _server("127.0.0.1", "The address to listen on. `0.0.0.0` is every IPv4 one.")
    port: int = _server(8080, "The port to listen on; 0: any free one.", least=0)
    public_url: str = _server(
        "",
        "How clients reach the hub, such as `https://hub.example.com`: every absolute link "
        "begins with it. Empty: `http://` with host and port above.",
    )
    trusted_proxies: tuple[str, ...] = _server(
        (),
        "Networks (CIDR) of the proxies in front, whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed.",
    )
    max_connections: int = _server(4096, "The most connections that are open at once.", least=1)
    shutdown_seconds: float = _server(
        30, "How long running requests may take to finish after SIGTERM.", least=0
    )

    sign_in_attempts: int = _account(
        10, "The most failed sign-ins per account and address in one window.", least=1
    )
    sign_in_window_s: float = _account(300, "The length of that window.", least=1)

    webhook_kinds: tuple[str, ...] = _webhook(
        ("model",),
        "The kinds of repository that webhooks tell of: `model`, `dataset`, `space`, `kernel`.",
    )
    webhook_timeout_s: float = _webhook(
        10, "How long the receiver of a webhook may take to answer.", least=0.1
    )
    webhook_max_attempts: int = _webhook(
        12, "How often one delivery is tried before it is given up.", least=1
    )
    webhook_hold_s: float = _webhook(
        900,
        "The longest time that one failing delivery may hold back the later ones of its "
        "repository.",
        least=0,
    )
    webhook_private_networks: bool = _webhook(
        True, "Whether webhooks may go to loopback and private addresses."
    )

    max_regular_file_bytes: int = _file_limit(
        100 * _KIB**2,
        "The largest file that git itself may hold (anything above goes by LFS).",
        least=1,
    )
    lfs_threshold_bytes: int = _file_limit(
        10 * _KIB**2, "Clients are told to send files of this size and above by LFS.", least=1
    )
    max_lfs_file_bytes: int = _file_limit(500 * 1000**3, "The largest LFS file.", least=1)
    lfs_multipart_threshold_bytes: int = _file_limit(
        256 * _KIB**2, "LFS files above this size are uploaded in parts.", least=1
    )
    lfs_part_bytes: int = _file_limit(
        64 * _KIB**2, "The size of these parts (S3 takes 5 MiB to 5 GiB).", least=1
    )
    max_path_bytes: int = _file_limit(1024, "The longest path of a file, in bytes.", least=1)
    max_path_depth: int = _file_limit(64, "The most parts of a path.", least=1)
    max_folder_entries: int = _file_limit(10_000, "The most entries of one folder.", least=1)
    max_commit_operations: int = _file_limit(25_000, "The most operations of a commit.", least=1)
    refuse_case_clashes: bool = _file_limit(
        True,
        "Refuse a commit whose paths differ only in case: such files cannot be checked out side "
        "by side on macOS or Windows.",
    )

    max_json_body_bytes: int = _request_limit(
        10 * _KIB**2, "The largest body of an ordinary request.", least=1
    )
    max_commit_body_bytes: int = _request_limit(
        2 * _KIB**3, "The largest body of a commit.", least=1
    )
    max_paths_info: int = _request_limit(
        2000, "The most paths of one `paths-info` request.", least=1
    )
    max_page: int = _request_limit(1000, "The most items of one page of a listing.", least=1)
    header_bytes: int = _request_limit(
        64 * _KIB, "The most bytes of a request's first line and headers.", least=1024
    )
    header_seconds: float = _request_limit(
        15, "How long a client may take to send them.", least=0.1
    )
    body_min_bytes_per_s: int = _request_limit(
        1024, "A body that stays slower than this is cut off; 0: never.", least=0
    )
    body_silence_s: float = _request_limit(
        60, "A body of which nothing arrives for so long is cut off.", least=0.1
    )

    signed_url_seconds: float = _lifetime(
        3600, "How long a signed address for an upload or download is good.", least=1
    )
    blob_grace_seconds: float = _lifetime(
        86400,
        "How long bytes that nothing links to any more stay before they are deleted.",
        least=0,
    )
    pack_grace_seconds: float = _lifetime(
        300,
        "How long git packs that were replaced by others stay on disk, and views of refs that "
        "nobody fetches from; longer while a clone, fetch or push that began before still runs.",
        least=0,
    )
    update_seconds: float = _lifetime(
        3600,
        "How long after the first node of a new release has started on a PostgreSQL database "
        "nodes of the previous release may go on. Until then nothing is stored in a way that "
        "they do not understand; after that they must be gone.",
        least=0,
    )
    hold_seconds: float = _lifetime(
        7 * 86400, "How long uploaded bytes wait for the commit that links them.", least=0
    )
    min_free_bytes: int = _lifetime(
        512 * _KIB**2, "Writes are refused when the disk has less free space than this.", least=0
    )

    max_push_bytes: int = _push_limit(
        20 * _KIB**3, "The largest pack that a push may bring.", least=1
    )
    max_push_objects: int = _push_limit(
        5_000_000, "The most objects that a push may bring.", least=1
    )
    max_push_refs: int = _push_limit(
        10_000, "The most branches and tags that one push may move.", least=1
    )
    max_fetch_request_bytes: int = _push_limit(
        64 * _KIB**2, "The largest request of a fetch: what a client says it has.", least=1
    )
    git_processes: int = _push_limit(
        64, "The most programs of git that serve fetches at once.", least=1
    )
    git_memory_bytes: int = _push_limit(
        4 * _KIB**3,
        "The most memory (address space) of one program that takes a push.",
        least=256 * _KIB**2,
    )
    git_cpu_seconds: float = _push_limit(
        3600, "The most processor time of one program that takes a push.", least=1
    )

    git_open_repositories: int = _push_limit(
        256, "The most repositories of which the server keeps the packs open.", least=1
    )
    git_open_packs: int = _push_limit(
        4096,
        "The most packs that all of them may keep open; each is a file and two mappings.",
        least=64,
    )

    xet_token_seconds: float = _xet(
        7200.0,
        "How long a token for the Xet store is good.",
        least=60,
    )
    xet_deduplication: Literal["readable", "repository", "off"] = _xet(
        "readable",
        "Of which chunks clients are told that they are stored already: those of files they may "
        "read, those of the repository they upload to, or none.",
    )
    xet_max_terms: int = _xet(65_536, "The most terms of one file.", least=1)
    xet_max_shard_bytes: int = _xet(
        80 << 20, "The largest shard, the list of files of an upload.", least=1
    )
    xet_keep_seconds: float = _xet(
        23 * 86_400.0,
        "How long a xorb that no file needs is kept after a client last learned of it. Clients "
        "believe for 21 days that what they uploaded is there.",
        least=0,
    )
    xet_quarantine_seconds: float = _xet(
        2 * 86_400.0,
        "How long a xorb is kept after that, out of the way, to be taken up again.",
        least=0,
    )
    xet_convert: bool = _xet(
        False,
        "Cut plain LFS objects into chunks in the background, so that they deduplicate too "
        "(needs the extra `convert`).",
    )
    node_cache_bytes: int = _xet(
        20 << 30,
        "How much of the node's disk may hold copies of xorbs when the blobs are in S3.",
        least=0,
    )

    log_level: Literal["debug", "info", "warning", "error"] = _running(
        "info", "The least weighty messages that are logged."
    )
    log_format: Literal["json", "text"] = _running("json", "The form of a line of the log.")
    database_pool: int = _running(10, "The most connections to PostgreSQL of one node.", least=1)
    reader_threads: int = _running(4, "The threads that run longer reads on SQLite.", least=1)

    #: Where the value of each setting came from; a setting that is not here has its default.
    origins: Mapping[str, str] = field(init=False, default_factory=dict, compare=False)

    def __repr__(self) -> str:
        changed = (f"{d.name}={d.value!r}" for d in describe(self) if d.value != d.default)
        return f"Settings({', '.join(changed)})"

    @property
    def database_url(self) -> str:
        """``sqlite:////absolute/path`` or ``postgresql://…``; may hold a password."""
        return self.database or f"sqlite:///{self.data.absolute() / 'hubstead.db'}"

    @property
    def blobs_url(self) -> str:
        """``file:///absolute/path`` (percent-encoded) or ``s3://bucket/prefix``."""
        return self.blobs or (self.data.absolute() / "blobs").as_uri()

    @property
    def git_root(self) -> Path:
        """The folder of the bare repositories."""
        return self.data.absolute() / "git"


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for people to read: values as they would be written in the file."""

    name: str
    value: str
    default: str
    help: str
    origin: str
    variable: str
    group: str


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
    noted = _Noted()
    path, is_own_choice = _settings_file(file, given)
    noted.faults += _unknown_variables()
    loaders = [
        *([noted(_File(path, may_set_data=is_own_choice), f"file {path}")] if path else []),
        noted(ts.EnvLoader(PREFIX), "environment"),
        noted(_Options(given), "option"),
    ]
    # Named, or typed-settings would change its ways where cattrs happens to be installed.
    settings = ts.load_settings(Settings, loaders, converter=TSConverter())
    faults = noted.faults or list(_conflicts(settings))
    if faults:
        raise BadSettings(faults)
    object.__setattr__(settings, "origins", noted.origins)
    return settings


def describe(settings: Settings) -> list[Described]:
    """List every setting with its value, help and origin; secrets are hidden."""
    return [
        Described(
            name=option.name,
            value=_shown(getattr(settings, option.name), option),
            default=_shown(option.default, option),
            help=option.metadata["help"],
            origin=settings.origins.get(option.name, "default"),
            variable=_variable(option.name),
            group=option.metadata["group"],
        )
        for option in deep_options(Settings)
    ]


def parse_bytes(text: str) -> int:
    """Read ``10MiB``, ``500 GB``, ``64k`` (1024 each, as ``MiB``) or a plain number of bytes.

    Raises:
        ValueError: with the reason.
    """
    return int(_amount(text, _SIZES, "a size: write a number of bytes, or like 10MiB or 500GB"))


def parse_seconds(text: str) -> float:
    """Read ``90``, ``0.5``, ``90s``, ``15m``, ``12h`` or ``7d``.

    Raises:
        ValueError: with the reason.
    """
    return _amount(text, _SPANS, "a span of time: write seconds, or like 90s, 15m, 12h, 7d")


def format_bytes(count: int) -> str:
    """Write a size as `parse_bytes` reads it, exactly: ``10MiB``, ``500GB``, ``1025``."""
    units = {unit: _SIZES[unit.lower()] for unit in ("KiB", "MiB", "GiB", "TiB", "MB", "GB", "TB")}
    forms = [f"{count // size}{unit}" for unit, size in units.items() if count and not count % size]
    return min([str(count), *forms], key=len)


def _amount(text: str, units: Mapping[str, int], wanted: str) -> float:
    match = _AMOUNT.fullmatch(text)
    if not match or match[2].lower() not in units:
        raise ValueError(f"{text!r} is not {wanted}")
    number = float(match[1]) if "." in match[1] else int(match[1])
    return number * units[match[2].lower()]


# -- where values come from -----------------------------------------------------------------


def _settings_file(file: Path | None, given: Mapping[str, object]) -> tuple[Path | None, bool]:
    """Return the file to read, and whether it was named (else it was found in the data folder)."""
    named = file or os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named).absolute(), True
    data = given.get("data") or os.environ.get(_variable("data")) or Settings.data
    found = Path(str(data)).absolute() / FILE_NAME
    return (found if found.exists() else None), False


class _File:
    """Reads the settings file; strange names in it are faults, with a hint."""

    def __init__(self, path: Path, *, may_set_data: bool) -> None:
        self.path = path
        self.may_set_data = may_set_data

    def __call__(self, settings_cls: type, options: OptionList) -> LoadedSettings:
        try:
            values = TomlFormat(None)(self.path, settings_cls, options)
        except (TsError, OSError, UnicodeDecodeError) as fault:
            raise BadSettings([f"{self.path}: {fault}"]) from fault
        faults = list(_unknown_names(values, str(self.path)))
        if "data" in values and not self.may_set_data:
            faults.append(
                f"{self.path}: data cannot be set by the file inside the data folder: "
                f"use --data or {_variable('data')}"
            )
        if faults:
            raise BadSettings(faults)
        return LoadedSettings(values, LoaderMeta(self, base_dir=self.path.parent))


class _Options:
    """Hands over what the command line gave."""

    def __init__(self, given: dict[str, object]) -> None:
        self.given = given

    def __call__(self, settings_cls: type, options: OptionList) -> LoadedSettings:
        faults = list(_unknown_names(self.given, "option"))
        if faults:
            raise BadSettings(faults)
        return LoadedSettings(self.given, LoaderMeta(self))


class _Noted:
    """Wraps loaders: converts their values and notes where each came from, and each fault."""

    def __init__(self) -> None:
        self.origins: dict[str, str] = {}
        self.faults: list[str] = []

    def __call__(self, loader: Loader, origin: str) -> Loader:
        def load_and_note(settings_cls: type, options: OptionList) -> LoadedSettings:
            try:
                loaded = loader(settings_cls, options)
            except BadSettings as bad:
                self.faults += bad.faults
                return LoadedSettings({}, LoaderMeta(origin))
            assert isinstance(loaded, LoadedSettings)
            values = dict(self._converted(loaded, options, origin))
            self.origins |= dict.fromkeys(values, origin)
            return LoadedSettings(values, loaded.meta)

        return load_and_note

    def _converted(
        self, loaded: LoadedSettings, options: OptionList, origin: str
    ) -> Iterator[tuple[str, object]]:
        by_name = {option.name: option for option in options}
        for name, raw in loaded.settings.items():
            try:
                yield name, _read(raw, by_name[name], loaded.meta.base_dir)
            except ValueError as fault:
                where = _variable(name) if origin == "environment" else origin
                hidden = by_name[name].metadata["secret"]
                reason = "it must be text in quotes" if hidden else str(fault)
                self.faults.append(f"{name} ({where}): {reason}")


def _unknown_names(values: Mapping[str, object], source: str) -> Iterator[str]:
    known = [option.name for option in deep_options(Settings)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see docs/settings.md for the list"
            yield f"{source}: there is no setting {name!r}: {hint}"


def _unknown_variables() -> Iterator[str]:
    """Find misspelled variables. Strange ones are left alone: the machine may have its own."""
    known = [option.name for option in deep_options(Settings)]
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in known and variable != FILE_VARIABLE:
            for near in difflib.get_close_matches(name, known, n=1, cutoff=0.8):
                yield f"environment: {variable} is not a setting: did you mean {_variable(near)}?"


def _variable(name: str) -> str:
    return PREFIX + name.upper()


# -- from raw values to typed ones, and back to text ----------------------------------------


def _read(raw: object, option: OptionInfo, base_dir: Path) -> object:
    """Turn what a source said into the setting's type, strictly: a number is never text.

    Raises:
        ValueError: with the reason.
    """
    if option.cls is Path:
        return base_dir / (raw if isinstance(raw, Path) else _text(raw))
    if get_origin(option.cls) is tuple:
        return _texts(raw)
    if get_origin(option.cls) is Literal:
        return _choice(raw, get_args(option.cls))
    if option.name == "public_url":
        return _base_url(_text(raw))
    readers = {bool: _boolean, int: _whole_number, float: _seconds, str: _text}
    read = _size if _is_size(option) else readers[option.cls]
    return _large_enough(read(raw), option)


def _is_size(option: OptionInfo) -> bool:
    """Tell whether the setting counts bytes and may be written as ``10MiB``."""
    return option.cls is int and option.name.endswith(("_bytes", "_bytes_per_s"))


def _boolean(raw: object) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in words:
        return words[raw.lower()]
    raise ValueError(f"{raw!r} is neither true nor false")


def _whole_number(raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"\s*-?[0-9_]+\s*", raw):
        return int(raw)
    raise ValueError(f"{raw!r} is not a whole number")


def _size(raw: object) -> int:
    return parse_bytes(raw) if isinstance(raw, str) else _whole_number(raw)


def _seconds(raw: object) -> float:
    if isinstance(raw, str):
        return parse_seconds(raw)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return raw
    raise ValueError(f"{raw!r} is not a number of seconds")


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError(f"{raw!r} is not text: put it in quotes")


def _texts(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if isinstance(raw, list | tuple):
        return tuple(map(_text, raw))
    raise ValueError(f'{raw!r} is not a list like ["a", "b"]')


def _choice(raw: object, choices: tuple[str, ...]) -> str:
    if raw in choices:
        return _text(raw)
    raise ValueError(f"{raw!r} is none of {', '.join(choices)}")


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (
        parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment
    ):
        raise ValueError(f"{text!r} is not an address like https://hub.example.com")
    return text.rstrip("/")


def _large_enough(value: object, option: OptionInfo) -> object:
    least = option.metadata["least"]
    if least is not None and isinstance(value, int | float) and value < least:
        raise ValueError(f"{value} is too small: at least {least}")
    return value


def _shown(value: object, option: OptionInfo) -> str:
    if option.metadata["secret"]:
        return _without_secrets(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, int) and _is_size(option):
        return format_bytes(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _without_secrets(text: str) -> str:
    """Hide a secret; of an address hide the password and every value of its query."""
    parts = urlsplit(text)
    if not parts.scheme or not parts.netloc:
        return HIDDEN if text else ""
    user, at, host = parts.netloc.rpartition("@")
    user = f"{user.partition(':')[0]}:{HIDDEN}" if ":" in user else user
    query = urlencode([(key, HIDDEN) for key, _ in parse_qsl(parts.query)], safe="*")
    return urlunsplit((parts.scheme, f"{user}{at}{host}", parts.path, query, ""))


# -- what must fit together -----------------------------------------------------------------


def _conflicts(settings: Settings) -> Iterator[str]:
    if settings.port > 65535:
        yield f"port: {settings.port} is too large: at most 65535"
    if settings.database and not settings.database.startswith(("postgresql://", "sqlite:///")):
        yield "database: write postgresql://user:password@host/name, or leave it empty for SQLite"
    if settings.blobs and not settings.blobs.startswith(("s3://", "file:///")):
        yield "blobs: write s3://bucket/prefix, or leave it empty for files in the data folder"
    for network in settings.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield f"trusted_proxies: {network!r} is not a network like 10.0.0.0/8"
    for kind in settings.webhook_kinds:
        if kind not in ("model", "dataset", "space", "kernel"):
            yield f"webhook_kinds: {kind!r} is none of model, dataset, space, kernel"
    if settings.max_lfs_file_bytes > settings.lfs_part_bytes * _MOST_PARTS:
        yield (
            f"lfs_part_bytes: {format_bytes(settings.lfs_part_bytes)} is too small for files of "
            f"{format_bytes(settings.max_lfs_file_bytes)} in at most {_MOST_PARTS} parts"
        )
    if settings.lfs_threshold_bytes > settings.max_regular_file_bytes:
        yield (
            "lfs_threshold_bytes: it must not exceed max_regular_file_bytes, or files between the "
            "two could not be uploaded at all"
        )


# -- the page about them --------------------------------------------------------------------


def as_markdown() -> str:
    """Return the text of ``docs/settings.md``."""
    lines = [_INTRODUCTION]
    group = ""
    for option in deep_options(Settings):
        if option.metadata["group"] != group:
            group = option.metadata["group"]
            lines += [
                "",
                f"## {group}",
                "",
                "| setting | default | what it does |",
                "|---|---|---|",
            ]
        default = _shown(option.default, option) or "(empty)"
        text = option.metadata["help"] + _choices(option)
        lines.append(f"| `{option.name}` | `{default}` | {text} |")
    return "\n".join(lines) + "\n"


def _choices(option: OptionInfo) -> str:
    if get_origin(option.cls) is not Literal:
        return ""
    return " One of " + ", ".join(f"`{choice}`" for choice in get_args(option.cls)) + "."


_INTRODUCTION = f"""# Settings

<!-- Written by `make docs` from src/hubstead/settings.py: change it there. -->

A setting is read from, later ones winning:

1. its default;
2. the settings file: the one named by `--settings FILE` or `{FILE_VARIABLE}`, otherwise
   `{FILE_NAME}` in the data folder, if there is one. It is TOML with the names below at the top
   level: `port = 9000`, `max_json_body_bytes = "20MiB"`, `trusted_proxies = ["10.0.0.0/8"]`;
3. the environment: `{PREFIX}` and the name in capitals, such as `{PREFIX}PORT`. Lists are
   separated by commas;
4. the command line: `--data`, `--host` and `--port`.

`hubstead settings` prints them all with their values and where each came from, secrets hidden.
An unknown name in the file stops the server, as does a variable that looks misspelled.

Sizes (`…_bytes`) are numbers of bytes or like `10MiB` and `500GB`; spans of time (`…_s`,
`…_seconds`) are seconds or like `15m`, `12h`, `7d`. Relative paths in the file start at its
folder. On Kubernetes, a service called `hubstead` puts a variable `{PREFIX}PORT` of its own into
every container: set `enableServiceLinks: false`."""


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
