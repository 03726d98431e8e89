"""``HubApi``: ``huggingface_hub.HfApi`` with the methods that its releases removed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from huggingface_hub import HfApi, get_session, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

_PUBLIC_HUB = "https://huggingface.co"
_KINDS = (None, "model", "dataset", "space")


class NotASession(ValueError):
    """The token in use is not a session of ``login``, so ``logout`` must not end it."""


@dataclass(frozen=True)
class RepoObj:
    """A stored file of one of the repositories of a namespace.

    Attributes:
        filename: ``<name of the repository>/<path in it>``.
        lastModified: when the repository was last modified, ISO 8601, UTC.
        commit: the commit at the tip of the default branch.
        size: bytes of the content, also of LFS files.
    """

    filename: str
    lastModified: str
    commit: str
    size: int

    @classmethod
    def from_json(cls, item: dict[str, Any]) -> RepoObj:
        """Read an object of the response; ignore unknown keys."""
        return cls(**{field.name: item[field.name] for field in fields(cls)})


class HubApi(HfApi):
    """A client of a hub that signs in with user name and password, as clients did in 2021.

    Everything that ``huggingface_hub.HfApi`` does works here as it does there: ``whoami``,
    ``list_models``, ``model_info``, ``create_repo``, ``delete_repo``, ``upload_file`` and the
    rest. ``login``, ``logout``, ``list_repos_objs`` and ``update_repo_visibility`` are added::

        api = HubApi("https://hub.example.com")
        api.login("anna", password)
        api.create_repo("anna/bert")
        api.update_repo_visibility("anna/bert", private=True)
        api.logout()

    The arguments are those of ``HfApi``. ``endpoint`` is the address of the hub; unless given, it
    is that of ``HF_ENDPOINT`` when ``huggingface_hub`` was first imported. ``token`` is a token to
    begin with; ``login`` puts the token of its session in its place, and nothing is ever written
    to the machine's token file.
    """

    def login(self, username: str, password: str) -> str:
        """Sign in; this object sends every later request as that user.

        Args:
            username: The name of the user, in any case.
            password: Their password. It goes to the hub of this object and nowhere else.

        Returns:
            The session's token, which may be given to other clients and to git as well. It ends
            with ``logout``, or after 90 days.

        Raises:
            ValueError: No endpoint was chosen: the public Hub takes no passwords, and shall not
                get to see one.
            HfHubHTTPError: 401 for an unknown name or a wrong password, 429 after too many wrong
                ones. This object is then signed in as before.
        """
        if self.endpoint.rstrip("/") == _PUBLIC_HUB:
            raise ValueError(
                "Say which hub to sign in to: HubApi(endpoint), or HF_ENDPOINT in the environment."
            )
        answer = get_session().post(
            f"{self.endpoint}/api/login", json={"username": username, "password": password}
        )
        hf_raise_for_status(answer)
        token: str = answer.json()["token"]
        self.token = token
        return token

    def logout(self) -> None:
        """End the session that ``login`` began; later calls of this object are anonymous.

        Raises:
            NotASession: The token in use is an access token. It stays valid and in use;
                ``hubstead token revoke`` ends it.
            HfHubHTTPError: 401 without a signed-in user, or the session has ended already.
        """
        answer = get_session().post(f"{self.endpoint}/api/logout", headers=self._build_hf_headers())
        try:
            hf_raise_for_status(answer)
        except HfHubHTTPError as error:
            if answer.status_code == 400:
                raise NotASession(
                    "Signed in with an access token, not by login(): there is no session to end. "
                    "To end the token itself, revoke it."
                ) from error
            raise
        self.token = False  # None would bring back a token of this machine

    def list_repos_objs(self, organization: str | None = None) -> list[RepoObj]:
        """List the files of all repositories of a namespace that the caller may read.

        Args:
            organization: The namespace, an organization or a user; the caller's own unless given.

        Raises:
            HfHubHTTPError: 401 without a signed-in user, 404 if there is no such namespace.
        """
        answer = get_session().get(
            f"{self.endpoint}/api/repos/ls",
            params={} if organization is None else {"organization": organization},
            headers=self._build_hf_headers(),
        )
        hf_raise_for_status(answer)
        return [RepoObj.from_json(item) for item in answer.json()]

    def update_repo_visibility(
        self,
        repo_id: str,
        private: bool,
        repo_type: str | None = None,
        *,
        token: str | bool | None = None,
    ) -> dict[str, bool]:
        """Make a repository private, or public.

        Args:
            repo_id: ``owner/name``.
            private: True for private.
            repo_type: ``"model"`` (also when None), ``"dataset"`` or ``"space"``.
            token: Another token than this object's, as everywhere in ``HfApi``.

        Returns:
            ``{"private": …}`` with what now holds.

        Raises:
            ValueError: There is no such type.
            RepositoryNotFoundError: There is no such repository, or the caller may not know.
            HfHubHTTPError: 403 if the caller may see it but not change its settings.
        """
        if repo_type not in _KINDS:
            raise ValueError("repo_type is one of None, 'model', 'dataset', 'space'")
        answer = get_session().put(
            f"{self.endpoint}/api/{repo_type or 'model'}s/{repo_id}/settings",
            headers=self._build_hf_headers(token=token),
            json={"private": private},
        )
        hf_raise_for_status(answer)
        return {"private": bool(answer.json()["private"])}
