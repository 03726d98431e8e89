"""``hubstead gc``: lists and deletes unreferenced data."""

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
from hubstead.xet import begin_epoch, settling_seconds

_COLUMNS = ("repository", "what", "things", "size", "when", "why")


def _seconds(_ctx: click.Context, param: click.Parameter, value: str) -> float:
    try:
        return parse_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=param) from error


@click.command("gc")
@click.option(
    "--delete",
    "remove",
    is_flag=True,
    help="Delete what is listed as 'now'; without it, only list.",
)
@click.option(
    "--grace",
    default="14d",
    show_default=True,
    metavar="SPAN",
    callback=_seconds,
    help="How long LFS files and git objects stay after the last ref stops reaching them.",
)
@click.option("--repo", "name", metavar="NAME", help="Only this repository.")
@click.option("--no-git", is_flag=True, help="Skip git objects, which take the longest.")
@click.option("--new-epoch", is_flag=True, help="Begin a new epoch for Xet clients; see below.")
@with_context
def command(
    context: Context, *, remove: bool, grace: float, name: str | None, no_git: bool, new_epoch: bool
) -> None:
    """List data that no branch, tag, hold or upload references, and delete it on request.

    Only --delete changes anything. Works beside a running hub. The column "when": "now": --delete
    deletes it; "later": still protected, for the given reason; "never": in use, or could not be
    examined. See docs/garbage.md.

    --new-epoch does only this: xorbs that no file needs may go once all of today's Xet tokens have
    expired, instead of weeks later; clients upload some chunks again.
    """
    if new_epoch:
        _begin_epoch(context)
        return

    from hubstead.app import open_storage

    settings = context.settings()
    only = repo_id_of(name) if name else None

    async def collect() -> list[GarbageCount]:
        async with open_storage(settings) as storage:
            return await collect_garbage(
                storage, grace_ms=int(grace * 1000), only=only, remove=remove, git=not no_git
            )

    counts = [count for count in run(collect) if count.things or count.when is GarbageState.NEVER]
    if context.as_json:
        report = {"deleted": remove, "found": counts, "total": list(total_counts(counts))}
        click.echo(json.dumps(msgspec.to_builtins(report), indent=2))
    else:
        _show(context, counts, removed=remove)


def _begin_epoch(context: Context) -> None:
    settings = context.settings()
    seconds = settling_seconds(settings.xet, settings.blobs)
    epoch = context.query(begin_epoch)
    after = iso_time(now_ms() + int(seconds * 1000))
    print_result(
        context,
        f"The epoch {epoch} has begun. From {after} on, when the tokens of the last epoch have "
        "expired, xorbs that no file needs and no client learned of since then may go.",
        {"epoch": epoch, "counts_from": after},
    )


def _show(context: Context, counts: list[GarbageCount], *, removed: bool) -> None:
    if not counts:
        click.echo("Nothing is unreferenced.")
        return
    rows = [_row(count) for count in counts if count.repository]
    rows += [_row(count) for count in total_counts(counts)]
    print_rows(context, rows, _COLUMNS)
    now = [count for count in counts if count.when is GarbageState.NOW]
    things, size = sum(count.things for count in now), sum(count.bytes for count in now)
    click.echo("")
    if removed:
        click.echo(f"Deleted {sum(count.removed for count in now)} of {things} objects.")
    elif things:
        click.echo(f"`hubstead gc --delete` would delete {things} objects, {human_size(size)}.")
    else:
        click.echo("`hubstead gc --delete` would delete nothing yet.")


def _row(count: GarbageCount) -> dict[str, object]:
    return {
        "repository": count.repository or "all",
        "what": count.what.value,
        "things": count.things,
        "size": human_size(count.bytes),
        "when": f"{count.removed} gone" if count.removed else count.when.value,
        "why": count.reason,
    }
