"""The peers: nginx with one worker, on loopback, in its own folder; and wrk as the loader."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server, free_port

#: The smallest response of every peer, as large as the hub's.
SMALL = '{"status":"ok"}'

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {files}/incoming;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} reuseport;
        location = /small {{ default_type application/json; return 200 '{small}'; }}
        location /files/ {{ root {files}; dav_methods PUT; }}
        location /tuned/ {{
            alias {files}/files/;
            dav_methods PUT;
            client_body_buffer_size 1m;
        }}
    }}
}}
"""

MISSING = """\
{what} is not installed: no ratios without it. On Debian:
    apt-get install --no-install-recommends nginx-light wrk"""


def require_programs() -> None:
    """Check that the programs are installed.

    Raises:
        SystemExit: nginx or wrk is missing.
    """
    for name in ("nginx", "wrk"):
        if _which(name) is None:
            raise SystemExit(MISSING.format(what=name))


def program(name: str) -> str:
    """Return the path of a program that `require_programs` has checked."""
    return str(_which(name))


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def version(name: str) -> str:
    result = subprocess.run([str(_which(name)), "-v"], capture_output=True, text=True, check=False)
    match = re.search(r"\d+\.\d+[\w.]*", result.stdout + result.stderr)
    return f"{name} {match[0] if match else '?'}"


def start_nginx(folder: Path, files: Path) -> Server:
    """Start nginx, which serves the folder ``files``/files at ``/files/``."""
    folder.mkdir(parents=True, exist_ok=True)
    (files / "files").mkdir(parents=True, exist_ok=True)
    for path in (folder, files, files / "files"):
        path.chmod(0o777)  # the worker of a root process is another user
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, files=files, port=port, small=SMALL))
    command = [str(_which("nginx")), "-e", f"{folder}/nginx.log", "-c", str(config)]
    server = Server(command, port, folder / "nginx.out")
    server.wait()
    return server


@dataclass(frozen=True)
class Load:
    """The requests of a loader, and the CPU time of the server meanwhile."""

    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # per request


_LUA = """
local targets = {{}}
for line in io.lines("{targets}") do targets[#targets + 1] = line end
local requests, at = {{}}, 0
init = function(args)
  for i = 1, #targets do
      requests[i] = wrk.format("GET", targets[i], {{ ["Authorization"] = {auth} }})
  end
  at = math.random(#targets)
end
request = function() at = at % #requests + 1; return requests[at] end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("SUMMARY%d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def wrk(
    server: Server,
    targets: list[str],
    folder: Path,
    *,
    answer_bytes: int,
    token: str | None = None,
    connections: int = 16,
    seconds: float = 5,
) -> Load:
    """Request ``targets`` in turn with one thread of wrk.

    Args:
        server: The server under load.
        targets: Paths with queries.
        folder: For wrk's script.
        answer_bytes: The average size of a response with its head: checked afterwards.
        token: A Bearer token.
        connections: The number of parallel connections.
        seconds: The duration.

    Raises:
        SystemExit: a response was not 2xx or 3xx, or the sizes differ: no sample.
    """
    auth = f'"Bearer {token}"' if token else "nil"
    (folder / "targets").write_text("\n".join(targets) + "\n")
    script = folder / "load.lua"
    script.write_text(_LUA.format(targets=folder / "targets", auth=auth))
    before = server.cpu_s()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), server.url]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    spent = server.cpu_s() - before
    match = re.search(r"^SUMMARY(.*)$", result.stdout, re.M)
    if match is None:
        raise SystemExit(f"wrk failed: {result.stdout}{result.stderr}")
    requests, micros, read, p50, p99, faults = map(int, match[1].split())
    if faults or not requests or abs(read / requests / answer_bytes - 1) > 0.02:
        raise SystemExit(
            f"not counted: {faults} faults, {read / max(requests, 1):.0f} bytes an answer "
            f"instead of {answer_bytes}"
        )
    per_s = requests / micros * 1e6
    return Load(requests, per_s, p50 / 1000, p99 / 1000, spent / requests * 1e6)
