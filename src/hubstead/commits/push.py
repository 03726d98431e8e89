"""A push: what git sent, looked through by the rules of every write, and its refs moved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hubstead import cards
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind, Link
from hubstead.commits.linkable import linkable_size
from hubstead.commits.metadata import CARD, MAX_CARD_BYTES, derive_metadata
from hubstead.commits.packs import pack_names
from hubstead.commits.path_rules import PathRules
from hubstead.commits.ref_updates import WritePlan, move_refs
from hubstead.commits.refs import HEADS, RefKind, RefMove, RefMoved, RefName, list_refs
from hubstead.commits.retired import discard_packs
from hubstead.commits.rules import (
    PADDED_POINTER,
    check_pushed_ref,
    check_takes_no_commit,
    is_lfs_size,
)
from hubstead.commits.storage import Storage
from hubstead.errors import BlobMissing, HubError, InvalidInput, InvalidPath, RefUpdateFailed
from hubstead.gitstore import (
    MAX_PADDED_POINTER_BYTES,
    MIN_POINTER_BYTES,
    GitRepo,
    Pack,
    Pointer,
    PushLimits,
    RegisteredState,
    Staging,
)
from hubstead.repos import Repo, RepoMetadata, Right

#: What git calls a ref that others have moved meanwhile.
_STALE = "fetch first"
#: So many faults are told, the rest is counted.
_MOST_TOLD = 10
#: LFS pointers, each with a path of it.
Named = dict[Pointer, str]


class RefCommand(msgspec.Struct, frozen=True):
    """What a push wants of one ref: from ``old`` (None: make it) to ``new`` (None: delete it)."""

    ref: str
    old: str | None
    new: str | None


class RefResult(msgspec.Struct, frozen=True):
    """What came of one command; ``fault`` is None if the ref moved."""

    ref: str
    fault: str | None = None


class PushRefused(HubError):
    """{reason}"""

    reason: str


@dataclass
class PushReport:
    """Everything that is told to who pushed."""

    outcomes: list[RefResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def begin_push(stores: Storage, opened: Repo) -> Staging:
    """Make room for a pushed pack beside the repository; ``remove`` it at the end.

    Raises:
        StorageFull: there is none.
    """
    stores.check_room()
    # The refs first: what they point to is then in the packs, whoever writes meanwhile.
    known = [row.oid for row in await list_refs(stores.db, opened.pk)]
    await stores.open_git(opened)
    names = await pack_names(stores.db, opened.pk)
    settings = stores.settings
    limits = PushLimits(
        settings.git.max_push_bytes, settings.git.memory_bytes, int(settings.git.cpu_seconds)
    )
    registered = RegisteredState(names, known)
    return await asyncio.to_thread(stores.git.stage, opened.id, registered, limits)


async def accept_push(
    stores: Storage,
    actor: Actor,
    opened: Repo,
    staging: Staging,
    commands: Sequence[RefCommand],
    *,
    name: str | None,
    atomic: bool,
) -> PushReport:
    """Move the refs that a push names, as far as the rules allow.

    Args:
        stores: Where content lies.
        actor: Who pushes.
        opened: The repository, opened for writing.
        staging: What was sent, indexed.
        commands: What is wanted.
        name: Of the pack that was sent, if one was.
        atomic: All of the commands or none.

    Returns:
        The outcome of each command, in order; nothing is left of what was refused. A command
        that leaves a ref where it is succeeds, as it does with git: libgit2 and isomorphic-git
        send such ones.
    """
    push = _Push(stores, actor, opened, staging, name)
    idle = [each for each in commands if each.old == each.new]
    wanted = [each for each in commands if each.old != each.new]
    faults = {each.ref: fault for each in wanted if (fault := push.fault_of(each))}
    faults |= await push.elsewhere(idle)
    wanted = [each for each in wanted if each.ref not in faults]
    if wanted and not (atomic and faults):
        faults |= await push.carry_out(wanted, atomic=atomic)
    if atomic and faults:
        faults = {each.ref: faults.get(each.ref, "atomic push failed") for each in commands}
    outcomes = [RefResult(each.ref, faults.get(each.ref)) for each in commands]
    return PushReport(outcomes, push.warnings)


@dataclass
class _Push:
    stores: Storage
    actor: Actor
    opened: Repo
    staging: Staging
    name: str | None
    warnings: list[str] = field(default_factory=list)

    def fault_of(self, command: RefCommand) -> str | None:
        """Say why a ref cannot be moved so, whatever is in the pack."""
        try:
            check_pushed_ref(self.opened, RefName.parse(command.ref), deleted=command.new is None)
        except HubError as error:
            return error.message
        return None

    async def elsewhere(self, idle: list[RefCommand]) -> dict[str, str]:
        """Return a fault for each ref that is to stay where it is not."""
        if not idle:
            return {}
        rows = await list_refs(self.stores.db, self.opened.pk)
        found = {row.name: row.oid for row in rows}
        return {each.ref: _STALE for each in idle if found.get(each.ref) != each.old}

    async def carry_out(self, wanted: list[RefCommand], *, atomic: bool) -> dict[str, str]:
        """Return a fault for each ref that could not be moved."""
        try:
            moves, faults = await asyncio.to_thread(self._moves, wanted)
            if not moves or (atomic and faults):
                return faults
            links = await self._links(await self._looked_through(moves), moves)
        except HubError as error:
            return {each.ref: error.message for each in wanted}
        async with self.stores.locks.of(self.opened.id):
            return faults | await self._move(moves, links, atomic=atomic)

    # -- rules -------------------------------------------------------------------------------

    def _moves(self, wanted: list[RefCommand]) -> tuple[list[RefMove], dict[str, str]]:
        """Return the moves that are possible, and a fault for each ref that has none."""
        kinds = self.staging.kinds(list({each.new for each in wanted if each.new is not None}))
        moves, faults = [], {}
        for each in wanted:
            try:
                moves.append(self._move_of(each, kinds))
            except HubError as error:
                faults[each.ref] = error.message
        return moves, faults

    def _move_of(self, command: RefCommand, kinds: Mapping[str, tuple[str, str | None]]) -> RefMove:
        if command.new is None:
            return RefMove(command.ref, command.old, None)
        kind, commit = kinds[command.new]
        ref = RefName.parse(command.ref)
        if commit is None or (kind != "commit" and ref.kind is RefKind.BRANCH):
            raise PushRefused(reason=f"{command.ref} must point to a commit, not to a {kind}")
        git = self.stores.git.open(self.opened.id)
        old = command.old and git.has(command.old) and git.peel(command.old)
        check_takes_no_commit(git, ref, commit, old=old or None)
        return RefMove(command.ref, command.old, command.new, commit)

    async def _looked_through(self, moves: Sequence[RefMove]) -> Named:
        """Look through everything new; return the LFS objects it names, with a path of each.

        Raises:
            PushRefused: with every fault, as far as they can be told.
        """
        paths = asyncio.ensure_future(asyncio.to_thread(self._path_faults, moves))
        try:
            named, faults = await asyncio.to_thread(self._look, moves)
        finally:
            await asyncio.wait([paths])
        faults += paths.result()
        if faults:
            raise PushRefused(reason=_told(faults))
        return named

    def _look(self, moves: Sequence[RefMove]) -> tuple[Named, list[str]]:
        faults: list[str] = []
        tips = [move.new for move in moves if move.new is not None]
        if not tips:
            return {}, faults
        candidates: dict[str, str] = {}
        with self.staging.reading() as reading:
            for pushed in self.staging.new_blobs(tips):
                if is_lfs_size(pushed.size, self.stores.settings):
                    faults.append(self._too_large(pushed.path, pushed.size))
                elif MIN_POINTER_BYTES <= pushed.size <= MAX_PADDED_POINTER_BYTES:
                    candidates[pushed.oid] = pushed.path
                    reading.ask(pushed.oid)
            named: Named = {}
            for oid, pointer in () if faults else reading.pointers():
                if pointer is None:
                    faults.append(f"{candidates[oid]}: {PADDED_POINTER}")
                else:
                    named[pointer] = candidates[oid]
            return named, faults

    def _too_large(self, path: str, size: int) -> str:
        limit = self.stores.settings.lfs.threshold_bytes
        return (
            f"{path} has {size} bytes: files of {limit} bytes and above (lfs_threshold_bytes) "
            f"have to be LFS files. Run `git lfs migrate import --include='{path}'` and push again"
        )

    def _path_faults(self, moves: Sequence[RefMove]) -> list[str]:
        rules, faults = PathRules.of(self.stores.settings), []
        for tip in {move.target for move in moves if move.target}:
            for path in self.staging.paths(tip):
                try:
                    rules.check_bytes(path)
                except InvalidPath as error:
                    faults.append(error.message)
        return faults

    async def _links(self, named: Named, moves: Sequence[RefMove]) -> list[Link]:
        ref = next((move.ref for move in moves if move.new), None)
        links, faults = [], []
        damaged = await self.stores.xet.damage.damaged_objects([each.oid for each in named])
        for pointer, path in named.items():
            key = BlobKey(BlobKind.LFS, pointer.oid)
            try:
                if pointer.oid in damaged:
                    raise BlobMissing(name=pointer.oid, path=path)
                await linkable_size(
                    self.stores.db, self.actor, self.opened, path=path, key=key, size=pointer.size
                )
            except (BlobMissing, InvalidInput):
                faults.append(f"{path} ({pointer.oid[:12]}…)")
            links.append(Link(key, pointer.size, path, ref))
        if faults:
            raise PushRefused(
                reason="LFS objects are missing here: run `git lfs push --all` first. "
                f"Missing: {_told(faults)}"
            )
        return links

    # -- the move ----------------------------------------------------------------------------

    async def _move(
        self, moves: list[RefMove], links: list[Link], *, atomic: bool
    ) -> dict[str, str]:
        """Make it visible; the repository's lock is held."""
        finished = await self._install()
        faults: dict[str, str] = {}
        while moves:
            derived = await asyncio.to_thread(self._derived, moves)
            plan = WritePlan(tuple(moves), pack=finished, links=tuple(links), derived=derived)
            try:
                await self.stores.db.write(move_refs, self.actor, self.opened, plan, Right.WRITE)
            except RefUpdateFailed as error:
                faults[error.ref] = _STALE if isinstance(error, RefMoved) else error.message
                moves = [] if atomic else [move for move in moves if move.ref != error.ref]
            except HubError as error:
                faults |= {move.ref: error.message for move in moves}
                moves = []
            else:
                return faults
        await self._forget(finished)
        return faults

    async def _install(self) -> Pack | None:
        if self.name is None:
            return None
        finished = await asyncio.to_thread(self.staging.install, self.name)
        return await self.stores.publish(finished)

    async def _forget(self, finished: Pack | None) -> None:
        """Take a pack out again that nobody came to own."""
        if finished is None:
            return
        names = await pack_names(self.stores.db, self.opened.pk)
        if finished.name not in names:
            if self.stores.packs_are_blobs:  # its blob goes in time
                await discard_packs(self.stores, self.opened.id, [finished])
            await asyncio.to_thread(self.stores.git.remove_pack, self.opened.id, finished.name)

    def _derived(self, moves: Sequence[RefMove]) -> RepoMetadata | None:
        head = HEADS + self.opened.default_branch
        tip = next((move.target for move in moves if move.ref == head), None)
        if tip is None:
            return None
        git = self.stores.git.open(self.opened.id)
        tree = git.tree_of(tip)
        self._warn_of_card(git, tree)
        return derive_metadata(self.opened.kind, git, tree)

    def _warn_of_card(self, git: GitRepo, tree: str) -> None:
        entry = git.entry(tree, CARD)
        if entry is None or entry.type != "blob" or entry.size > MAX_CARD_BYTES:
            return
        found = cards.validate_card(git.blob(entry.oid), self.opened.kind)
        self.warnings = [f"{CARD}: {text}" for text in (*found.errors, *found.warnings)]


def _told(faults: Sequence[str]) -> str:
    shown = "; ".join(faults[:_MOST_TOLD])
    more = len(faults) - _MOST_TOLD
    return f"{shown}; and {more} more" if more > 0 else shown
