"""What can go wrong, in the Hub's words.

An error here knows nothing of HTTP: each wire has its own table from these classes to
status, code and text (``wire/*/errors.py``), and a test that the table is complete.
The first line of a class's docstring *is* its message; the facts given when raising
fill it in::

    raise RevisionNotFound(revision="v9", repo="acme/bert")
"""

from __future__ import annotations

from collections.abc import Iterator


class HubError(Exception):
    """Something went wrong."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        template = (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(template.format_map(facts))

    @property
    def message(self) -> str:
        """One line that a person can act on."""
        return str(self)


class InvalidInput(HubError):
    """{reason}"""


class InvalidName(InvalidInput):
    """Invalid name {name!r}: {reason}"""


class InvalidPath(InvalidInput):
    """Invalid path {path!r}: {reason}"""


class InvalidCandidate(InvalidPath):
    """Invalid path {path!r}: {reason}"""


class InvalidCard(InvalidInput):
    """Invalid metadata in README.md: {reason}"""


class InvalidCredentials(HubError):
    """The credentials are not valid: unknown, expired or revoked."""


class LoginRequired(HubError):
    """This needs a signed-in user: send an access token."""


class SignInFailed(HubError):
    """Invalid username or password."""


class Forbidden(HubError):
    """{reason}"""


class RepoNotFound(HubError):
    """Repository not found"""


class RepoMoved(HubError):
    """The repository is now called {target}."""


class RepoDisabled(HubError):
    """Access to this resource is disabled."""


class Gated(HubError):
    """Access to {repo} is restricted and needs the approval of its owners."""


class RevisionNotFound(HubError):
    """Invalid rev id: {revision}"""


class EntryNotFound(HubError):
    """{reason}"""

    def __init__(self, *, reason: str = "Entry not found", **facts: object) -> None:
        super().__init__(reason=reason, **facts)


class AccountNotFound(HubError):
    """There is no account called {name!r}."""


class NotFound(HubError):
    """{reason}"""


class NameTaken(HubError):
    """The name {name!r} is taken: names are unique without regard to case."""


class RepoExists(HubError):
    """You already created this {kind} repo. A {kind} repository called {repo} already exists"""


class RefExists(HubError):
    """Reference already exists: Reference {ref} already exists"""


class Unchanged(HubError):
    """The file {path} is already there with the same content."""


class StaleParent(HubError):
    """A commit has happened since. Please refresh and try again. {branch} is at {found}. \
The branch was updated since you opened this page. Please refresh and try again."""


class ConcurrentChange(HubError):
    """Another change to this repository is in progress: try again."""


class TooLarge(HubError):
    """{what} is larger than the limit of {limit} ({setting})."""


class BlobNotFound(HubError):
    """The object {name} does not exist here."""


class BlobCorrupt(HubError):
    """The bytes do not match: expected {expected}, got {got}."""


class BlobMissing(HubError):
    """The LFS object {name} of {path!r} has not been uploaded to this repository."""


class RangeNotSatisfiable(HubError):
    """The requested range lies outside of the {size} bytes there are."""


class StorageFull(HubError):
    """The server's storage is full: nothing was written. Try again later."""


class RateLimited(HubError):
    """Too many attempts: try again in {retry_after_s} seconds."""


class SlowClient(HubError):
    """The body arrived too slowly, or stopped arriving."""


class ClientGone(HubError):
    """The client closed the connection before its body was complete."""


class Unavailable(HubError):
    """The server cannot answer right now: {reason}"""


class NotBuilt(HubError):
    """Not implemented by this server: {what}"""


def every_error(base: type[HubError] = HubError) -> Iterator[type[HubError]]:
    """Yield each error class below ``base``, parents before children."""
    for cls in base.__subclasses__():
        yield cls
        yield from every_error(cls)
