"""Forms: what was typed, what is wrong with it, and where a browser goes after it worked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hubstead.db import Conflict
from hubstead.errors import (
    AccountNotFound,
    Forbidden,
    HubError,
    InvalidCredentials,
    InvalidInput,
    InvalidName,
    LastAdministrator,
    LimitReached,
    NameTaken,
    RateLimited,
    SignInFailed,
)
from hubstead.http import Response
from hubstead.repos import RepoExists
from hubstead.wire import Request

#: Errors that a form shows, with the status of its page; others have a page of their own.
_STATUS: dict[type[HubError], int] = {
    InvalidInput: 422,
    InvalidName: 422,
    SignInFailed: 422,
    InvalidCredentials: 422,
    AccountNotFound: 422,
    Forbidden: 403,
    LimitReached: 403,
    NameTaken: 409,
    RepoExists: 409,
    LastAdministrator: 409,
    Conflict: 409,
    RateLimited: 429,
}
_FORM = "application/x-www-form-urlencoded"


class FormError(InvalidInput):
    """{reason}"""

    field: str = ""


@dataclass
class Form:
    """The values of a form by field, as typed, and its errors."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)  # by field; "" for the whole form
    status: int = 200

    def text(self, name: str) -> str:
        """Return the value of a field without blanks around it; empty if it was not sent."""
        return self.values.get(name, "").strip()

    def secret(self, name: str) -> str:
        """Return the value of a field as it was typed."""
        return self.values.get(name, "")

    def flag(self, name: str) -> bool:
        """Tell whether a box was checked."""
        return name in self.values

    def require_typed(self, name: str, expected: str) -> None:
        """Require that a name was typed in full, which confirms a dangerous action.

        Raises:
            FormError: something else was typed.
        """
        if self.text(name) != expected:
            raise FormError(field=name, reason=f"Type {expected} to confirm")

    def refused(self, error: HubError, fields: Mapping[type[HubError], str] | None = None) -> Form:
        """Record an error beside the field that ``fields`` names for it.

        Args:
            error: Why the form was refused.
            fields: The field of each class of error; other errors are of the whole form.

        Raises:
            HubError: ``error`` itself, if it is none that a form shows.
        """
        if isinstance(error, FormError):
            self.status = 422
            self.errors[error.field] = error.reason
            return self
        status = next((_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS), None)
        if status is None:
            raise error
        named = next(
            ((fields or {})[cls] for cls in type(error).__mro__ if cls in (fields or {})), ""
        )
        self.status = status
        self.errors[named] = error.message
        return self


async def read_form(request: Request) -> Form:
    """Return the form that a browser sent.

    Raises:
        InvalidInput: the body is no form.
    """
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise InvalidInput(reason=f"this address takes a form ({_FORM})")
    fields = await request.fields()
    return Form({name: values[-1] if values else "" for name, values in fields.items()})


def see_other(request: Request, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Send the browser to a page of this hub (303), which a reload then repeats."""
    prefix = urlsplit(request.public_url).path.rstrip("/")
    return Response(status=303, headers={**(headers or {}), "location": prefix + path})


def local_path(text: str) -> str:
    """Return ``text`` if it is the path of a page of this hub, else the front page.

    Browsers take ``//name`` and ``/\\name`` for addresses elsewhere, and ignore control characters.
    """
    odd = any(char < "!" or char in "\\\x7f" for char in text)
    if odd or not text.isascii() or not text.startswith("/") or text.startswith("//"):
        return "/"
    return text
