"""Runs ``git upload-pack``, which serves fetches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from hubstead.gitstore.processes import GitOutput, end, memory_file, spawn
from hubstead.gitstore.programs import GitProgram

#: The memory limits allow for twenty concurrent clones.
OPTIONS = (
    "uploadpack.allowFilter=true",
    "uploadpack.allowAnySHA1InWant=true",
    "uploadpack.keepAlive=5",
    "pack.windowMemory=32m",
    "pack.deltaCacheSize=32m",
    "core.packedGitWindowSize=32m",
    "core.bigFileThreshold=16m",
    "lsrefs.unborn=advertise",
)


def _command(program: GitProgram, folder: Path, *arguments: str) -> list[str]:
    options = [part for option in OPTIONS for part in ("-c", option)]
    return program.command(folder, [*options, "upload-pack", "--strict", *arguments, str(folder)])


def advertised_capabilities(program: GitProgram, folder: Path, version: int) -> list[str]:
    """Return the capabilities that git advertises for fetches; runs a process, use a thread.

    Args:
        program: The git program.
        folder: A projection; for versions 0 and 1 it needs a ref, else the result is empty.
        version: The protocol version.

    Returns:
        For version 2 the lines after ``version 2``; for older versions the words after the first
        ref, without ``symref``.
    """
    lines = _advertised(program, folder, f"version={version}")
    if version == 2:
        return lines[1:]
    first = next((line for line in lines if "\0" in line), "")
    words = first.partition("\0")[2].split()
    return [word for word in words if not word.startswith("symref=")]


def _advertised(program: GitProgram, folder: Path, protocol: str) -> list[str]:
    command = _command(program, folder, "--stateless-rpc", "--http-backend-info-refs")
    environment = {**program.environment, "GIT_PROTOCOL": protocol}
    with memory_file(b"") as stdin:
        process = spawn(command, environment, stdin=stdin)
    assert process.stdout is not None
    text = process.stdout.read()
    end(process)
    lines, offset = [], 0
    while offset < len(text) and (size := int(text[offset : offset + 4], 16)) > 4:
        lines.append(text[offset + 4 : offset + size].decode().rstrip("\n"))
        offset += size
    return lines


async def upload_pack(
    program: GitProgram,
    folder: Path,
    request: bytes,
    *,
    protocol: str,
    on_close: Callable[[], None],
) -> GitOutput:
    """Start the process that answers one fetch request.

    Args:
        program: The git program.
        folder: A projection.
        request: The whole body of the request.
        protocol: The client's ``Git-Protocol`` header.
        on_close: Called when the process has ended, or failed to start.
    """

    def start() -> GitOutput:
        messages = memory_file()
        with memory_file(request) as stdin:
            process = spawn(
                _command(program, folder, "--stateless-rpc"),
                {**program.environment, "GIT_PROTOCOL": protocol},
                stdin=stdin,
                stderr=messages,
            )
        return GitOutput(process, messages, on_close)

    try:
        return await asyncio.to_thread(start)
    except BaseException:
        on_close()
        raise
