"""The route table of the Hub's API: method, address, handler, and the right that a caller needs.

A row is a ``Route``. Its handler is called as the operation (``history.create_branch``). Its fourth
column is a ``Right`` to the repository of the address, or an ``Access`` where the address names no
repository. ``Doc`` is what the OpenAPI document adds to the row: parameters of the query, the
structs of body and answer (``shapes``), the media type. Addresses use the patterns of
``wire/routing.py``, of which these are the Hub's own:

``{kinds}``     a kind in the plural: ``models``, ``datasets``, ``spaces``, ``kernels``
``{any_kind}``  a kind in the plural or singular, as clients up to 0.7 send it
``{prefix}``    the kind in web addresses: nothing for models, else ``datasets``, ``spaces`` …
``{buckets}``   the word ``buckets``
``{repo}``      ``namespace/name``, or a legacy name of one segment such as ``gpt2``
``{rev+}``      a revision whose slashes may be sent as they are
``{rest+}``     a revision and a path behind it; ``Request.split`` finds where the path begins
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hubstead.repos import Right
from hubstead.wire import Access, Doc, Route
from hubstead.wire.hub_api import (
    accounts,
    bucket_objects,
    buckets,
    collections,
    commit,
    discussions,
    history,
    identity,
    info,
    lfs_files,
    likes,
    lists,
    not_implemented,
    people,
    readiness,
    repos,
    resolve,
    service,
    shapes,
    single_files,
    tree,
    validation,
    xet,
)

OPEN, ANYONE, SIGNED_IN = Access.OPEN, Access.ANYONE, Access.SIGNED_IN
VIEW, READ, PROPOSE = Right.VIEW, Right.READ, Right.PROPOSE
WRITE, ADMIN = Right.WRITE, Right.ADMIN

_REPO = "/api/{kinds}/{repo}"
_WEB = "/{prefix}/{repo}"
#: Models before they had a segment of their own (protocol/legacy-clients.md 2.9,
#: protocol/legacy-clients.md 2.10).
_BARE = "/api/{namespace}/{name}"
_BYTES = Doc(query="download", media_type="application/octet-stream")
_LIST = Doc(
    query="filter author search sort direction limit cursor full cardData config expand gated "
    "pipeline_tag library language task tags dataset datasets models linked id apps"
)
_PAGE = Doc(query="limit cursor")
_QUICK = Doc(query="q limit type")
_OWNED = Doc(query="search type sort direction limit skip")
_INFO = Doc(query="expand blobs securityStatus revision")


def _json(body: type | None = None, answer: Any = None, query: str = "") -> Doc:
    return Doc(query=query, body=body, answer=answer)


_file = partial(Route, names_file=True)

_SERVICE = [
    Route("GET", "/healthz", service.check_liveness, OPEN),
    Route("GET", "/readyz", readiness.check_readiness, OPEN),
    Route("GET", "/metrics", service.get_metrics, OPEN, doc=Doc(media_type="text/plain")),
    Route("GET", "/api/openapi.json", service.get_openapi, OPEN),
    Route("GET", "/.well-known/openapi.json", service.get_openapi, OPEN),
    Route("GET", "/api/agent-harnesses", service.list_agent_harnesses, OPEN),
    Route("HEAD", "/api/telemetry/{topic*}", service.accept_telemetry, OPEN),
    Route("GET", "/api/metrics", lists.list_evaluation_metrics, ANYONE),
    Route("GET", "/api/tasks", service.list_tasks, ANYONE),
    Route("GET", "/api/spaces/hardware", service.list_space_hardware, ANYONE),
    Route("GET", "/api/spaces/templates", service.list_space_templates, ANYONE),
]

_IDENTITY = [
    Route(
        "POST",
        "/api/login",
        identity.login,
        OPEN,
        doc=_json(shapes.Login, shapes.Token),
        signs_in=True,
    ),
    Route("POST", "/api/logout", identity.logout, SIGNED_IN),
    Route("GET", "/api/whoami", identity.whoami_v1, SIGNED_IN, doc=_json(None, shapes.WhoamiV1)),
    Route("GET", "/api/whoami-v2", identity.whoami, SIGNED_IN, doc=_json(None, shapes.Whoami)),
]

_REPOS = [
    Route(
        "POST",
        "/api/repos/create",
        repos.create_repo,
        SIGNED_IN,
        doc=_json(shapes.CreateRepo, shapes.CreatedRepo),
    ),
    Route(
        "DELETE", "/api/repos/delete", repos.delete_repo, SIGNED_IN, doc=_json(shapes.DeleteRepo)
    ),
    Route("POST", "/api/repos/move", repos.move_repo, SIGNED_IN, doc=_json(shapes.MoveRepo)),
    Route("GET", "/api/repos/ls", single_files.list_stored, SIGNED_IN),
    Route(
        "PUT",
        f"{_REPO}/settings",
        repos.update_repo_settings,
        ADMIN,
        doc=_json(shapes.RepoSettings),
    ),
    Route(
        "PUT",
        f"{_BARE}/settings",
        repos.update_repo_settings,
        ADMIN,
        doc=_json(shapes.RepoSettings),
    ),
    Route(
        "PUT",
        "/api/repos/{any_kind}/{repo}/settings",
        repos.update_repo_settings,
        ADMIN,
        doc=_json(shapes.RepoSettings),
    ),
    Route(
        "POST",
        f"{_REPO}/duplicate",
        repos.duplicate_repo,
        READ,
        doc=_json(shapes.DuplicateRepo, shapes.CreatedRepo),
    ),
    Route("GET", f"{_REPO}/auth-check", repos.auth_check, READ),
    Route("GET", f"{_REPO}/auth-check/write", repos.auth_check, WRITE),
]

_READING = [
    Route("GET", "/api/models", lists.list_models, ANYONE, doc=_LIST),
    Route("GET", "/api/datasets", lists.list_datasets, ANYONE, doc=_LIST),
    Route("GET", "/api/spaces", lists.list_spaces, ANYONE, doc=_LIST),
    Route("GET", "/api/kernels", lists.list_kernels, ANYONE, doc=_LIST),
    Route("GET", "/api/models-tags-by-type", lists.list_model_tags, ANYONE),
    Route("GET", "/api/datasets-tags-by-type", lists.list_dataset_tags, ANYONE),
    Route("GET", _REPO, info.get_repo_info, VIEW, doc=_INFO),
    Route("GET", f"{_REPO}/revision/{{rev+}}", info.get_repo_info, VIEW),
    Route("GET", f"{_REPO}/scan", info.get_scan, VIEW, doc=_json(None, shapes.Scan)),
    Route(
        "GET",
        f"{_REPO}/tree/{{rest+}}",
        tree.list_tree,
        VIEW,
        doc=_json(None, list[shapes.TreeItem], "recursive expand limit cursor"),
    ),
    Route(
        "POST",
        f"{_REPO}/paths-info/{{rev+}}",
        tree.get_paths_info,
        VIEW,
        only_reads=True,
        doc=_json(None, list[shapes.TreeItem]),
    ),
    Route(
        "GET",
        f"{_REPO}/refs",
        history.list_refs,
        VIEW,
        doc=_json(None, shapes.Refs, "include_prs"),
    ),
    Route(
        "GET",
        f"{_REPO}/commits/{{rev+}}",
        history.list_commits,
        VIEW,
        doc=_json(None, list[shapes.CommitItem], "p limit expand"),
    ),
    Route(
        "GET",
        f"{_REPO}/compare/{{spec+}}",
        history.compare_revisions,
        READ,
        doc=Doc(media_type="text/plain"),
    ),
    _file("GET", f"{_WEB}/resolve/{{rest+}}", resolve.resolve_file, READ, doc=_BYTES),
    _file("GET", f"{_WEB}/raw/{{rest+}}", resolve.get_raw_file, READ, doc=_BYTES),
    _file(
        "GET",
        "/api/resolve-cache/{kinds}/{repo}/{sha}/{path+}",
        resolve.resolve_cached_file,
        READ,
        doc=_BYTES,
    ),
]
_XET = [
    Route(
        "GET",
        f"{_REPO}/xet-read-token/{{rev*}}",
        xet.issue_read_token,
        READ,
        doc=_json(None, shapes.XetTokenResponse),
    ),
    # Readers may propose changes: for anything else the handler asks for more.
    Route(
        "GET",
        f"{_REPO}/xet-write-token/{{rev*}}",
        xet.issue_write_token,
        READ,
        doc=_json(None, shapes.XetTokenResponse, "create_pr"),
    ),
]
_PEOPLE = [
    Route("GET", "/api/users/{user}/overview", accounts.user_overview, ANYONE),
    Route("GET", "/api/organizations/{org}/overview", accounts.org_overview, ANYONE),
    Route(
        "GET",
        "/api/organizations/{org}/members",
        accounts.org_members,
        ANYONE,
        doc=Doc(query="search"),
    ),
    Route(
        "PUT",
        "/api/users/{user}/name",
        accounts.rename_user,
        SIGNED_IN,
        doc=_json(shapes.RenameAccount),
    ),
    Route(
        "PUT",
        "/api/organizations/{org}/name",
        accounts.rename_org,
        SIGNED_IN,
        doc=_json(shapes.RenameAccount),
    ),
    *[
        Route(method, f"{start}/{verb}", handler, access, own_change=access is SIGNED_IN, doc=doc)
        for start in ("/api/users/{user}", "/api/organizations/{org}")
        for method, verb, handler, access, doc in (
            ("POST", "follow", people.follow_account, SIGNED_IN, Doc()),
            ("DELETE", "follow", people.unfollow_account, SIGNED_IN, Doc()),
            ("GET", "followers", people.list_account_followers, ANYONE, _PAGE),
            ("GET", "socials", people.get_socials, ANYONE, Doc()),
            ("PUT", "profile", people.update_profile, SIGNED_IN, _json(shapes.UpdateProfile)),
        )
    ],
    Route("GET", "/api/users/{user}/following", people.list_account_following, ANYONE, doc=_PAGE),
    Route("GET", "/api/users/{user}/likes", likes.list_liked_repos, ANYONE, doc=_PAGE),
    Route("GET", "/api/quicksearch", people.quick_search, ANYONE, doc=_QUICK),
    Route("POST", "/api/quicksearch", people.quick_search, ANYONE, doc=_QUICK),
    Route("GET", "/api/settings/repositories", accounts.own_repositories, SIGNED_IN, doc=_OWNED),
    Route(
        "GET",
        "/api/organizations/{org}/settings/repositories",
        accounts.org_repositories,
        SIGNED_IN,
        doc=_OWNED,
    ),
]

_LIKES = [
    Route("POST", f"{_REPO}/like", likes.like_repo, VIEW, own_change=True),
    Route("DELETE", f"{_REPO}/like", likes.unlike_repo, VIEW, own_change=True),
    Route("GET", f"{_REPO}/likers", likes.list_likers, VIEW, doc=_PAGE),
]
_COLLECTION = "/api/collections/{namespace}/{name}"
_COLLECTIONS = [
    Route(
        "GET",
        "/api/collections",
        collections.list_collections,
        ANYONE,
        doc=Doc(query="owner item q sort limit cursor"),
    ),
    Route(
        "POST",
        "/api/collections",
        collections.create_collection,
        SIGNED_IN,
        doc=_json(shapes.CreateCollection),
    ),
    Route("GET", _COLLECTION, collections.get_collection, ANYONE),
    Route(
        "PATCH",
        _COLLECTION,
        collections.update_collection,
        SIGNED_IN,
        doc=_json(shapes.UpdateCollection),
    ),
    Route("DELETE", _COLLECTION, collections.delete_collection, SIGNED_IN),
    Route(
        "POST",
        f"{_COLLECTION}/items",
        collections.add_item,
        SIGNED_IN,
        doc=_json(shapes.AddCollectionItem),
    ),
    Route(
        "POST",
        f"{_COLLECTION}/items/batch",
        collections.update_items,
        SIGNED_IN,
        doc=Doc(),
    ),
    Route(
        "PATCH",
        f"{_COLLECTION}/items/{{item}}",
        collections.update_item,
        SIGNED_IN,
        doc=_json(shapes.UpdateCollectionItem),
    ),
    Route("DELETE", f"{_COLLECTION}/items/{{item}}", collections.remove_item, SIGNED_IN),
    Route(
        "POST", f"{_COLLECTION}/upvote", collections.upvote_collection, SIGNED_IN, own_change=True
    ),
    Route(
        "DELETE", f"{_COLLECTION}/upvote", collections.withdraw_upvote, SIGNED_IN, own_change=True
    ),
]


_BUCKET = "/api/{buckets}/{namespace}/{name}"
_BUCKETS = [
    Route(
        "GET",
        "/api/{buckets}/{owner}",
        buckets.list_buckets,
        ANYONE,
        doc=_json(None, list[shapes.BucketInfo], "search limit cursor"),
    ),
    Route(
        "POST",
        _BUCKET,
        buckets.create_bucket,
        SIGNED_IN,
        doc=_json(shapes.CreateBucket, shapes.CreatedRepo),
    ),
    Route("GET", _BUCKET, buckets.get_bucket, VIEW, doc=_json(None, shapes.BucketInfo)),
    Route("DELETE", _BUCKET, buckets.delete_bucket, ADMIN),
    Route(
        "PUT",
        f"{_BUCKET}/settings",
        buckets.update_bucket_settings,
        ADMIN,
        doc=_json(shapes.BucketSettings),
    ),
    Route("GET", f"{_BUCKET}/auth-check", repos.auth_check, READ),
    Route("GET", f"{_BUCKET}/auth-check/write", repos.auth_check, WRITE),
    Route(
        "GET",
        f"{_BUCKET}/xet-read-token",
        buckets.issue_read_token,
        READ,
        doc=_json(None, shapes.XetTokenResponse),
    ),
    Route(
        "GET",
        f"{_BUCKET}/xet-write-token",
        buckets.issue_write_token,
        WRITE,
        doc=_json(None, shapes.XetTokenResponse),
    ),
    Route(
        "GET",
        f"{_BUCKET}/tree/{{path*}}",
        bucket_objects.list_tree,
        VIEW,
        doc=_json(None, list[shapes.BucketTreeItem], "recursive limit cursor sort direction"),
    ),
    Route(
        "POST",
        f"{_BUCKET}/paths-info",
        bucket_objects.get_paths_info,
        VIEW,
        only_reads=True,
        doc=_json(None, list[shapes.BucketTreeItem]),
    ),
    Route(
        "POST",
        f"{_BUCKET}/batch",
        bucket_objects.apply_batch,
        WRITE,
        doc=_json(None, shapes.BucketBatchResponse),
    ),
    Route(
        "POST",
        f"{_BUCKET}/lfs-files/duplicate",
        lfs_files.duplicate,
        READ,
        doc=_json(shapes.DuplicateLfsFiles, shapes.DuplicatedLfsFiles),
    ),
    _file(
        "GET",
        "/{buckets}/{namespace}/{name}/resolve/{path+}",
        bucket_objects.resolve_object,
        READ,
        doc=_BYTES,
    ),
]

# A pull request's ref needs less than a branch: for a branch the handlers ask for more.
_WRITING = [
    Route(
        "POST",
        "/api/validate-yaml",
        validation.validate_yaml,
        ANYONE,
        only_reads=True,
        doc=_json(shapes.ValidateYaml, shapes.Validated),
    ),
    Route(
        "POST",
        f"{_REPO}/preupload/{{rev+}}",
        commit.preupload,
        PROPOSE,
        doc=_json(shapes.Preupload, shapes.PreuploadResponse, "create_pr"),
    ),
    Route(
        "POST",
        f"{_REPO}/commit/{{rev+}}",
        commit.create_commit,
        PROPOSE,
        doc=_json(shapes.CommitDocument, shapes.CommitResponse, "create_pr"),
    ),
    Route(
        "POST",
        f"{_REPO}/branch/{{branch+}}",
        history.create_branch,
        WRITE,
        doc=_json(shapes.CreateBranch),
    ),
    Route("DELETE", f"{_REPO}/branch/{{branch+}}", history.delete_branch, WRITE),
    Route("POST", f"{_REPO}/tag/{{rev+}}", history.create_tag, WRITE, doc=_json(shapes.CreateTag)),
    Route("DELETE", f"{_REPO}/tag/{{rev+}}", history.delete_tag, WRITE),
    Route(
        "POST",
        f"{_REPO}/super-squash/{{branch+}}",
        history.squash_history,
        WRITE,
        doc=_json(shapes.Squash),
    ),
    Route("POST", f"{_REPO}/forget-unreachable", history.forget_unreachable_history, ADMIN),
    Route("GET", f"{_REPO}/lfs-files", lfs_files.listing, WRITE, doc=Doc(query="limit cursor")),
    Route(
        "POST",
        f"{_REPO}/lfs-files/batch",
        lfs_files.delete_batch,
        WRITE,
        doc=_json(shapes.DeleteLfsFiles),
    ),
    Route("DELETE", f"{_REPO}/lfs-files/{{sha}}", lfs_files.delete_one, WRITE),
    Route(
        "POST",
        f"{_REPO}/lfs-files/duplicate",
        lfs_files.duplicate,
        READ,
        doc=_json(shapes.DuplicateLfsFiles, shapes.DuplicatedLfsFiles),
    ),
    *[
        _file(method, f"{start}/{verb}/{{rest+}}", handler, WRITE)
        for start in ("/api/{any_kind}/{repo}", _BARE)
        for method, verb, handler in (
            ("POST", "upload", single_files.upload),
            ("DELETE", "delete", single_files.delete),
        )
    ],
]

_DISCUSSION = f"{_REPO}/discussions/{{num}}"
_DISCUSSIONS = [
    Route(
        "GET",
        f"{_REPO}/discussions",
        discussions.list_discussions,
        VIEW,
        doc=Doc(query="p type status author search sort"),
    ),
    Route(
        "POST",
        f"{_REPO}/discussions",
        discussions.open_discussion,
        PROPOSE,
        doc=_json(shapes.OpenDiscussion),
    ),
    Route("GET", _DISCUSSION, discussions.get_discussion, VIEW, doc=Doc(query="diff")),
    Route("DELETE", _DISCUSSION, discussions.delete_discussion, ADMIN),
    # The author of a discussion or comment needs less than others: the room decides.
    *[
        Route("POST", f"{_DISCUSSION}/{verb}", handler, right, doc=_json(body))
        for verb, handler, right, body in (
            ("comment", discussions.add_comment, PROPOSE, shapes.NewComment),
            ("comment/{comment}/edit", discussions.edit_comment, PROPOSE, shapes.EditedComment),
            ("comment/{comment}/hide", discussions.hide_comment, PROPOSE, None),
            ("title", discussions.change_title, PROPOSE, shapes.DiscussionTitle),
            ("status", discussions.change_status, PROPOSE, shapes.DiscussionStatus),
            ("merge", discussions.merge_request, WRITE, shapes.MergeRequest),
            ("pin", discussions.pin_discussion, WRITE, shapes.DiscussionPin),
            ("lock", discussions.lock_discussion, WRITE, shapes.DiscussionLock),
        )
    ],
]

_UNBUILT = [
    *[
        Route(method, pattern, handler, access)
        for pattern, handler, access, methods in (
            (
                f"{_REPO}/user-access-request/{{what+}}",
                not_implemented.ACCESS_REQUESTS,
                VIEW,
                "GET POST",
            ),
            (f"{_WEB}/ask-access", not_implemented.ACCESS_REQUESTS, VIEW, "POST"),
            ("/api/{spaces}/{repo}/runtime", not_implemented.SPACES, VIEW, "GET"),
            ("/api/{spaces}/{repo}/secrets", not_implemented.SPACES, WRITE, "GET POST DELETE"),
            ("/api/{spaces}/{repo}/variables", not_implemented.SPACES, WRITE, "GET POST DELETE"),
            ("/api/{spaces}/{repo}/hardware", not_implemented.SPACES, WRITE, "POST"),
            ("/api/{spaces}/{repo}/restart", not_implemented.SPACES, WRITE, "POST"),
            ("/api/{spaces}/{repo}/pause", not_implemented.SPACES, WRITE, "POST"),
            (
                "/api/collections/{namespace}/{name}/resource-group",
                not_implemented.RESOURCE_GROUPS,
                SIGNED_IN,
                "GET POST",
            ),
            ("/api/settings/webhooks", not_implemented.WEBHOOKS, SIGNED_IN, "GET POST"),
            (
                "/api/settings/webhooks/{id+}",
                not_implemented.WEBHOOKS,
                SIGNED_IN,
                "GET POST DELETE",
            ),
            ("/api/settings/ssh-keys", not_implemented.SSH_KEYS, SIGNED_IN, "GET POST"),
            (f"{_BUCKET}/events", not_implemented.BUCKET_EVENTS, VIEW, "GET"),
            (f"{_BUCKET}/resource-group", not_implemented.RESOURCE_GROUPS, ADMIN, "GET POST"),
            ("/api/jobs/{rest*}", not_implemented.JOBS, ANYONE, "GET POST PUT"),
            ("/api/scheduled-jobs/{rest*}", not_implemented.JOBS, ANYONE, "GET POST PUT DELETE"),
            (
                f"{_REPO}/safetensors-metadata/{{path+}}",
                not_implemented.SAFETENSORS,
                READ,
                "GET",
            ),
            (f"{_REPO}/treesize/{{rest+}}", not_implemented.TREE_SIZE, VIEW, "GET"),
            (f"{_REPO}/resource-group", not_implemented.RESOURCE_GROUPS, ADMIN, "GET POST"),
            ("/api/users/{user}/{what+}", not_implemented.FOLLOWERS, ANYONE, "GET"),
            (
                "/api/organizations/{org}/{what+}",
                not_implemented.ORGANIZATIONS,
                ANYONE,
                "GET POST PUT",
            ),
            (
                "/api/settings/{what+}",
                not_implemented.ACCOUNT_SETTINGS,
                SIGNED_IN,
                "GET POST PUT PATCH",
            ),
            ("/api/notifications", not_implemented.NOTIFICATIONS, SIGNED_IN, "GET DELETE"),
            ("/api/papers/{rest+}", not_implemented.PAPERS, ANYONE, "GET POST"),
            ("/api/daily_papers", not_implemented.PAPERS, ANYONE, "GET"),
            ("/api/trending", not_implemented.TRENDING, ANYONE, "GET"),
            ("/api/search/full-text", not_implemented.TRENDING, ANYONE, "GET"),
            ("/api/credentials/revoke", not_implemented.REVOKING, OPEN, "POST"),
            ("/oauth/{rest+}", not_implemented.OAUTH, OPEN, "GET POST"),
        )
        for method in methods.split()
    ],
]

ROUTES = [
    *_SERVICE,
    *_IDENTITY,
    *_REPOS,
    *_READING,
    *_XET,
    *_BUCKETS,
    *_PEOPLE,
    *_LIKES,
    *_COLLECTIONS,
    *_WRITING,
    *_DISCUSSIONS,
    *_UNBUILT,
]
