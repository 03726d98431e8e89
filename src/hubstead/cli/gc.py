"""``hubstead gc``."""

from __future__ import annotations

import json

import click
import msgspec

from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import human_size, iso_time, print_result, print_rows
from hubstead.cli.repo import repo_id_of
from hubstead.garbage import GarbageCount, GarbageState, collect_garbage, total_counts
from hubstead.ids import now_ms
from hubstead.settings import parse_seconds
from hubstead.xet.expiry import begin_epoch, settling_seconds

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
@with_context
def command(
    place: Context, *, remove: bool, grace: float, name: str | None, no_git: bool, new_epoch: bool
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

    from hubstead.app import open_storage

    settings = place.settings()
    only = repo_id_of(name) if name else None

    async def look() -> list[GarbageCount]:
        async with open_storage(settings) as stores:
            return await collect_garbage(
                stores, grace_ms=int(grace * 1000), only=only, remove=remove, git=not no_git
            )

    heaps = [heap for heap in run(look) if heap.things or heap.when is GarbageState.NEVER]
    if place.as_json:
        totals = [_facts(heap) for heap in total_counts(heaps)]
        found = [_facts(heap) for heap in heaps]
        click.echo(json.dumps({"deleted": remove, "found": found, "total": totals}, indent=2))
    else:
        _show(place, heaps, removed=remove)


def _begin_epoch(place: Context) -> None:
    seconds = settling_seconds(place.settings())
    made = place.query(begin_epoch)
    after = iso_time(now_ms() + int(seconds * 1000))
    print_result(
        place,
        f"The epoch {made} has begun. From {after} on, when the tokens of the last one are over, "
        "xorbs that no file needs and no client learned of since may go.",
        {"epoch": made, "counts_from": after},
    )


def _facts(heap: GarbageCount) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(heap)
    return facts


def _show(place: Context, heaps: list[GarbageCount], *, removed: bool) -> None:
    if not heaps:
        click.echo("Nothing is garbage.")
        return
    rows = [_row(heap) for heap in heaps if heap.repository]
    rows += [_row(heap) for heap in total_counts(heaps)]
    print_rows(place, rows, _COLUMNS)
    now = [heap for heap in heaps if heap.when is GarbageState.NOW]
    things, size = sum(heap.things for heap in now), sum(heap.bytes for heap in now)
    click.echo("")
    if removed:
        click.echo(f"{sum(heap.removed for heap in now)} of {things} things were taken away.")
    elif things:
        click.echo(f"`hubstead gc --delete` would take away {things} things, {human_size(size)}.")
    else:
        click.echo("`hubstead gc --delete` would take away nothing yet.")


def _row(heap: GarbageCount) -> dict[str, object]:
    return {
        "repository": heap.repository or "all",
        "what": heap.what.value,
        "things": heap.things,
        "size": human_size(heap.bytes),
        "when": f"{heap.removed} gone" if heap.removed else heap.when.value,
        "why": heap.reason,
    }
