"""Structs of requests and answers of the Hub's API (docs/protocol/hub-api.md).

Unknown fields of requests are ignored. Field names are the wire's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

#: Bytes; msgspec takes no larger bound.
Size = Annotated[int, Meta(ge=0, le=2**62)]


def iso(ms: int) -> str:
    """Format milliseconds since the epoch as clients parse them: ISO 8601 with ``Z``."""
    stamp = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"


# -- requests ----------------------------------------------------------------------------------


class Login(Struct):
    """``POST /api/login`` of releases up to 0.7."""

    username: str
    password: str


class CreateFile(Struct):
    """A file for the first commit (JavaScript client, web form)."""

    path: str
    content: str = ""
    encoding: Literal["utf-8", "base64"] = "utf-8"


class CreateRepo(Struct):
    """``POST /api/repos/create``."""

    name: str
    organization: str | None = None
    type: str | None = None
    private: bool | None = None
    visibility: str | None = None
    sdk: str | None = None
    space_sdk: str | None = None
    license: str | None = None
    files: list[CreateFile] | None = None
    lfsmultipartthresh: Size | None = None


class CreateBucket(Struct):
    """``POST /api/buckets/{namespace}/{name}``; where its bytes are stored is the hub's choice."""

    private: bool | None = None
    visibility: str | None = None
    resourceGroupId: str | None = None
    region: str | None = None


class BucketSettings(Struct):
    """``PUT /api/buckets/{id}/settings``."""

    private: bool | None = None
    visibility: str | None = None
    cdnRegions: list[dict[str, str]] | UnsetType = UNSET


class BucketOperation(Struct):
    """A line of ``POST /api/buckets/{id}/batch``."""

    type: Literal["addFile", "copyFile", "deleteFile"]
    path: str
    xetHash: str = ""
    mtime: Annotated[int, Meta(ge=-(2**53), le=2**53)] | None = None
    mtimeNanos: Annotated[int, Meta(ge=-(2**62), le=2**62)] | None = None
    contentType: str | None = None
    sourceRepoType: str = "model"
    sourceRepoId: str = ""


class DeleteRepo(Struct):
    """``DELETE /api/repos/delete``."""

    name: str
    organization: str | None = None
    type: str | None = None


class MoveRepo(Struct):
    """``POST /api/repos/move``."""

    fromRepo: str
    toRepo: str
    type: str | None = None


class RenameAccount(Struct):
    """``PUT /api/users/{user}/name`` and ``PUT /api/organizations/{org}/name``."""

    name: str


class UpdateProfile(Struct):
    """``PUT /api/users/{user}/profile`` and ``PUT /api/organizations/{org}/profile``."""

    fullname: str | None = None
    details: str | None = None
    socialHandles: dict[str, str] | None = None


class CollectionItemName(Struct):
    """The target of an item: ``type`` and the name that this kind of thing has."""

    type: str
    id: str


class CreateCollection(Struct):
    """``POST /api/collections``."""

    title: str
    namespace: str | None = None
    description: str | None = None
    private: bool | None = None
    resourceGroupId: str | None = None
    item: CollectionItemName | None = None


class UpdateCollection(Struct):
    """``PATCH /api/collections/{slug}``; what is not sent stays unchanged."""

    title: str | None = None
    description: str | None = None
    private: bool | None = None
    theme: str | None = None
    position: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    gating: Any = None


class AddCollectionItem(Struct):
    """``POST /api/collections/{slug}/items``."""

    item: CollectionItemName
    note: str | None = None


class UpdateCollectionItem(Struct):
    """``PATCH /api/collections/{slug}/items/{id}``."""

    note: str | None = None
    position: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class CollectionItemAction(Struct):
    """A line of ``POST /api/collections/{slug}/items/batch``."""

    action: Literal["update"]
    id: str = msgspec.field(name="_id")
    data: UpdateCollectionItem = msgspec.field(default_factory=UpdateCollectionItem)


class RepoSettings(Struct):
    """``PUT …/settings``; settings that are not sent stay unchanged."""

    private: bool | None = None
    visibility: str | None = None
    gated: str | bool | None = None
    discussionsDisabled: bool | UnsetType = UNSET
    discussionsSorting: str | UnsetType = UNSET
    orgMembersGated: bool | UnsetType = UNSET
    gatedNotificationsEmail: str | UnsetType = UNSET
    gatedNotificationsMode: str | UnsetType = UNSET


class DuplicateRepo(Struct):
    """``POST …/duplicate``."""

    repository: str
    private: bool | None = None
    visibility: str | None = None


class OpenDiscussion(Struct):
    """``POST …/discussions``."""

    title: str
    description: str = ""
    pullRequest: bool = False


class NewComment(Struct):
    """``POST …/discussions/{n}/comment``."""

    comment: str


class EditedComment(Struct):
    """``POST …/discussions/{n}/comment/{id}/edit``."""

    content: str


class DiscussionTitle(Struct):
    """``POST …/discussions/{n}/title``."""

    title: str


class DiscussionStatus(Struct):
    """``POST …/discussions/{n}/status``; ``comment`` is the reason."""

    status: str
    comment: str | None = None


class MergeRequest(Struct):
    """``POST …/discussions/{n}/merge``."""

    comment: str | None = None


class DiscussionPin(Struct):
    """``POST …/discussions/{n}/pin``."""

    pinned: bool


class DiscussionLock(Struct):
    """``POST …/discussions/{n}/lock``."""

    locked: bool


class PreuploadFile(Struct):
    """A file that is about to be uploaded; ``sample`` is base64 of its first bytes."""

    path: str
    size: Size
    sample: str = ""


class Preupload(Struct):
    """``POST …/preupload/{rev}``."""

    files: Annotated[list[PreuploadFile], Meta(max_length=1000)] = []
    gitIgnore: str | None = None
    gitAttributes: str | None = None


class CommitHeader(Struct):
    """Line ``header`` of a commit."""

    summary: str
    description: str | None = None
    parentCommit: Annotated[str, Meta(pattern="^[0-9a-f]{7,40}$")] | None = None


class CommitFile(Struct):
    """Line ``file`` of a commit."""

    path: str
    content: str | None = None
    encoding: Literal["utf-8", "base64"] = "utf-8"
    oldPath: str | None = None


class CommitLfsFile(Struct):
    """Line ``lfsFile`` of a commit."""

    path: str
    oid: str
    algo: str | None = None
    size: Size | None = None
    oldPath: str | None = None


class CommitDelete(Struct):
    """Lines ``deletedFile``, ``deletedFolder``, ``deletedEntry`` of a commit."""

    path: str


class CommitCopySource(Struct):
    """The repository that ``copyFile`` copies from."""

    name: str
    type: str = "model"


class CommitCopy(Struct, forbid_unknown_fields=True):
    """Line ``copyFile`` of a commit: within this repository unless ``srcRepo`` names another.

    A field that is not known here might name another source, so it is refused.
    """

    path: str
    srcPath: str
    srcRevision: str | None = None
    srcRepo: CommitCopySource | None = None


class CommitLine(Struct):
    """One line of a commit sent as NDJSON."""

    key: str
    value: msgspec.Raw


class CommitDocument(Struct):
    """A commit sent as one JSON document (releases 0.8 to 0.10)."""

    summary: str
    description: str | None = None
    parentCommit: Annotated[str, Meta(pattern="^[0-9a-f]{7,40}$")] | None = None
    files: list[CommitFile] = []
    lfsFiles: list[CommitLfsFile] = []
    deletedFiles: list[CommitDelete] = []
    deletedFolders: list[CommitDelete] = []


class CreateBranch(Struct):
    """``POST …/branch/{branch}``."""

    startingPoint: str | None = None
    emptyBranch: bool | None = None
    overwrite: bool | None = None


class CreateTag(Struct):
    """``POST …/tag/{rev}``."""

    tag: str
    message: str | None = None


class Squash(Struct):
    """``POST …/super-squash/{branch}``."""

    message: Annotated[str, Meta(max_length=500)] | None = None


class LfsDeletions(Struct):
    """LFS files to delete, by sha256."""

    sha: list[str]
    rewriteHistory: bool = False


class DeleteLfsFiles(Struct):
    """``POST …/lfs-files/batch``."""

    deletions: LfsDeletions


class ValidateYaml(Struct):
    """``POST /api/validate-yaml``."""

    content: str
    repoType: str | None = None


# -- answers -----------------------------------------------------------------------------------


class ErrorBody(Struct):
    """The body of every error response."""

    error: str


class Token(Struct):
    """``POST /api/login``."""

    token: str


class WhoamiV1(Struct):
    """``GET /api/whoami`` (releases up to 0.0.13)."""

    user: str
    orgs: list[str]


class OrgOfUser(Struct):
    """An organization in whoami-v2. ``apiToken`` is there for releases up to 0.19 and is none."""

    type: str
    id: str
    name: str
    fullname: str
    avatarUrl: str
    roleInOrg: str
    isEnterprise: bool = False
    canPay: bool = False
    apiToken: str = ""


class AccessToken(Struct):
    """The token a caller signed in with."""

    displayName: str
    role: str
    createdAt: str


class Auth(Struct):
    """How a caller signed in."""

    type: str
    accessToken: AccessToken | UnsetType = UNSET


class Whoami(Struct):
    """``GET /api/whoami-v2``."""

    type: str
    id: str
    name: str
    fullname: str
    email: str
    emailVerified: bool
    avatarUrl: str
    isPro: bool
    canPay: bool
    orgs: list[OrgOfUser]
    auth: Auth
    apiToken: str = ""


class CreatedRepo(Struct):
    """``POST /api/repos/create`` and ``…/duplicate``."""

    url: str
    name: str
    id: str


class ListedFile(Struct):
    """One row of ``GET /api/repos/ls``."""

    filename: str
    lastModified: str
    commit: str
    size: int


class LfsFacts(Struct):
    """An LFS file in a tree; info answers call the hash ``sha256``."""

    oid: str
    size: int
    pointerSize: int


class LastCommit(Struct):
    """The last commit that touched a path."""

    id: str
    title: str
    date: str


class Scan(Struct):
    """The scan of a repository for malware."""

    scansDone: bool = False
    filesWithIssues: tuple[str, ...] = ()


class FileStatus(Struct):
    """The result of security scans of a file: always unscanned here."""

    status: str = "unscanned"
    safe: bool = False  # not scanned
    avScan: None = None
    pickleImportScan: None = None


class TreeItem(Struct):
    """A file or folder in a tree."""

    type: str
    oid: str
    size: int
    path: str
    lfs: LfsFacts | UnsetType = UNSET
    xetHash: str | UnsetType = UNSET
    lastCommit: LastCommit | UnsetType = UNSET
    securityFileStatus: FileStatus | UnsetType = UNSET


class RefItem(Struct):
    """A branch or tag."""

    name: str
    ref: str
    targetCommit: str


class Refs(Struct):
    """``GET …/refs``."""

    branches: list[RefItem]
    tags: list[RefItem]
    converts: list[RefItem]
    pullRequests: list[RefItem] | UnsetType = UNSET


class Author(Struct):
    """The author of a commit."""

    user: str
    avatar: str = ""


class FormattedCommit(Struct):
    """Title and message of a commit as HTML."""

    title: str
    message: str


class CommitItem(Struct):
    """A commit in a list."""

    id: str
    title: str
    message: str
    authors: list[Author]
    date: str
    formatted: FormattedCommit | UnsetType = UNSET


class PreuploadChoice(Struct):
    """The upload mode of a file."""

    path: str
    uploadMode: str
    shouldIgnore: bool
    oid: str | UnsetType = UNSET


class PreuploadResponse(Struct):
    """``POST …/preupload/{rev}``."""

    files: list[PreuploadChoice]
    commitOid: str


class CommitResponse(Struct):
    """``POST …/commit/{rev}``."""

    success: bool
    commitUrl: str
    commitOid: str
    hookOutput: str = ""
    pullRequestUrl: str | UnsetType = UNSET


class LfsFileItem(Struct):
    """One LFS file of a repository."""

    fileOid: str
    filename: str
    oid: str
    pushedAt: str
    size: int
    ref: str | UnsetType = UNSET
    pusher: dict[str, Any] | UnsetType = UNSET
    xetHash: str | UnsetType = UNSET


class XetTokenResponse(Struct):
    """``GET …/xet-read-token/{rev}`` and ``…/xet-write-token/{rev}``."""

    accessToken: str
    exp: int  # Unix time in seconds
    casUrl: str


class XetFileResponse(Struct):
    """``GET …/resolve/…`` for clients that reconstruct the file themselves."""

    hash: str
    refreshUrl: str
    reconstructionUrl: str
    etag: str
    size: int


class BucketInfo(Struct):
    """``GET /api/buckets/{id}``."""

    id: str
    _id: str
    author: str
    private: bool
    createdAt: str
    updatedAt: str
    size: int  # bytes of all objects
    totalFiles: int
    repoType: str = "bucket"
    cdnRegions: list[dict[str, str]] = []


class BucketTreeItem(Struct, omit_defaults=True):
    """An object or folder of a bucket."""

    type: str
    path: str
    size: int | UnsetType = UNSET
    xetHash: str | UnsetType = UNSET
    mtime: str | UnsetType = UNSET
    mtimeNanos: int | UnsetType = UNSET
    uploadedAt: str | UnsetType = UNSET
    contentType: str | UnsetType = UNSET


class BucketFailure(Struct):
    """An operation of a batch that was not applied."""

    path: str
    error: str


class BucketBatchResponse(Struct):
    """``POST /api/buckets/{id}/batch``."""

    success: bool
    processed: int
    succeeded: int
    failed: list[BucketFailure]


class DuplicateTarget(Struct):
    """Where copies of LFS files go."""

    type: str
    name: str


class DuplicateFile(Struct):
    """An LFS file to copy: named by its sha256, by a Xet hash, or both."""

    sha256: str | None = None
    xetHash: str | None = None
    filename: str | None = None


class DuplicateLfsFiles(Struct):
    """``POST …/lfs-files/duplicate``."""

    target: DuplicateTarget
    files: list[DuplicateFile]


class NotDuplicated(Struct):
    """A file that was not copied, and why."""

    xetHash: str | None
    sha256: str | None
    error: str


class DuplicatedLfsFiles(Struct):
    """The answer of ``POST …/lfs-files/duplicate``."""

    success: bool
    processed: int
    succeeded: int
    failed: list[NotDuplicated]


class CardProblem(Struct):
    """An error or warning about a card."""

    message: str


class Validated(Struct):
    """``POST /api/validate-yaml``."""

    errors: list[CardProblem]
    warnings: list[CardProblem]
