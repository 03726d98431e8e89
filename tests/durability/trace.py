"""Parses the output of strace: which system calls ended before which others began."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "openat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,"
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,fsync,fdatasync,sendto,sendmsg,"
    "read,recvfrom"
)
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate")
SENDS = ("write", "writev", "sendto", "sendmsg")
RECEIVES = ("read", "recvfrom")
SYNCS = ("fsync", "fdatasync")

_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*) <unfinished \.\.\.>")
_ENDED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_FD = re.compile(r"(?:\d+|AT_FDCWD)<(?P<path>(?:->|[^<>])*)>")
_TEXT = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"')


def command(output: Path) -> list[str | Path]:
    """Return the command prefix that runs a program and records its calls in ``output``.

    ``-yy`` writes the path (or the connection) of a file descriptor beside its number, as the
    kernel knows it at that moment, so renamed files and reused numbers are unambiguous.
    """
    return ["strace", "-f", "-qq", "-yy", "-s", "48", "-e", f"trace={CALLS}", "-o", output]


@dataclass(frozen=True)
class Call:
    """A system call that succeeded; ``begin`` and ``end`` are lines of the trace."""

    name: str
    path: str  # of the file descriptor or the (first) name
    target: str  # the second name, of rename and link
    text: str  # the first characters that were written
    flags: str
    begin: int
    end: int

    @property
    def folder(self) -> str:
        return os.path.dirname(self.target or self.path)

    @property
    def is_response(self) -> bool:
        """Whether these are the first bytes of a response."""
        return self.name in SENDS and self._is_of_socket and self.text.startswith("HTTP/1.1 ")

    @property
    def is_request(self) -> bool:
        """Whether these are the first bytes of a request."""
        if self.name not in RECEIVES or not self._is_of_socket:
            return False
        return self.text.startswith(("POST /", "PUT /", "DELETE /"))

    @property
    def _is_of_socket(self) -> bool:
        return self.path.startswith(("TCP:", "TCPv6:", "socket:"))


def read(path: Path) -> list[Call]:
    """Return the calls of a trace, in the order in which they began."""
    with path.open(errors="replace") as lines:
        return sorted(_calls(lines), key=lambda call: call.begin)


def _calls(lines: Iterator[str]) -> Iterator[Call]:
    open_calls: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        parsed = _LINE.match(line)
        if parsed is None:
            continue
        thread, rest = parsed["thread"], parsed["rest"]
        if begun := _BEGUN.match(rest):
            open_calls[thread] = (number, begun["arguments"])
        elif ended := _ENDED.match(rest):
            begin, arguments = open_calls.pop(thread, (number, ""))
            if _worked(ended["result"]):
                text = arguments + ended["arguments"]
                yield _call(ended["name"], text, begin, number)
        elif (whole := _WHOLE.match(rest)) and _worked(whole["result"]):
            yield _call(whole["name"], whole["arguments"], number, number)


def _worked(result: str) -> bool:
    return result != "?" and int(result) >= 0


def _call(name: str, arguments: str, begin: int, end: int) -> Call:
    texts = [match["text"] for match in _TEXT.finditer(arguments)]
    fds = [match["path"] for match in _FD.finditer(_TEXT.sub('""', arguments))]
    text = ""
    if name in ("openat", "mkdirat", "unlinkat", "renameat", "renameat2", "linkat"):
        names = [os.path.join(fd, path) for fd, path in zip(fds, texts, strict=False)]
    elif name in ("mkdir", "rename", "link", "unlink", "rmdir"):
        names = texts
    else:
        names, text = fds, texts[0] if texts else ""
    first, second = (*names, "", "")[:2]
    return Call(name, first.removesuffix(" (deleted)"), second, text, arguments, begin, end)


@dataclass(frozen=True)
class Window:
    """The calls between the arrival of a request and the first byte of its ``response``."""

    calls: Sequence[Call]
    response: Call

    def find(self, *names: str, where: Callable[[Call], bool] = lambda _: True) -> list[Call]:
        return [call for call in self.calls if call.name in names and where(call)]

    def synced(self, path: str, after: Call, before: Call) -> bool:
        """Return whether ``path`` was synced after one call and before another."""
        return any(
            sync.path == path and sync.begin > after.end and sync.end < before.begin
            for sync in self.find(*SYNCS)
        )


def windows(calls: Sequence[Call]) -> list[Window]:
    """Split a trace of successive requests into one window per request."""
    requests = [call for call in calls if call.is_request]
    responses = [call for call in calls if call.is_response]
    assert len(requests) == len(responses)
    return [
        Window(
            [call for call in calls if call.end > request.end and call.begin < response.begin],
            response,
        )
        for request, response in zip(requests, responses, strict=True)
    ]
