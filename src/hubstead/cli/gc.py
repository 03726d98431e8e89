"""``hubstead gc``."""

from __future__ import annotations

import json

import click
import msgspec

from hubstead.cli.places import Place, run, with_place
from hubstead.cli.printing import about, moment, say, show_rows
from hubstead.cli.repo import repo_id_of
from hubstead.garbage import Heap, When, collect, in_total
from hubstead.ids import now_ms
from hubstead.settings import parse_seconds
from hubstead.xet.trust import begin_epoch, settling_seconds

_COLUMNS = ("repository", "what", "things", "size", "when", "why")


def _seconds(_ctx: click.Context, param: click.Parameter, value: str) -> float:
    try:
        return parse_seconds(value)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param=param) from fault


@click.command("gc")
@click.option("--delete", "remove", is_flag=True, help="Take away what may go. Without: only tell.")
@click.option(
    "--grace",
    default="14d",
    show_default=True,
    metavar="SPAN",
    callback=_seconds,
    help="How long LFS files and objects of git stay that no ref leads to any more.",
)
@click.option("--repo", "name", metavar="NAME", help="Only this repository.")
@click.option("--no-git", is_flag=True, help="Leave objects of git alone: that takes the longest.")
@click.option("--new-epoch", is_flag=True, help="Make Xet clients forget what they believe in.")
@with_place
def command(
    place: Place, *, remove: bool, grace: float, name: str | None, no_git: bool, new_epoch: bool
) -> None:
    """Find what no branch, tag, hold or upload needs any more, and take it away.

    Nothing is changed without --delete. May be used beside a running hub. What "when" says:
    "now": goes with --delete; "later": is still protected, for the reason told; "never": is in
    use, or could not be looked through. See docs/garbage.md.

    --new-epoch does nothing else: xorbs that no file needs may go once all Xet tokens of today
    are over, instead of weeks later; clients send some chunks once more.
    """
    if new_epoch:
        _begin_epoch(place)
        return

    from hubstead.app import opened_stores

    settings = place.settings()
    only = repo_id_of(name) if name else None

    async def look() -> list[Heap]:
        async with opened_stores(settings) as stores:
            return await collect(
                stores, grace_ms=int(grace * 1000), only=only, remove=remove, git=not no_git
            )

    heaps = [heap for heap in run(look) if heap.things or heap.when is When.NEVER]
    if place.as_json:
        totals = [_facts(heap) for heap in in_total(heaps)]
        found = [_facts(heap) for heap in heaps]
        click.echo(json.dumps({"deleted": remove, "found": found, "total": totals}, indent=2))
    else:
        _show(place, heaps, removed=remove)


def _begin_epoch(place: Place) -> None:
    seconds = settling_seconds(place.settings())
    made = place.ask(begin_epoch)
    after = moment(now_ms() + int(seconds * 1000))
    say(
        place,
        f"The epoch {made} has begun. From {after} on, when the tokens of the last one are over, "
        "xorbs that no file needs and no client learned of since may go.",
        {"epoch": made, "counts_from": after},
    )


def _facts(heap: Heap) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(heap)
    return facts


def _show(place: Place, heaps: list[Heap], *, removed: bool) -> None:
    if not heaps:
        click.echo("Nothing is garbage.")
        return
    rows = [_row(heap) for heap in heaps if heap.repository]
    rows += [_row(heap) for heap in in_total(heaps)]
    show_rows(place, rows, _COLUMNS)
    now = [heap for heap in heaps if heap.when is When.NOW]
    things, size = sum(heap.things for heap in now), sum(heap.bytes for heap in now)
    click.echo("")
    if removed:
        click.echo(f"{sum(heap.removed for heap in now)} of {things} things were taken away.")
    elif things:
        click.echo(f"`hubstead gc --delete` would take away {things} things, {about(size)}.")
    else:
        click.echo("`hubstead gc --delete` would take away nothing yet.")


def _row(heap: Heap) -> dict[str, object]:
    return {
        "repository": heap.repository or "all",
        "what": heap.what.value,
        "things": heap.things,
        "size": about(heap.bytes),
        "when": f"{heap.removed} gone" if heap.removed else heap.when.value,
        "why": heap.reason,
    }
