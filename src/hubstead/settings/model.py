"""The settings: one frozen class of groups, so that a room takes its group.

A setting has two names: its field in the group (``settings.xet.token_seconds``) and its name for
users (``xet_token_seconds``) in files, variables, options and docs/settings.md.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_type_hints
from urllib.parse import unquote, urlsplit

from hubstead.settings.groups import (
    HEADINGS,
    STORAGE,
    AccountSettings,
    AdmissionSettings,
    BlobSettings,
    CommitSettings,
    DatabaseSettings,
    GitSettings,
    LfsSettings,
    LogSettings,
    RegistrySettings,
    RequestSettings,
    S3Settings,
    ServerSettings,
    SettingNotes,
    WebhookSettings,
    XetSettings,
    setting,
)

PREFIX = "HUBSTEAD_"
HIDDEN = "***"


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """All settings of the server, by group. Sizes are in bytes, durations in seconds."""

    data: Path = setting(
        "data",
        STORAGE,
        Path("data"),
        "The folder that holds everything the hub writes on this machine. In the company shape "
        "(PostgreSQL and S3) it is only a cache.",
    )
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    blobs: BlobSettings = BlobSettings()
    s3: S3Settings = S3Settings()
    accounts: AccountSettings = AccountSettings()
    webhooks: WebhookSettings = WebhookSettings()
    commits: CommitSettings = CommitSettings()
    lfs: LfsSettings = LfsSettings()
    requests: RequestSettings = RequestSettings()
    admission: AdmissionSettings = AdmissionSettings()
    git: GitSettings = GitSettings()
    xet: XetSettings = XetSettings()
    registry: RegistrySettings = RegistrySettings()
    logs: LogSettings = LogSettings()

    #: The sources of the values by setting; a missing setting has its default.
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        changed = [option for option in options() if option.value(self) != option.default]
        shown = (f"{o.name}={HIDDEN if o.secret else repr(o.value(self))}" for o in changed)
        return f"Settings({', '.join(shown)})"

    def replace(self, **values: Any) -> Self:
        """Return a copy with other values, by the names that users write.

        Args:
            values: Of the settings' own types; nothing is converted or checked.

        Raises:
            KeyError: a name that no setting has.
        """
        by_name = {option.name: option for option in options()}
        changes: dict[str, Any] = {}
        for name, value in values.items():
            option = by_name[name]
            if option.group is None:
                changes[option.attribute] = value
            else:
                group = changes.get(option.group, getattr(self, option.group))
                changes[option.group] = dataclasses.replace(group, **{option.attribute: value})
        return dataclasses.replace(self, **changes)

    @property
    def database_url(self) -> str:
        """``sqlite:////absolute/path`` or ``postgresql://…``; may hold a password."""
        return self.database.url or f"sqlite:///{self.data.absolute() / 'hubstead.db'}"

    @property
    def blobs_url(self) -> str:
        """``file:///absolute/path`` (percent-encoded) or ``s3://bucket/prefix``."""
        return self.blobs.url or (self.data.absolute() / "blobs").as_uri()

    @property
    def git_root(self) -> Path:
        """The folder of the bare repositories."""
        return self.data.absolute() / "git"

    @property
    def incoming(self) -> Path:
        """The folder of request bodies that are being received."""
        return self.data.absolute() / "incoming"

    def private_paths(self) -> list[Path]:
        """Return the files and folders, existing or not, that only the hub's user may read."""
        paths = [self.git_root, self.incoming]
        paths += [self.data.absolute() / name for name in ("cache", "first-token")]
        scheme, _, place = self.database_url.partition(":///")
        if scheme == "sqlite":
            paths += [Path(place + suffix) for suffix in ("", "-wal", "-shm")]
        if self.blobs_url.startswith("file:"):
            paths.append(Path(unquote(urlsplit(self.blobs_url).path)))
        return paths


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of one setting.

    ``group`` and ``attribute`` locate its value in ``Settings``; a group of None is ``Settings``
    itself. ``least`` is the smallest value allowed.
    """

    name: str
    group: str | None
    attribute: str
    type: Any
    default: Any
    heading: str
    help: str
    least: float | None
    secret: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    def value(self, settings: Settings) -> Any:
        """Return its value in ``settings``."""
        return getattr(getattr(settings, self.group) if self.group else settings, self.attribute)


@functools.cache
def options() -> tuple[Option, ...]:
    """Return the declarations of all settings, ordered by heading."""
    declared = list(_declared(Settings, None))
    for group, cls in get_type_hints(Settings).items():
        if dataclasses.is_dataclass(cls):
            declared += _declared(cls, group)
    return tuple(sorted(declared, key=lambda option: HEADINGS.index(option.heading)))


def _declared(cls: Any, group: str | None) -> list[Option]:
    types = get_type_hints(cls)
    return [
        Option(
            notes.name,
            group,
            one.name,
            types[one.name],
            one.default,
            notes.heading,
            notes.help,
            notes.least,
            notes.secret,
        )
        for one in dataclasses.fields(cls)
        if isinstance(notes := one.metadata.get("notes"), SettingNotes)
    ]
