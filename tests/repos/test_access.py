"""The rights decision: every standing, every right, every state of a repository."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import select

from hubstead.accounts import (
    ANONYMOUS,
    Actor,
    OrgRight,
    open_org,
    open_org_as_operator,
    remove_member,
    set_member,
)
from hubstead.db import Database, Reader, Statement, Tx, scan
from hubstead.errors import (
    Forbidden,
    Gated,
    HubError,
    LoginRequired,
    RepoDisabled,
    RepoNotFound,
)
from hubstead.ids import Kind, RepoId
from hubstead.repos import (
    Repo,
    RepoMoved,
    Right,
    move_repo,
    open_namespace,
    open_repo,
    open_repo_by_id,
    open_repo_by_pk,
    reopen,
    visible_repos,
)
from hubstead.repos.tables import repos
from tests.support.factories import a_repo, a_user, an_org

R = TypeVar("R")

BERT = RepoId(Kind.MODEL, "acme", "bert")
RIGHTS = (Right.VIEW, Right.READ, Right.WRITE, Right.ADMIN)

OK, LOG_IN, NO = "ok", LoginRequired, Forbidden
#: The outcomes of each standing for VIEW, READ, WRITE, ADMIN.
OPEN = {
    "anonymous": (OK, OK, LOG_IN, LOG_IN),
    "stranger": (OK, OK, NO, NO),
    "site admin": (OK, OK, NO, NO),
    "reader": (OK, OK, NO, NO),
    "contributor": (OK, OK, NO, NO),
    "writer": (OK, OK, OK, NO),
    "maker": (OK, OK, OK, OK),
    "owner": (OK, OK, OK, OK),
}
OUTSIDE = ("anonymous", "stranger", "site admin")


def with_outside(*outcomes: object) -> dict[str, tuple[object, ...]]:
    return {**OPEN, **dict.fromkeys(OUTSIDE, outcomes)}


HIDDEN = (RepoNotFound,) * 4
STATES: dict[str, tuple[dict[str, object], dict[str, tuple[object, ...]]]] = {
    "public": ({}, dict(OPEN)),
    "private": ({"private": True}, with_outside(*HIDDEN)),
    "gated": ({"gated": "auto"}, with_outside(OK, Gated, Gated, Gated)),
    "gated by hand": ({"gated": "manual"}, with_outside(OK, Gated, Gated, Gated)),
    "private and gated": ({"private": True, "gated": "auto"}, with_outside(*HIDDEN)),
    "disabled": ({"disabled": 1}, dict.fromkeys(OPEN, (RepoDisabled,) * 4)),
    "private and disabled": (
        {"private": True, "disabled": 1},
        {**dict.fromkeys(OPEN, (RepoDisabled,) * 4), **dict.fromkeys(OUTSIDE, HIDDEN)},
    ),
}


async def users_of_every_role(db: Database) -> dict[str, Actor]:
    """Add one user of each standing to the organization ``acme``."""
    users = {name: await a_user(db, name) for name in OPEN if name not in OUTSIDE}
    members = {role: users[name] for role, name in (("read", "reader"), ("write", "writer"))}
    await an_org(db, "acme", users["owner"], members)

    async def contributors(tx: Tx) -> None:
        acme = await open_org_as_operator(tx, "acme")
        for name in ("contributor", "maker"):
            await set_member(tx, acme, users[name].pk, "contributor")

    await db.write(contributors)
    users["anonymous"] = ANONYMOUS
    users["stranger"] = await a_user(db, "stranger")
    users["site admin"] = await a_user(db, "root", is_admin=True)
    return users


async def outcome(db: Reader, actor: Actor, right: Right) -> object:
    try:
        repo = await open_repo(db, actor, BERT, right)
    except HubError as error:
        return type(error)
    assert repo.repo_id == BERT
    return OK


@pytest.mark.parametrize("state", STATES)
async def test_every_standing_has_its_rights(db: Database, state: str) -> None:
    users = await users_of_every_role(db)
    columns, expected = STATES[state]
    await a_repo(db, users["maker"], "acme/bert", **columns)  # type: ignore[arg-type]
    results = {
        name: tuple([await outcome(db, users[name], right) for right in RIGHTS]) for name in OPEN
    }
    assert results == expected


async def visible_pks(db: Database, actor: Actor) -> set[int]:
    return set(await db.all(_VISIBLE_PKS, actor_pk=actor.pk))


_VISIBLE_PKS = scan(visible_repos(select(repos.c.pk).select_from(repos)), int)


async def test_lists_show_exactly_the_repositories_that_open_repo_admits(db: Database) -> None:
    users = await users_of_every_role(db)
    await an_org(db, "other", users["stranger"])
    owners = {"acme": ("maker", "owner"), "other": ("stranger",), "reader": ("reader",)}
    created = [
        await a_repo(db, users[creator], f"{owner}/{creator}-{n}", **columns)  # type: ignore[arg-type]
        for owner, creators in owners.items()
        for creator in creators
        for n, (columns, _) in enumerate(STATES.values())
    ]
    for name, actor in users.items():
        admitted = set()
        for repo in created:
            with suppress(RepoNotFound):
                with suppress(RepoDisabled):
                    await open_repo_by_pk(db, actor, repo.pk)
                admitted.add(repo.pk)
        assert await visible_pks(db, actor) == admitted, name
    shown = {name: len(await visible_pks(db, actor)) for name, actor in users.items()}
    private = sum(bool(columns.get("private")) for columns, _ in STATES.values())
    every, public = len(created), len(created) - 4 * private
    assert shown == {
        "anonymous": public,
        "stranger": public + private,
        "site admin": public,
        "reader": every - private,
        **dict.fromkeys(("contributor", "maker", "writer", "owner"), every - 2 * private),
    }


@pytest.mark.parametrize("state", STATES)
async def test_a_read_token_loses_only_the_rights_to_write(db: Database, state: str) -> None:
    users = await users_of_every_role(db)
    columns, expected = STATES[state]
    await a_repo(db, users["maker"], "acme/bert", **columns)  # type: ignore[arg-type]
    for name in expected.keys() - {"anonymous"}:
        reader = msgspec.structs.replace(users[name], may_write=False, token_role="read")
        results = tuple([await outcome(db, reader, right) for right in RIGHTS])
        without = tuple(Forbidden if result == OK else result for result in expected[name][2:])
        assert results == (*expected[name][:2], *without), name


async def test_a_private_repository_of_a_user_is_hidden_from_others(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await a_repo(db, anna, "anna/secret", private=True)
    secret = RepoId(Kind.MODEL, "anna", "secret")
    assert (await open_repo(db, anna, secret, Right.ADMIN)).role == "admin"
    with pytest.raises(RepoNotFound):
        await open_repo(db, bert, secret)


@dataclass
class Counted:
    """A reader that records the statements sent to the one behind it."""

    db: Database
    statements: list[tuple[Statement[Any], list[str]]] = field(default_factory=list)

    async def one(self, statement: Statement[R], /, **values: object) -> R | None:
        self.statements.append((statement, sorted(values)))
        return await self.db.one(statement, **values)

    async def single(self, statement: Statement[R], /, **values: object) -> R:
        self.statements.append((statement, sorted(values)))
        return await self.db.single(statement, **values)

    async def all(self, statement: Statement[R], /, **values: object) -> list[R]:
        self.statements.append((statement, sorted(values)))
        return await self.db.all(statement, **values)


async def refused(db: Database, actor: Actor, repo_id: RepoId, right: Right) -> tuple[object, ...]:
    counted = Counted(db)
    with pytest.raises(HubError) as error:
        await open_repo(counted, actor, repo_id, right)
    return type(error.value), str(error.value), vars(error.value), counted.statements


@pytest.mark.parametrize("right", RIGHTS)
async def test_hidden_and_absent_repositories_are_indistinguishable(
    db: Database, right: Right
) -> None:
    anna, stranger = await a_user(db, "anna"), await a_user(db, "stranger")
    for name, columns in {
        "private": {},
        "gated": {"gated": "manual"},
        "disabled": {"disabled": 1},
        "before": {},
    }.items():
        await a_repo(db, anna, f"anna/{name}", private=True, **columns)  # type: ignore[arg-type]
    renamed = RepoId(Kind.MODEL, "anna", "before")
    await move_repo(db, anna, renamed, RepoId(Kind.MODEL, "anna", "after"))
    for actor in (ANONYMOUS, stranger):
        absent = await refused(db, actor, RepoId(Kind.MODEL, "anna", "absent"), right)
        nowhere = await refused(db, actor, RepoId(Kind.MODEL, "nobody", "absent"), right)
        assert absent[0] is RepoNotFound
        assert nowhere == absent
        for name in ("private", "gated", "disabled", "before", "after"):
            hidden = await refused(db, actor, RepoId(Kind.MODEL, "anna", name), right)
            assert hidden == absent, name


async def test_open_repo_sends_one_statement(db: Database) -> None:
    anna = await a_user(db, "anna")
    await a_repo(db, anna, "anna/bert")
    counted = Counted(db)
    await open_repo(counted, anna, RepoId(Kind.MODEL, "ANNA", "Bert"), Right.ADMIN)
    assert len(counted.statements) == 1


async def test_kinds_have_separate_names(db: Database) -> None:
    anna = await a_user(db, "anna")
    repos = {kind: await a_repo(db, anna, "anna/x", kind=kind) for kind in Kind}
    for kind in Kind:
        assert (await open_repo(db, anna, RepoId(kind, "anna", "x"))).pk == repos[kind].pk


async def test_access_by_id_is_as_restricted_as_by_name(db: Database) -> None:
    anna, stranger = await a_user(db, "anna"), await a_user(db, "stranger")
    repo = await a_repo(db, anna, "anna/bert", private=True)
    assert (await open_repo_by_id(db, anna, repo.id)).pk == repo.pk
    for actor, repo_id in ((stranger, repo.id), (ANONYMOUS, repo.id), (anna, "f" * 24)):
        with pytest.raises(RepoNotFound):
            await open_repo_by_id(db, actor, repo_id)


async def test_reopen_detects_lost_rights(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    await an_org(db, "acme", anna, {"write": bert})
    await a_repo(db, anna, "acme/bert", private=True)
    repo = await open_repo(db, bert, BERT, Right.WRITE)

    async def dismiss_and_write(tx: Tx) -> Repo:
        await remove_member(tx, await open_org(tx, anna, "acme", OrgRight.ADMIN), bert.pk)
        return await reopen(tx, bert, repo, Right.WRITE)

    with pytest.raises(RepoNotFound):
        await db.write(dismiss_and_write)


async def test_an_old_name_redirects_only_those_who_may_see_the_target(db: Database) -> None:
    anna, stranger = await a_user(db, "anna"), await a_user(db, "stranger")
    before, after = RepoId(Kind.MODEL, "anna", "before"), RepoId(Kind.MODEL, "anna", "after")
    await a_repo(db, anna, str(before))
    await move_repo(db, anna, before, after)
    for actor in (anna, stranger, ANONYMOUS):
        for right in RIGHTS:
            with pytest.raises(RepoMoved) as moved:
                await open_repo(db, actor, before, right)
            assert moved.value.target == after


@pytest.mark.parametrize(
    ("standing", "may"),
    [("reader", False), ("contributor", True), ("writer", True), ("owner", True)],
)
async def test_who_may_create_repositories_in_an_organization(
    db: Database, standing: str, may: bool
) -> None:
    users = await users_of_every_role(db)
    if may:
        assert (await open_namespace(db, users[standing], "ACME")).name == "acme"
    else:
        with pytest.raises(Forbidden):
            await open_namespace(db, users[standing], "acme")


async def test_only_the_users_own_namespace_is_open(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    assert (await open_namespace(db, anna, None)).pk == anna.pk
    assert (await open_namespace(db, anna, "Anna")).pk == anna.pk
    texts = []
    for name in ("bert", "nobody", "a\0b", "\ud800"):
        with pytest.raises(Forbidden) as refusal:
            await open_namespace(db, anna, name)
        texts.append(str(refusal.value).replace(repr(name), "…"))
    assert len(set(texts)) == 1, "the existence of an account leaks"
    with pytest.raises(LoginRequired):
        await open_namespace(db, ANONYMOUS, "anna")
    with pytest.raises(Forbidden, match="role read"):
        await open_namespace(
            db, msgspec.structs.replace(bert, may_write=False, token_role="read"), None
        )
