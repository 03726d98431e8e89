"""The errors of Hubstead, with messages in the words of the public Hub.

An error here knows nothing of HTTP: ``wire/error_responses.py`` has the one table from these
classes to status, code and text, and a test that the table is complete. Errors whose fields need
the types of a room are in that room (``hubstead.repos``, ``hubstead.commits`` ...).

A class declares its fields with their types, as a dataclass does. The first line of its docstring
*is* its message, a template for the fields. The caller passes fields by keyword::

    raise RevisionNotFound(revision="v9", repo="acme/bert")
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, dataclass_transform


@dataclass_transform(kw_only_default=True, eq_default=False)
class HubError(Exception):
    """Something went wrong."""

    def __init_subclass__(cls) -> None:
        """Make a dataclass of every subclass, with keyword-only fields.

        Errors compare by identity and are not frozen, because Python sets their traceback.
        """
        super().__init_subclass__()
        dataclasses.dataclass(kw_only=True, eq=False)(cls)

    def __str__(self) -> str:
        template = (type(self).__doc__ or "").strip().splitlines()[0]
        return template.format_map(vars(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with ``args`` and cannot pass fields by keyword.
        state = vars(self)
        names = [field.name for field in dataclasses.fields(type(self))]  # type: ignore[arg-type]
        return functools.partial(type(self), **{name: state[name] for name in names}), (), state

    @property
    def message(self) -> str:
        """One line that a person can act on."""
        return str(self)


class InvalidInput(HubError):
    """{reason}"""

    reason: str


class InvalidName(InvalidInput):
    """Invalid name {name!r}: {reason}"""

    name: str


class InvalidPath(InvalidInput):
    """Invalid path {path!r}: {reason}"""

    path: str


class UnknownProperty(InvalidInput):
    """{reason}"""

    names: tuple[str, ...]  # the properties there are


class InvalidCandidate(InvalidPath):
    """Invalid path {path!r}: {reason}"""


class InvalidCard(InvalidInput):
    """Invalid metadata in README.md: {reason}"""

    faults: tuple[str, ...] = ()  # one message per fault, where there are several


class InvalidCredentials(HubError):
    """The credentials are not valid: unknown, expired or revoked."""


class LoginRequired(HubError):
    """This needs a signed-in user: send an access token."""


class SignInFailed(HubError):
    """Invalid username or password."""


class Forbidden(HubError):
    """{reason}"""

    reason: str


class RepoNotFound(HubError):
    """{reason}"""

    reason: str = "Repository not found"


class RepoDisabled(HubError):
    """Access to this resource is disabled."""


class Gated(HubError):
    """Access to {repo} is restricted and needs the approval of its owners."""

    repo: str


class RevisionNotFound(HubError):
    """Invalid rev id: {revision}"""

    revision: str
    repo: str


class RefNotFound(RevisionNotFound):
    """Reference does not exist: Invalid rev id: {revision}

    Suites of clients match both halves (protocol/legacy-clients.md 2.13).
    """


class EntryNotFound(HubError):
    """{reason}"""

    reason: str = "Entry not found"


class AccountNotFound(HubError):
    """There is no account called {name!r}."""

    name: str


class AccountMoved(AccountNotFound):
    """The account {name!r} is now called {target!r}."""

    target: str


class LastAdministrator(HubError):
    """{user} is the last administrator of {org}: give another member the role admin first."""

    user: str
    org: str


class NotFound(HubError):
    """{reason}"""

    reason: str


class NameTaken(HubError):
    """The name {name!r} is taken: names are unique without regard to case."""

    name: str


class RefUpdateFailed(HubError):
    """The reference {ref} cannot be updated."""

    ref: str  # the full name: refs/heads/main
    others: tuple[RefUpdateFailed, ...] = ()  # of the same write


class RefExists(RefUpdateFailed):
    """Reference already exists: Reference {ref} already exists"""


class Unchanged(HubError):
    """The file {path} is already there with the same content."""

    path: str
    url: str  # of the page that shows the file


class StaleParent(HubError):
    """A commit has happened since. Please refresh and try again. {branch} is at {tip}. \
The branch was updated since you opened this page. Please refresh and try again."""

    branch: str
    expected: str
    tip: str


class ConcurrentChange(HubError):
    """Another change to this repository is in progress: try again."""


class TooLarge(HubError):
    """{what} is larger than the limit of {limit} {unit} ({setting})."""

    what: str
    limit: int
    unit: str = "bytes"
    setting: str


class LimitReached(HubError):
    """{owner} may have {limit} {what}, the most that {setting} allows."""

    owner: str
    limit: int
    what: str
    setting: str


class BlobNotFound(HubError):
    """The object {name} does not exist here."""

    name: str


class BlobCorrupt(HubError):
    """The bytes do not match: expected {expected}, got {got}."""

    expected: str
    got: str


class BlobMissing(HubError):
    """The LFS object {name} of {path!r} has not been uploaded to this repository."""

    name: str
    path: str


class RangeNotSatisfiable(HubError):
    """The requested range lies outside of the {size} bytes there are."""

    size: int


class PreconditionFailed(HubError):
    """The file is not the one that the request's conditions name."""


class StorageFull(HubError):
    """The server's storage is full: nothing was written. Try again later."""


class RateLimited(HubError):
    """Too many attempts: try again in {retry_after_s} seconds."""

    retry_after_s: int


class ShareExceeded(RateLimited):
    """Too many of your requests of this kind ({lane}) run at once: try again in \
{retry_after_s} seconds."""

    lane: str
    retry_after_s: int = 2


class SlowClient(HubError):
    """The body arrived too slowly, or stopped arriving."""


class ClientGone(HubError):
    """The client closed the connection before its body was complete."""


class Unavailable(HubError):
    """The server cannot answer right now: {reason}"""

    reason: str


class ReadOnly(Unavailable):
    """{reason}"""  # the sentence of the operator


class NewerSchema(Unavailable):
    """A newer release migrated the database (schema {version}), and this one (schema {own}) \
cannot work on it: install a release with schema {oldest} or newer, or restore the backup from \
before the update."""

    version: str
    own: str
    oldest: str
    reason: str = "a newer release migrated the database"


class StorageReadOnly(Unavailable):
    """The server cannot answer right now: {reason}"""

    reason: str = "its storage is read-only, nothing was written"


class Overloaded(Unavailable):
    """The server has too much work of this kind ({lane}): try again in {retry_after_s} seconds."""

    lane: str
    reason: str = "it has too much work"
    retry_after_s: int = 2


class WorkTooLong(Unavailable):
    """This request takes longer than the server allows: ask for less, or try again in \
{retry_after_s} seconds."""

    reason: str = "the request takes too long"
    retry_after_s: int = 10


class BlobDamaged(Unavailable):
    """The server cannot send this: its stored copy of {blob} is damaged. Tell its administrator."""

    blob: str  # kind/name, or the file's name
    fault: str  # for the log
    reason: str = "stored bytes are damaged"


class NotBuilt(HubError):
    """Not implemented by this server: {what}"""

    what: str


def every_error(base: type[HubError] = HubError) -> Iterator[type[HubError]]:
    """Yield every subclass of ``base``, parents before children."""
    for cls in base.__subclasses__():
        yield cls
        yield from every_error(cls)
