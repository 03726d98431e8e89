"""The groups of settings: name, heading, default, help and minimum of all settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

_KIB = 1024

STORAGE = "Where things are kept"
SERVER = "The web server"
ACCOUNTS = "Accounts"
WEBHOOKS = "Webhooks"
FILES = "Limits of files and commits"
REQUESTS = "Limits of requests"
WORK = "Limits of work"
LIFETIMES = "How long things are kept"
GIT = "Git"
XET = "Xet"
REGISTRY = "Model runtimes"
RUNNING = "Running"
#: Headings of docs/settings.md and of ``hubstead settings``, in their order.
HEADINGS = (
    STORAGE,
    SERVER,
    ACCOUNTS,
    WEBHOOKS,
    FILES,
    REQUESTS,
    WORK,
    LIFETIMES,
    GIT,
    XET,
    REGISTRY,
    RUNNING,
)


@dataclass(frozen=True, slots=True)
class SettingNotes:
    """What a declaration says of a setting beside its type and default.

    ``name`` is the one that users write; ``least`` is the smallest value allowed.
    """

    name: str
    heading: str
    help: str
    least: float | None
    secret: bool


def setting(
    name: str,
    heading: str,
    default: Any,
    help_text: str,
    *,
    least: float | None = None,
    secret: bool = False,
) -> Any:
    """Declare a setting as a field of a frozen dataclass."""
    notes = SettingNotes(name, heading, help_text, least, secret)
    return field(default=default, metadata={"notes": notes})


@dataclass(frozen=True, kw_only=True, repr=False)
class ServerSettings:
    """The web server."""

    host: str = setting(
        "host", SERVER, "127.0.0.1", "The address to listen on. `0.0.0.0` is every IPv4 one."
    )
    port: int = setting("port", SERVER, 8080, "The port to listen on; 0: any free one.", least=0)
    public_url: str = setting(
        "public_url",
        SERVER,
        "",
        "How clients reach the hub, such as `https://hub.example.com`: every absolute link "
        "begins with it. It may end in a path, but has no query, user or password. Empty: "
        "`http://` with host and port above.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "trusted_proxies",
        SERVER,
        (),
        "Networks (CIDR) of the proxies in front, whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed.",
    )
    hosts: tuple[str, ...] = setting(
        "hosts",
        SERVER,
        (),
        "Host names by which clients may address the hub, beside that of `public_url`; requests "
        "with another `Host` are refused with 421. Empty: any name. `/healthz` and `/readyz` "
        "answer by any name.",
    )
    cors_origins: tuple[str, ...] = setting(
        "cors_origins",
        SERVER,
        ("*",),
        "Origins such as `https://app.example.com` whose web pages may read responses (CORS). "
        "`*`: every page may read what an anonymous caller, or a token that the page has, may "
        "read. Empty: none.",
    )
    remote_card_images: tuple[str, ...] = setting(
        "remote_card_images",
        SERVER,
        (),
        "Hosts such as `img.shields.io` whose images cards may show; `*`: any. They learn who "
        "reads which card. Empty: the address stands in the image's place.",
    )
    metrics_token: str = setting(
        "metrics_token",
        SERVER,
        "",
        "What `/metrics` requires as `Authorization: Bearer`. Empty: everybody reads the metrics.",
        secret=True,
    )
    max_connections: int = setting(
        "max_connections",
        SERVER,
        4096,
        "The most connections that are open at once. For a new one the oldest idle one is closed.",
        least=1,
    )
    max_connections_per_address: int = setting(
        "max_connections_per_address",
        SERVER,
        2500,
        "The most of them from one address (of IPv6: one /64); `trusted_proxies` are exempt.",
        least=1,
    )
    read_only: bool = setting(
        "read_only",
        SERVER,
        False,
        "Serve reads and refuse what clients would change with 503 and `read_only_message`; no "
        "background jobs run. Set it on every node.",
    )
    read_only_message: str = setting(
        "read_only_message",
        SERVER,
        "This hub is read-only for maintenance: try again later.",
        "What clients read when `read_only` refuses their writes.",
    )
    drain_seconds: float = setting(
        "drain_seconds",
        SERVER,
        0,
        "How long the hub serves on after SIGTERM or Ctrl-C with 503 from `/readyz`, so that a "
        "balancer takes the node out before connections are refused. A second signal ends this.",
        least=0,
    )
    shutdown_seconds: float = setting(
        "shutdown_seconds",
        SERVER,
        30,
        "How long running requests may take to finish after that.",
        least=0,
    )
    header_bytes: int = setting(
        "header_bytes",
        REQUESTS,
        64 * _KIB,
        "The most bytes of a request's first line and headers.",
        least=1024,
    )
    header_seconds: float = setting(
        "header_seconds", REQUESTS, 15, "How long a client may take to send them.", least=0.1
    )
    body_min_bytes_per_s: int = setting(
        "body_min_bytes_per_s",
        REQUESTS,
        1024,
        "A body that stays slower than this is cut off; 0: never.",
        least=0,
    )
    body_silence_s: float = setting(
        "body_silence_s",
        REQUESTS,
        60,
        "A body of which nothing arrives for so long is cut off.",
        least=0.1,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class DatabaseSettings:
    """The database and how a node uses it."""

    url: str = setting(
        "database",
        STORAGE,
        "",
        "Empty: a SQLite file `hubstead.db` in the data folder. Otherwise the address of a "
        "PostgreSQL database: `postgresql://user:password@host/name`.",
        secret=True,
    )
    pool: int = setting(
        "database_pool", RUNNING, 10, "The most connections to PostgreSQL of one node.", least=1
    )
    reader_threads: int = setting(
        "reader_threads", RUNNING, 4, "The threads that run longer reads on SQLite.", least=1
    )
    timeout_seconds: float = setting(
        "database_timeout_seconds",
        RUNNING,
        10,
        "How long an indexed statement and a wait for a connection may take; then the request is "
        "answered 503. Scans, and writes that wait on SQLite, may take six times as long.",
        least=0.1,
    )
    clock_tolerance_seconds: float = setting(
        "clock_tolerance_seconds",
        RUNNING,
        5,
        "The difference up to which a node's clock agrees with the database's. A node whose clock "
        "differs by more takes no jobs, and `/readyz` answers 503 while another node agrees.",
        least=0.1,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class BlobSettings:
    """The store of blobs, and how long it keeps what is not linked."""

    url: str = setting(
        "blobs",
        STORAGE,
        "",
        "Empty: files in the folder `blobs` of the data folder. Otherwise "
        "`s3://bucket/prefix` in a store that speaks S3.",
    )
    signed_url_seconds: float = setting(
        "signed_url_seconds",
        LIFETIMES,
        3600,
        "How long a signed address for an upload or download is good.",
        least=1,
    )
    download_url_seconds: float = setting(
        "download_url_seconds",
        LIFETIMES,
        300,
        "How long the signed address in the store is good to which `resolve` and LFS downloads "
        "redirect. Clients go on with a download at the hub's own address.",
        least=1,
    )
    grace_seconds: float = setting(
        "blob_grace_seconds",
        LIFETIMES,
        86400,
        "How long bytes that nothing links to any more stay before they are deleted.",
        least=0,
    )
    update_seconds: float = setting(
        "update_seconds",
        LIFETIMES,
        3600,
        "How long after the first node of a new release has started on a PostgreSQL database "
        "nodes of the previous release may go on. Until then nothing is stored in a way that "
        "they do not understand; after that they must be gone.",
        least=0,
    )
    hold_seconds: float = setting(
        "hold_seconds",
        LIFETIMES,
        7 * 86400,
        "How long uploaded bytes wait for the commit that links them.",
        least=0,
    )
    min_free_bytes: int = setting(
        "min_free_bytes",
        LIFETIMES,
        512 * _KIB**2,
        "Writes are refused when the disk has less free space than this.",
        least=0,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class S3Settings:
    """The S3 server, when blobs are stored there."""

    endpoint: str = setting(
        "s3_endpoint", STORAGE, "", "The address of the S3 server; empty: Amazon's own."
    )
    region: str = setting("s3_region", STORAGE, "us-east-1", "The region of the bucket.")
    access_key: str = setting("s3_access_key", STORAGE, "", "The id of the key for S3.")
    secret_key: str = setting(
        "s3_secret_key", STORAGE, "", "The secret part of the key for S3.", secret=True
    )
    session_token: str = setting(
        "s3_session_token", STORAGE, "", "The token of a temporary key for S3.", secret=True
    )
    path_style: bool = setting(
        "s3_path_style",
        STORAGE,
        True,
        "Put the bucket into the path of the address instead of before its host name.",
    )
    direct_downloads: bool = setting(
        "s3_direct_downloads",
        STORAGE,
        False,
        "Send downloads straight to S3 by signed addresses. Clients must be able to reach "
        "`s3_public_endpoint`.",
    )
    public_endpoint: str = setting(
        "s3_public_endpoint",
        STORAGE,
        "",
        "What clients call the S3 server, if that is not `s3_endpoint`: signed addresses begin "
        "with it.",
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class AccountSettings:
    """Sign-in."""

    sign_in_attempts: int = setting(
        "sign_in_attempts",
        ACCOUNTS,
        10,
        "The most attempts to sign in as one account from one address in one window; the address "
        "has ten times as many for all accounts.",
        least=1,
    )
    max_tokens: int = setting(
        "max_tokens_per_user", ACCOUNTS, 1000, "The most access tokens of one user.", least=1
    )
    max_sessions: int = setting(
        "max_sessions_per_user",
        ACCOUNTS,
        100,
        "The most sign-ins of one user that last at once; a further one ends the oldest.",
        least=1,
    )
    users_create_organizations: bool = setting(
        "users_create_organizations",
        ACCOUNTS,
        True,
        "Whether every user may create organizations; else only administrators of the hub.",
    )
    session_idle_s: float = setting(
        "session_idle_s",
        ACCOUNTS,
        1_209_600,
        "How long a sign-in in a browser lasts without a request: 14 days.",
        least=60,
    )
    session_absolute_s: float = setting(
        "session_absolute_s",
        ACCOUNTS,
        7_776_000,
        "How long a sign-in in a browser lasts at most: 90 days.",
        least=60,
    )
    max_repositories: int = setting(
        "max_repositories_per_owner",
        ACCOUNTS,
        100_000,
        "The most repositories of one user or organization.",
        least=1,
    )
    max_bytes: int = setting(
        "max_bytes_per_owner",
        ACCOUNTS,
        1024 * _KIB**4,
        "The most bytes that the repositories of one user or organization use.",
        least=1,
    )
    sign_in_window_s: float = setting(
        "sign_in_window_s", ACCOUNTS, 300, "The length of that window.", least=1
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class WebhookSettings:
    """Webhook deliveries."""

    kinds: tuple[str, ...] = setting(
        "webhook_kinds",
        WEBHOOKS,
        ("model",),
        "The kinds of repository that webhooks tell of: `model`, `dataset`, `space`, `kernel`.",
    )
    timeout_s: float = setting(
        "webhook_timeout_s",
        WEBHOOKS,
        10,
        "How long the receiver of a webhook may take to answer.",
        least=0.1,
    )
    max_attempts: int = setting(
        "webhook_max_attempts",
        WEBHOOKS,
        12,
        "How often one delivery is tried before it is given up.",
        least=1,
    )
    hold_s: float = setting(
        "webhook_hold_s",
        WEBHOOKS,
        900,
        "The longest time that one failing delivery may hold back the later ones of its "
        "repository.",
        least=0,
    )
    private_networks: bool = setting(
        "webhook_private_networks",
        WEBHOOKS,
        True,
        "Whether webhooks may go to loopback and private addresses.",
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class CommitSettings:
    """Limits of a commit, whichever protocol it comes by."""

    max_regular_file_bytes: int = setting(
        "max_regular_file_bytes",
        FILES,
        100 * _KIB**2,
        "The largest file that git itself may hold (anything above goes by LFS).",
        least=1,
    )
    max_path_bytes: int = setting(
        "max_path_bytes", FILES, 4096, "The longest path of a file, in bytes.", least=1
    )
    max_path_depth: int = setting("max_path_depth", FILES, 64, "The most parts of a path.", least=1)
    max_folder_entries: int = setting(
        "max_folder_entries", FILES, 10_000, "The most entries of one folder.", least=1
    )
    max_pattern_checks: int = setting(
        "max_pattern_checks",
        FILES,
        1_000_000,
        "The most files times lines with wildcards in `.gitattributes` and `.gitignore` that one "
        "request may ask about.",
        least=1,
    )
    max_operations: int = setting(
        "max_commit_operations", FILES, 25_000, "The most operations of a commit.", least=1
    )
    refuse_case_clashes: bool = setting(
        "refuse_case_clashes",
        FILES,
        False,
        "Refuse new paths that differ from another only in case or in the Unicode form of their "
        "characters, by commit and by push: such files cannot be checked out side by side on "
        "macOS or Windows.",
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class LfsSettings:
    """LFS files and their uploads."""

    threshold_bytes: int = setting(
        "lfs_threshold_bytes",
        FILES,
        10 * _KIB**2,
        "Clients are told to send files of this size and above by LFS.",
        least=1,
    )
    max_file_bytes: int = setting(
        "max_lfs_file_bytes", FILES, 500 * 1000**3, "The largest LFS file.", least=1
    )
    multipart_threshold_bytes: int = setting(
        "lfs_multipart_threshold_bytes",
        FILES,
        256 * _KIB**2,
        "LFS files above this size are uploaded in parts.",
        least=1,
    )
    part_bytes: int = setting(
        "lfs_part_bytes",
        FILES,
        64 * _KIB**2,
        "The size of these parts (S3 takes 5 MiB to 5 GiB).",
        least=1,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class RequestSettings:
    """Limits of requests to the Hub API."""

    max_json_body_bytes: int = setting(
        "max_json_body_bytes",
        REQUESTS,
        4 * _KIB**2,
        "The largest body of an ordinary request.",
        least=1,
    )
    max_commit_body_bytes: int = setting(
        "max_commit_body_bytes", REQUESTS, 2 * _KIB**3, "The largest body of a commit.", least=1
    )
    max_paths_info: int = setting(
        "max_paths_info", REQUESTS, 2000, "The most paths of one `paths-info` request.", least=1
    )
    max_bucket_operations: int = setting(
        "max_bucket_operations",
        REQUESTS,
        1000,
        "The most operations of one batch of a bucket; clients send up to 1,000.",
        least=1,
    )
    max_page: int = setting(
        "max_page", REQUESTS, 1000, "The most items of one page of a listing.", least=1
    )
    max_collections: int = setting(
        "max_collections", REQUESTS, 1000, "The most collections of one owner.", least=1
    )
    max_collection_items: int = setting(
        "max_collection_items", REQUESTS, 1000, "The most items of one collection.", least=1
    )
    max_recursive_page: int = setting(
        "max_recursive_page",
        REQUESTS,
        10_000,
        "The most entries of one page of a recursive tree for clients that send no `limit`: "
        "llama.cpp and others read one page only. With `limit` it is `max_page`.",
        least=1,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class AdmissionSettings:
    """How much work runs and waits at once; see decision 0011."""

    read_threads: int = setting(
        "read_threads", WORK, 4, "The short reads of git that run at once.", least=2
    )
    history_threads: int = setting(
        "history_threads",
        WORK,
        2,
        "The walks through history, diffs and expanded listings that run at once.",
        least=2,
    )
    digest_threads: int = setting(
        "digest_threads", WORK, 4, "The hashes and decodings of bodies that run at once.", least=2
    )
    write_threads: int = setting(
        "write_threads", WORK, 4, "The writes of git objects and files that run at once.", least=2
    )
    transfer_threads: int = setting(
        "transfer_threads", WORK, 16, "The reads of disk and S3 that run at once.", least=2
    )
    upload_threads: int = setting(
        "upload_threads",
        WORK,
        32,
        "The bodies that a thread receives at once; more take a slower way.",
        least=2,
    )
    background_threads: int = setting(
        "background_threads", WORK, 8, "The threads of jobs, commands and clean-up.", least=2
    )
    password_checks: int = setting(
        "password_checks",
        WORK,
        2,
        "The password hashes computed at once; each takes 64 MiB.",
        least=2,
    )
    pushes: int = setting(
        "concurrent_pushes", WORK, 16, "The pushes that run at once; more wait.", least=2
    )
    queue_length: int = setting(
        "queue_length",
        WORK,
        512,
        "The calls of one kind that may wait; more are answered 503. One account, or one address "
        "without an account, may have half of them (more: 429), and never all threads.",
        least=2,
    )
    read_seconds: float = setting(
        "read_seconds",
        WORK,
        60,
        "The longest that a read, a diff or a listing may take, its wait included; then 503.",
        least=0.1,
    )
    buffered_bytes: int = setting(
        "buffered_bytes",
        WORK,
        384 * _KIB**2,
        "The most bytes of request bodies, inflated, that all requests hold in memory; more are "
        "answered 503. One caller may have half of them.",
        least=_KIB**2,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class RegistrySettings:
    """The registry view for ollama and other runtimes of models."""

    enabled: bool = setting(
        "registry_view",
        REGISTRY,
        True,
        "Whether GGUF models can be pulled below `/v2`, as ollama, node-llama-cpp and ramalama do.",
    )
    url_seconds: float = setting(
        "registry_url_seconds",
        LIFETIMES,
        43_200,
        "How long the address of a blob below `/v2` is valid: ollama uses one for a whole "
        "download. Rights are checked at each use, except where the bytes come from S3 directly.",
        least=60,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class GitSettings:
    """Git repositories, pushes and fetches."""

    pack_grace_seconds: float = setting(
        "pack_grace_seconds",
        LIFETIMES,
        300,
        "How long git packs that were replaced by others stay on disk, and views of refs that "
        "nobody fetches from; longer while a clone, fetch or push that began before still runs.",
        least=0,
    )
    max_push_bytes: int = setting(
        "max_push_bytes", GIT, 20 * _KIB**3, "The largest pack that a push may bring.", least=1
    )
    max_push_objects: int = setting(
        "max_push_objects", GIT, 5_000_000, "The most objects that a push may bring.", least=1
    )
    max_push_refs: int = setting(
        "max_push_refs", GIT, 10_000, "The most branches and tags that one push may move.", least=1
    )
    max_refs: int = setting(
        "max_refs_per_repository",
        GIT,
        100_000,
        "The most refs of one repository: branches, tags, conversions and pull requests.",
        least=1,
    )
    max_fetch_request_bytes: int = setting(
        "max_fetch_request_bytes",
        GIT,
        64 * _KIB**2,
        "The largest request of a fetch: what a client says it has.",
        least=1,
    )
    processes: int = setting(
        "git_processes", GIT, 64, "The most programs of git that serve fetches at once.", least=1
    )
    memory_bytes: int = setting(
        "git_memory_bytes",
        GIT,
        4 * _KIB**3,
        "The most memory (address space) of one program that takes a push.",
        least=256 * _KIB**2,
    )
    cpu_seconds: float = setting(
        "git_cpu_seconds",
        GIT,
        3600,
        "The most processor time of one program that takes a push.",
        least=1,
    )
    open_repositories: int = setting(
        "git_open_repositories",
        GIT,
        256,
        "The most repositories of which the server keeps the packs open.",
        least=1,
    )
    open_packs: int = setting(
        "git_open_packs",
        GIT,
        4096,
        "The most packs that all of them may keep open; each is a file and two mappings.",
        least=64,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class XetSettings:
    """The Xet store."""

    token_seconds: float = setting(
        "xet_token_seconds", XET, 7200.0, "How long a token for the Xet store is good.", least=60
    )
    deduplication: Literal["readable", "repository", "off"] = setting(
        "xet_deduplication",
        XET,
        "readable",
        "Of which chunks clients are told that they are stored already: those of files they may "
        "read, those of the repository they upload to, or none.",
    )
    max_terms: int = setting("xet_max_terms", XET, 65_536, "The most terms of one file.", least=1)
    max_shard_bytes: int = setting(
        "xet_max_shard_bytes",
        XET,
        80 << 20,
        "The largest shard, the list of files of an upload.",
        least=1,
    )
    keep_seconds: float = setting(
        "xet_keep_seconds",
        XET,
        23 * 86_400.0,
        "How long a xorb that no file needs is kept after a client last learned of it. Clients "
        "believe for 21 days that what they uploaded is there.",
        least=0,
    )
    quarantine_seconds: float = setting(
        "xet_quarantine_seconds",
        XET,
        2 * 86_400.0,
        "How long a xorb is kept after that, out of the way, to be taken up again.",
        least=0,
    )
    file_seconds: float = setting(
        "xet_file_seconds",
        XET,
        3600.0,
        "How long the hub remembers how a file is made of xorbs after its upload, if its LFS "
        "object is deleted.",
        least=0,
    )
    convert: bool = setting(
        "xet_convert",
        XET,
        False,
        "Cut plain LFS objects into chunks in the background, so that they deduplicate too "
        "(needs the extra `convert`).",
    )
    node_cache_bytes: int = setting(
        "node_cache_bytes",
        XET,
        20 << 30,
        "How much of the node's disk may hold copies of xorbs when the blobs are in S3.",
        least=0,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class LogSettings:
    """The log of a process."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "log_level", RUNNING, "info", "The least weighty messages that are logged."
    )
    format: Literal["json", "text"] = setting(
        "log_format", RUNNING, "json", "The form of a line of the log."
    )
