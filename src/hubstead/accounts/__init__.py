"""Users, organizations, access tokens, sessions, and what we sign ourselves."""

from hubstead.accounts.actor import ANONYMOUS, Actor
from hubstead.accounts.passwords import Passwords
from hubstead.accounts.people import (
    ORG_ROLES,
    account_by_pk,
    add_org,
    add_user,
    count_members,
    delete_account,
    disable_user,
    find_account,
    has_admin,
    list_accounts,
    members_of,
    orgs_of,
    remove_member,
    role_in,
    set_member,
    set_password,
)
from hubstead.accounts.sign_in import SignIn
from hubstead.accounts.signing import Seal, SigningKey, add_key, rotate
from hubstead.accounts.tokens import (
    LastUse,
    actor_by_pk,
    actor_of_token,
    add_token,
    end_session,
    list_tokens,
    revoke_token,
)

__all__ = [
    "ANONYMOUS",
    "ORG_ROLES",
    "Actor",
    "LastUse",
    "Passwords",
    "Seal",
    "SignIn",
    "SigningKey",
    "account_by_pk",
    "actor_by_pk",
    "actor_of_token",
    "add_key",
    "add_org",
    "add_token",
    "add_user",
    "count_members",
    "delete_account",
    "disable_user",
    "end_session",
    "find_account",
    "has_admin",
    "list_accounts",
    "list_tokens",
    "members_of",
    "orgs_of",
    "remove_member",
    "revoke_token",
    "role_in",
    "rotate",
    "set_member",
    "set_password",
]
