"""The settings as people read them: ``hubstead settings`` and ``docs/settings.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from hubstead.settings.loader import FILE_NAME, FILE_VARIABLE
from hubstead.settings.model import PREFIX, Option, Settings, options
from hubstead.settings.values import format_value


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for display: values in the notation of the settings file."""

    name: str
    value: str
    default: str
    help: str
    origin: str
    variable: str
    group: str


def describe(settings: Settings) -> list[Described]:
    """List every setting with its value, help and origin; secrets are hidden."""
    return [
        Described(
            name=option.name,
            value=format_value(option.value(settings), option),
            default=format_value(option.default, option),
            help=option.help,
            origin=settings.origins.get(option.name, "default"),
            variable=option.variable,
            group=option.heading,
        )
        for option in options()
    ]


def as_markdown() -> str:
    """Return the text of ``docs/settings.md``."""
    lines = [_INTRODUCTION]
    heading = ""
    for option in options():
        if option.heading != heading:
            heading = option.heading
            lines += [
                "",
                f"## {heading}",
                "",
                "| setting | default | what it does |",
                "|---|---|---|",
            ]
        default = format_value(option.default, option) or "(empty)"
        lines.append(f"| `{option.name}` | `{default}` | {option.help}{_choices(option)} |")
    return "\n".join(lines) + "\n"


def _choices(option: Option) -> str:
    if get_origin(option.type) is not Literal:
        return ""
    return " One of " + ", ".join(f"`{choice}`" for choice in get_args(option.type)) + "."


_INTRODUCTION = f"""# Settings

<!-- Written by `make docs` from src/hubstead/settings/groups.py: change it there. -->

A setting is read from, later ones winning:

1. its default;
2. the settings file: the one named by `--settings FILE` or `{FILE_VARIABLE}`, otherwise
   `{FILE_NAME}` in the data folder, if there is one. It is TOML with the names below at the top
   level: `port = 9000`, `max_json_body_bytes = "20MiB"`, `trusted_proxies = ["10.0.0.0/8"]`;
3. the environment: `{PREFIX}` and the name in capitals, such as `{PREFIX}PORT`. Lists are
   separated by commas;
4. the command line: `--data`, `--host` and `--port`.

`hubstead settings` prints them all with their values and where each came from, secrets hidden.
An unknown name in the file stops the server, as does a variable that looks misspelled.

Sizes (`…_bytes`) are numbers of bytes or like `10MiB` and `500GB`; spans of time (`…_s`,
`…_seconds`) are seconds or like `15m`, `12h`, `7d`. Relative paths in the file start at its
folder. On Kubernetes, a service called `hubstead` puts a variable `{PREFIX}PORT` of its own into
every container: set `enableServiceLinks: false`."""
