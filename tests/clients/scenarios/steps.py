"""Shared by the scenarios, which run in a release's environment: only that release
and the standard library can be imported here, and no other test code.

A scenario is a list of steps. Each prints one line of JSON: passed, absent in this
release, or failed with the reason. The steps after a failed one still run.
"""

import hashlib
import json
import os
import random
import subprocess
import tempfile
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

URL = os.environ["HUB_URL"]
ANNA_TOKEN = os.environ["ANNA_TOKEN"]
BO_TOKEN = os.environ["BO_TOKEN"]
PASSWORD = os.environ["PASSWORD"]
#: A prefix that is unique to this run: all releases share one hub.
RUN = os.environ["RUN"]

STEPS: list[Callable[[], object]] = []


class NotInThisRelease(Exception):
    """The release has no method for this step."""


def step(function: Callable[..., Any]) -> Any:
    """Add a step; its docstring is its name in the table of results."""
    STEPS.append(function)
    return function


def run_all() -> None:
    """Run all steps in the order of their definition and print their outcomes."""
    for function in STEPS:
        result: dict[str, object] = {
            "step": (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        }
        began = time.monotonic()
        try:
            function()
        except NotInThisRelease as error:
            result["absent"] = str(error)
        except BaseException:  # SystemExit of an old command is a failure too
            result["error"] = traceback.format_exc()
        result["seconds"] = round(time.monotonic() - began, 3)
        print("STEP " + json.dumps(result), flush=True)


def needs(owner: Any, name: str) -> Any:
    """Return the method ``name`` of ``owner``, or end the step."""
    attribute = getattr(owner, name, None)
    if attribute is None:
        raise NotInThisRelease(name)
    return attribute


def noise(size: int, seed: int | str = 0) -> Any:
    """Return incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def file_of(data: bytes, name: str = "file.bin") -> Any:
    """Write ``data`` to a temporary file and return its path as text."""
    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(data)
    return str(path)


def same_bytes(path: Any, data: bytes) -> None:
    """Require that the file at ``path`` has the content ``data``."""
    content = Path(path).read_bytes()
    assert hashlib.sha256(content).digest() == hashlib.sha256(data).digest(), (
        len(content),
        len(data),
    )


def parts_received() -> Any:
    """Return the number of LFS parts that the hub has received."""
    with urllib.request.urlopen(f"{URL}/metrics") as response:
        lines = response.read().decode().splitlines()
    route = 'hubstead_request_seconds_count{route="PUT /api/lfs/parts/{upload}/{number}"} '
    return sum(int(float(line[len(route) :])) for line in lines if line.startswith(route))


def fails(
    kind: type[BaseException] | tuple[type[BaseException], ...],
    function: Callable[..., Any],
    *args: Any,
    status: Any = None,
    **kwargs: Any,
) -> Any:
    """Require that a call raises ``kind``, and return the error."""
    try:
        result = function(*args, **kwargs)
    except kind as error:
        raised = error
    else:
        raise AssertionError(f"no {kind}: {result!r}")
    response = getattr(raised, "response", None)
    if status is not None:
        assert response is not None, raised
        assert response.status_code == status, (response.status_code, response.text)
    return raised


def admin(*command: str) -> Any:
    """Run ``hubstead …`` as the hub's administrator, and return its output."""
    command_line = json.loads(os.environ["HUB_COMMAND"])
    result = subprocess.run(
        [command_line["program"], *command, *command_line["options"]],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=command_line["environment"],
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
