"""Runs ``git upload-pack``, which serves fetches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.gitstore.processes import GitOutput, end, memory_file, spawn
from hubstead.gitstore.programs import GitProgram
from hubstead.gitstore.readers import Readers

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


class UploadPack:
    """Runs ``git upload-pack`` on projections.

    Args:
        program: The git program.
        readers: Counts the running processes by repository.
    """

    def __init__(self, program: GitProgram, readers: Readers) -> None:
        self._program = program
        self._readers = readers
        self._capabilities: dict[bool, list[str]] = {}

    def capabilities(self, folder: Path, version: int) -> list[str]:
        """Return `advertised_capabilities`, and cache them; call it in a thread."""
        capabilities = self.cached_capabilities(version) or advertised_capabilities(
            self._program, folder, version
        )
        if capabilities:
            self._capabilities[version == 2] = capabilities
        return capabilities

    def cached_capabilities(self, version: int) -> list[str]:
        """Return the cached result of `capabilities`, empty without one."""
        return self._capabilities.get(version == 2, [])

    async def start(self, folder: Path, request: bytes, *, protocol: str) -> GitOutput:
        """Start the process that answers one fetch request.

        Args:
            folder: A projection.
            request: The whole body of the request.
            protocol: The client's ``Git-Protocol`` header.
        """
        on_close = self._readers.begin(folder.parent.parent.stem)
        try:
            return await run_in_lane(
                Lane.TRANSFERS, self._start, folder, request, protocol, on_close
            )
        except BaseException:
            on_close()
            raise

    def _start(
        self, folder: Path, request: bytes, protocol: str, on_close: Callable[[], None]
    ) -> GitOutput:
        messages = memory_file()
        with memory_file(request) as stdin:
            process = spawn(
                _command(self._program, folder, "--stateless-rpc"),
                {**self._program.environment, "GIT_PROTOCOL": protocol},
                stdin=stdin,
                stderr=messages,
            )
        return GitOutput(process, messages, on_close)
