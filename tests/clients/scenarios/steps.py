"""What the scenarios share. They run inside a release's environment: nothing but that release
and the standard library can be imported here, and Hubstead's own tests cannot.

A scenario is a list of steps. Each prints one line of JSON: that it worked, that this release
has no such thing, or how it failed. A step that fails does not stop those after it.
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
#: Makes the names of this run its own: all releases use the same hub.
RUN = os.environ["RUN"]

STEPS: list[Callable[[], object]] = []


class NotInThisRelease(Exception):
    """The release has no method for this step."""


def step(function: Callable[..., Any]) -> Any:
    """Add a step; its docstring is what the table of results calls it."""
    STEPS.append(function)
    return function


def run_all() -> None:
    """Run every step in the order of its definition and print what came of each."""
    for function in STEPS:
        result: dict[str, object] = {
            "step": (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        }
        began = time.monotonic()
        try:
            function()
        except NotInThisRelease as error:
            result["absent"] = str(error)
        except BaseException:  # SystemExit of an old command is a failure as well
            result["error"] = traceback.format_exc()
        result["seconds"] = round(time.monotonic() - began, 3)
        print("STEP " + json.dumps(result), flush=True)


def needs(owner: Any, name: str) -> Any:
    """Return the method ``name`` of ``owner``, or end the step."""
    found = getattr(owner, name, None)
    if found is None:
        raise NotInThisRelease(name)
    return found


def noise(size: int, seed: int | str = 0) -> Any:
    """Return bytes that do not compress and are the same every time."""
    return random.Random(seed).randbytes(size)


def file_of(data: bytes, name: str = "file.bin") -> Any:
    """Write ``data`` to a file of its own and return its path as text."""
    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(data)
    return str(path)


def same_bytes(path: Any, data: bytes) -> None:
    """Insist that the file at ``path`` holds ``data``."""
    found = Path(path).read_bytes()
    assert hashlib.sha256(found).digest() == hashlib.sha256(data).digest(), (len(found), len(data))


def parts_received() -> Any:
    """Return how many parts of LFS files the hub has been sent."""
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
    """Insist that a call raises ``kind``, and return the error."""
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
    """Run ``hubstead …`` as the hub's administrator would, and return what it answers."""
    how = json.loads(os.environ["HUB_COMMAND"])
    result = subprocess.run(
        [how["program"], *command, *how["options"]],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=how["environment"],
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
