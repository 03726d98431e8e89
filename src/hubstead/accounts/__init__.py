"""Users, organizations and their members, access tokens, passwords, and the hub's own signatures.

Owns the tables of ``accounts/tables.py`` and decides the rights to organizations. Knows no
repositories (``repos/access.py`` decides the rights to those) and no HTTP.
"""

from hubstead.accounts.access import (
    Organization,
    OrgRight,
    membership_of,
    open_org,
    open_org_as_operator,
    owner_as_operator,
    require_writable,
    role_in_owned,
    shown_to_caller,
)
from hubstead.accounts.accounts import (
    Account,
    find_account,
    list_accounts,
    load_account,
    moved_to,
    set_account_name,
)
from hubstead.accounts.actor import ANONYMOUS, Actor
from hubstead.accounts.attempts import expire_attempts
from hubstead.accounts.browser_sessions import (
    BrowserSession,
    SessionLimits,
    authenticate_browser_session,
    end_browser_session,
    end_browser_sessions,
    expire_browser_sessions,
    list_browser_sessions,
    open_browser_session,
)
from hubstead.accounts.deletion import delete_account
from hubstead.accounts.followers import (
    Follow,
    FollowCounts,
    FollowPosition,
    count_follows,
    follow,
    followed_among,
    list_followers,
    list_following,
    unfollow,
)
from hubstead.accounts.orgs import (
    ORG_ROLES,
    Member,
    Membership,
    add_org,
    count_members,
    list_members,
    list_orgs_of,
    remove_member,
    set_member,
)
from hubstead.accounts.passwords import Passwords
from hubstead.accounts.profiles import SOCIAL_SERVICES, Profile, change_profile, load_profile
from hubstead.accounts.search import search_accounts
from hubstead.accounts.sign_in import SignIn
from hubstead.accounts.signatures import HubSigner, SigningKey, add_signing_key, rotate_keys
from hubstead.accounts.tokens import (
    AccessToken,
    LastUse,
    add_token,
    authenticate_token,
    end_session,
    list_tokens,
    new_token,
    reload_actor,
    revoke_token,
)
from hubstead.accounts.users import (
    UserPassword,
    add_user,
    disable_user,
    first_user_waits,
    has_admin,
    set_password,
)

__all__ = [
    "ANONYMOUS",
    "ORG_ROLES",
    "SOCIAL_SERVICES",
    "AccessToken",
    "Account",
    "Actor",
    "BrowserSession",
    "Follow",
    "FollowCounts",
    "FollowPosition",
    "HubSigner",
    "LastUse",
    "Member",
    "Membership",
    "OrgRight",
    "Organization",
    "Passwords",
    "Profile",
    "SessionLimits",
    "SignIn",
    "SigningKey",
    "UserPassword",
    "add_org",
    "add_signing_key",
    "add_token",
    "add_user",
    "authenticate_browser_session",
    "authenticate_token",
    "change_profile",
    "count_follows",
    "count_members",
    "delete_account",
    "disable_user",
    "end_browser_session",
    "end_browser_sessions",
    "end_session",
    "expire_attempts",
    "expire_browser_sessions",
    "find_account",
    "first_user_waits",
    "follow",
    "followed_among",
    "has_admin",
    "list_accounts",
    "list_browser_sessions",
    "list_followers",
    "list_following",
    "list_members",
    "list_orgs_of",
    "list_tokens",
    "load_account",
    "load_profile",
    "membership_of",
    "moved_to",
    "new_token",
    "open_browser_session",
    "open_org",
    "open_org_as_operator",
    "owner_as_operator",
    "reload_actor",
    "remove_member",
    "require_writable",
    "revoke_token",
    "role_in_owned",
    "rotate_keys",
    "search_accounts",
    "set_account_name",
    "set_member",
    "set_password",
    "shown_to_caller",
    "unfollow",
]
