"""The public Hub's own name, on this machine only: for releases that have the host built in.

Releases 0.0.1 to 0.4.0 use the address https://huggingface.co only. A *front* serves that name:
it has a certificate of a private authority, created for the run, ends TLS and forwards the
bytes to the hub. Neither the machine's names nor its certificates are touched: the environment of
a client configures a proxy on loopback, which forwards that one name to the front and refuses
every other, and the authority to trust. docs/old-clients.md describes the same setup for a
network.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = "huggingface.co"
_BLOCK = 1 << 16
_CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
_LEAF = (
    f"subjectAltName=DNS:{NAME}\nbasicConstraints=critical,CA:FALSE\n"
    "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
    "authorityKeyIdentifier=keyid\n"
)


@dataclass(frozen=True)
class Certificates:
    """A private authority and its certificate for ``NAME``, as PEM files."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Front:
    """Serves https://huggingface.co to clients that use ``proxy``."""

    proxy: str
    authority: Path

    def environment(self) -> dict[str, str]:
        """Return the variables that direct Python, curl, git and git-lfs to the front."""
        authority = str(self.authority)
        certificates = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "SSL_CERT_FILE")
        variables = dict.fromkeys(certificates, authority)
        # curl reads the lower-case name, Go the upper-case one first; Python reads both.
        variables |= dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.proxy)
        return variables | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")


def create_certificates(folder: Path) -> Certificates:
    """Create an authority and a certificate in ``folder`` with the program openssl."""
    folder.mkdir(parents=True)
    (folder / "openssl.cnf").write_text(
        "[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=Hubstead test authority\n"
        f"[authority]\nsubjectKeyIdentifier=hash\n{_CA}[leaf]\n{_LEAF}"
    )
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    options = ("-config", "openssl.cnf", *key)
    named = ("-extensions", "authority", "-days", "30")
    _openssl(folder, "req", "-x509", *options, *named, "-keyout", "ca.key", "-out", "ca.pem")
    request = ("-subj", f"/CN={NAME}", "-keyout", "leaf.key", "-out", "leaf.csr")
    _openssl(folder, "req", "-new", *options, *request)
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30")
    extended = ("-extfile", "openssl.cnf", "-extensions", "leaf")
    _openssl(folder, "x509", "-req", "-in", "leaf.csr", *signed_by, *extended, "-out", "leaf.pem")
    return Certificates(folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key")


def _openssl(folder: Path, *arguments: str) -> None:
    result = subprocess.run(
        ["openssl", *arguments], cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


@contextlib.contextmanager
def running_front(hub_port: int, certificates: Certificates) -> Iterator[Front]:
    """Serve ``NAME`` on this machine until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        start = _start(hub_port, certificates)
        port = asyncio.run_coroutine_threadsafe(start, loop).result(30)
        yield Front(f"http://127.0.0.1:{port}", certificates.authority)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _start(hub_port: int, certificates: Certificates) -> int:
    """Start the front and its proxy, and return the proxy's port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)

    async def front(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _pass_on(reader, writer, hub_port)

    tls = await asyncio.start_server(front, "127.0.0.1", 0, ssl=context)
    tls_port = tls.sockets[0].getsockname()[1]

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request_line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        if not request_line.startswith(f"CONNECT {NAME}:443 ".encode()):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _pass_on(reader, writer, tls_port)

    before = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port: int = before.sockets[0].getsockname()[1]
    return port


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pump(reader, downstream), _pump(upstream, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may close the connection early
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
