"""Pushes: checks the objects that git sent by the rules of every write, and moves refs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from hubstead import cards
from hubstead.accounts import Actor
from hubstead.admission import Lane, run_in_lane, run_to_the_end
from hubstead.blobs import BlobKey, BlobKind, Link
from hubstead.commits.linkable import linkable_size
from hubstead.commits.metadata import CARD, MAX_CARD_BYTES, derive_metadata
from hubstead.commits.name_clashes import new_clashes
from hubstead.commits.packs import pack_names
from hubstead.commits.path_rules import PathRules
from hubstead.commits.pushed_cards import check_pushed_cards, refusal_lines
from hubstead.commits.reachability import Reachability, sees_unreachable
from hubstead.commits.ref_updates import CommitSubject, WritePlan, move_refs
from hubstead.commits.refs import (
    HEADS,
    RefKind,
    RefMove,
    RefMoved,
    RefName,
    list_refs,
    require_room_for_refs,
)
from hubstead.commits.retired import discard_packs
from hubstead.commits.rules import (
    PADDED_POINTER,
    check_pushed_ref,
    check_takes_no_commit,
    is_lfs_size,
)
from hubstead.commits.storage import Storage
from hubstead.errors import (
    BlobMissing,
    HubError,
    InvalidCard,
    InvalidInput,
    InvalidPath,
    RefUpdateFailed,
)
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
from hubstead.repos import Repo, RepoMetadata

#: Git's words for a ref that another writer moved.
_STALE = "fetch first"
_CARD_REFUSED = "pre-receive hook declined: invalid metadata in README.md"
#: How many faults a report lists; it counts the rest.
_MAX_LISTED_FAULTS = 10
#: How many commits of one push the timeline of a pull request lists.
_MAX_SUBJECTS = 250
#: LFS pointers, with one path of each.
Named = dict[Pointer, str]


class RefCommand(msgspec.Struct, frozen=True):
    """The update of one ref from ``old`` (None: create it) to ``new`` (None: delete it)."""

    ref: str
    old: str | None
    new: str | None


class RefResult(msgspec.Struct, frozen=True):
    """The outcome of one command; ``fault`` is None if the ref moved."""

    ref: str
    fault: str | None = None


class PushRefused(HubError):
    """{reason}"""

    reason: str


@dataclass
class PushReport:
    """The report of a push to its client."""

    outcomes: list[RefResult] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  # lines that git shows to the pusher


async def begin_push(storage: Storage, actor: Actor, repo: Repo) -> Staging:
    """Create a staging folder for a pushed pack; the caller must ``remove`` it.

    A pack of a caller who may only propose must be complete: the base of a delta that it lacks
    could be an object that no ref reaches, whose bytes the caller may not see.

    Raises:
        StorageFull: the disk has too little free space.
    """
    storage.check_room()
    # Refs before packs: the packs read later then contain the targets of the refs.
    known = [row.oid for row in await list_refs(storage.db, repo.pk)]
    await storage.open_git(repo)
    names = await pack_names(storage.db, repo.pk)
    settings = storage.settings
    limits = PushLimits(
        settings.git.max_push_bytes,
        settings.git.memory_bytes,
        int(settings.git.cpu_seconds),
        fix_thin=sees_unreachable(repo, actor),
    )
    registered = RegisteredState(names, known)
    return await run_in_lane(Lane.WRITES, storage.git.stage, repo.id, registered, limits)


async def accept_push(
    storage: Storage,
    actor: Actor,
    repo: Repo,
    staging: Staging,
    commands: Sequence[RefCommand],
    *,
    name: str | None,
    atomic: bool,
) -> PushReport:
    """Move the refs that a push names, where the rules allow it.

    Args:
        storage: The storage of content.
        actor: The caller.
        repo: The repository, with the right to propose.
        staging: The pushed objects, indexed.
        commands: The ref updates of the push.
        name: The name of the pushed pack; None for a push without objects.
        atomic: Carry out all of the commands or none.

    Returns:
        The outcome of each command, in order. The objects of refused commands are removed. A
        command that does not move its ref succeeds, as with git: libgit2 and isomorphic-git
        send such commands.
    """
    push = _Push(storage, actor, repo, staging, name)
    idle = [command for command in commands if command.old == command.new]
    wanted = [command for command in commands if command.old != command.new]
    faults = {command.ref: fault for command in wanted if (fault := push.fault_of(command))}
    faults |= await push.stale_refs(idle)
    wanted = [command for command in wanted if command.ref not in faults]
    if wanted and not (atomic and faults):
        faults |= await push.carry_out(wanted, atomic=atomic)
    if atomic and faults:
        failed = "atomic push failed"
        faults = {command.ref: faults.get(command.ref, failed) for command in commands}
    outcomes = [RefResult(command.ref, faults.get(command.ref)) for command in commands]
    return PushReport(outcomes, push.messages)


@dataclass
class _Push:
    storage: Storage
    actor: Actor
    repo: Repo
    staging: Staging
    name: str | None
    messages: list[str] = field(default_factory=list)

    def fault_of(self, command: RefCommand) -> str | None:
        """Return why the rules for refs refuse a command; None if they allow it."""
        try:
            check_pushed_ref(
                self.repo,
                self.actor,
                RefName.parse(command.ref),
                created=command.old is None,
                deleted=command.new is None,
            )
        except HubError as error:
            return error.message
        return None

    async def stale_refs(self, idle: list[RefCommand]) -> dict[str, str]:
        """Return a fault for each idle command whose ref is not at ``old``."""
        if not idle:
            return {}
        rows = await list_refs(self.storage.db, self.repo.pk)
        oids = {row.name: row.oid for row in rows}
        return {command.ref: _STALE for command in idle if oids.get(command.ref) != command.old}

    async def carry_out(self, wanted: list[RefCommand], *, atomic: bool) -> dict[str, str]:
        """Return a fault for each ref that could not be moved."""
        try:
            moves, faults = await run_in_lane(Lane.WRITES, self._moves, wanted)
            if not moves or (atomic and faults):
                return faults
            await self._require_room(moves)
            await run_in_lane(Lane.PUSHES, self._check_cards, moves)
            links = await self._links(await self._check_objects(moves), moves)
            await self._check_foreign(moves)
        except InvalidCard as error:
            self.messages = refusal_lines(error)
            return {command.ref: _CARD_REFUSED for command in wanted}
        except HubError as error:
            return {command.ref: error.message for command in wanted}
        async with self.storage.locks.of(self.repo.id):
            return faults | await self._move(moves, links, atomic=atomic)

    # -- rules -------------------------------------------------------------------------------

    def _moves(self, wanted: list[RefCommand]) -> tuple[list[RefMove], dict[str, str]]:
        """Return the moves that are possible, and a fault for each ref that has none."""
        kinds = self.staging.kinds(
            list({command.new for command in wanted if command.new is not None})
        )
        moves, faults = [], {}
        for command in wanted:
            try:
                moves.append(self._move_of(command, kinds))
            except HubError as error:
                faults[command.ref] = error.message
        return moves, faults

    def _move_of(self, command: RefCommand, kinds: Mapping[str, tuple[str, str | None]]) -> RefMove:
        if command.new is None:
            return RefMove(command.ref, command.old, None)
        kind, commit = kinds[command.new]
        ref = RefName.parse(command.ref)
        if commit is None or (kind != "commit" and ref.kind is not RefKind.TAG):
            raise PushRefused(reason=f"{command.ref} must point to a commit, not to a {kind}")
        git = self.storage.git.open(self.repo.id)
        old = command.old and git.has(command.old) and git.peel(command.old)
        check_takes_no_commit(git, ref, commit, old=old or None)
        return RefMove(command.ref, command.old, command.new, commit)

    async def _require_room(self, moves: Sequence[RefMove]) -> None:
        created = sum(move.old is None and move.new is not None for move in moves)
        created -= sum(move.new is None for move in moves)  # they make room
        most = self.storage.settings.git.max_refs
        await require_room_for_refs(self.storage.db, self.repo, max(created, 0), most)

    def _check_cards(self, moves: Sequence[RefMove]) -> None:
        git = self.storage.git.open(self.repo.id)
        check_pushed_cards(self.repo, git, self.staging, moves)

    async def _check_objects(self, moves: Sequence[RefMove]) -> Named:
        """Check every new object; return the LFS pointers among them, with a path of each.

        Raises:
            PushRefused: with all faults; the text lists the first ones.
        """
        paths = asyncio.ensure_future(run_in_lane(Lane.WRITES, self._path_faults, moves))
        try:
            named, faults = await run_in_lane(Lane.WRITES, self._check_blobs, moves)
        finally:
            await asyncio.wait([paths])
        faults += paths.result()
        if faults:
            raise PushRefused(reason=_summarize(faults))
        return named

    def _check_blobs(self, moves: Sequence[RefMove]) -> tuple[Named, list[str]]:
        faults: list[str] = []
        tips = [move.new for move in moves if move.new is not None]
        if not tips:
            return {}, faults
        candidates: dict[str, str] = {}
        with self.staging.read_blobs() as reading:
            for pushed in self.staging.new_blobs(tips):
                if is_lfs_size(pushed.size, self.storage.settings.lfs):
                    faults.append(self._too_large(pushed.path, pushed.size))
                elif MIN_POINTER_BYTES <= pushed.size <= MAX_PADDED_POINTER_BYTES:
                    candidates[pushed.oid] = pushed.path
                    reading.request(pushed.oid)
            named: Named = {}
            for oid, pointer in () if faults else reading.pointers():
                if pointer is None:
                    faults.append(f"{candidates[oid]}: {PADDED_POINTER}")
                else:
                    named[pointer] = candidates[oid]
            return named, faults

    def _too_large(self, path: str, size: int) -> str:
        limit = self.storage.settings.lfs.threshold_bytes
        return (
            f"{path} has {size} bytes: files of {limit} bytes and above (lfs_threshold_bytes) "
            f"have to be LFS files. Run `git lfs migrate import --include='{path}'` and push again"
        )

    def _path_faults(self, moves: Sequence[RefMove]) -> list[str]:
        rules, faults = PathRules.of(self.storage.settings.commits), []
        for path in self.staging.paths(list({move.target for move in moves if move.target})):
            try:
                rules.check_bytes(path)
            except InvalidPath as error:
                faults.append(error.message)
        if self.storage.settings.commits.refuse_case_clashes:
            faults += self._clash_faults(moves)
        return list(dict.fromkeys(faults))

    def _clash_faults(self, moves: Sequence[RefMove]) -> list[str]:
        faults: dict[str, None] = {}
        for target, old in dict.fromkeys((move.target, move.old) for move in moves):
            if target is None:
                continue
            before = [commit for commit in (old, self.repo.head) if commit]
            clashes = new_clashes(self.staging.paths([target]), partial(self.staging.paths, before))
            faults |= dict.fromkeys(error.message for error in clashes)
        return list(faults)

    async def _check_foreign(self, moves: Sequence[RefMove]) -> None:
        """Refuse objects that the push neither contains nor takes from what refs reach.

        Knowing the id of an object is not the right to read it.
        """
        if sees_unreachable(self.repo, self.actor):
            return
        tips = [move.new for move in moves if move.new is not None]
        foreign = await run_in_lane(Lane.PUSHES, self.staging.absent_objects, tips, self.name)
        git = await self.storage.open_git(self.repo)
        reachability = Reachability(self.storage, self.repo, git)
        if foreign and not await reachability.has_objects(foreign):
            raise PushRefused(reason="the push lacks objects that it needs: fetch and push again")

    async def _links(self, named: Named, moves: Sequence[RefMove]) -> list[Link]:
        ref = next((move.ref for move in moves if move.new), None)
        links, faults = [], []
        damaged = await self.storage.xet.damage.damaged_objects([pointer.oid for pointer in named])
        for pointer, path in named.items():
            key = BlobKey(BlobKind.LFS, pointer.oid)
            try:
                if pointer.oid in damaged:
                    raise BlobMissing(name=pointer.oid, path=path)
                await linkable_size(
                    self.storage.db, self.actor, self.repo, path=path, key=key, size=pointer.size
                )
            except (BlobMissing, InvalidInput):
                faults.append(f"{path} ({pointer.oid[:12]}…)")
            links.append(Link(key, pointer.size, path, ref))
        if faults:
            raise PushRefused(
                reason="LFS objects are missing here: run `git lfs push --all` first. "
                f"Missing: {_summarize(faults)}"
            )
        return links

    # -- transaction -------------------------------------------------------------------------

    async def _move(
        self, moves: list[RefMove], links: list[Link], *, atomic: bool
    ) -> dict[str, str]:
        """Move the refs; the caller has the lock of the repository."""
        pack = await self._install()
        faults: dict[str, str] = {}
        while moves:
            derived = await run_in_lane(Lane.WRITES, self._derived, moves)
            plan = WritePlan(
                tuple(moves),
                pack=pack,
                links=tuple(links),
                derived=derived,
                max_owner_bytes=self.storage.settings.accounts.max_bytes,
                pulls=self.storage.pulls,
                subjects=await run_in_lane(Lane.WRITES, self._subjects, moves),
            )
            try:
                await self.storage.db.write(move_refs, self.actor, self.repo, plan, plan.right)
            except RefUpdateFailed as error:
                for each in (error, *error.others):
                    faults[each.ref] = _STALE if isinstance(each, RefMoved) else each.message
                moves = [] if atomic else [move for move in moves if move.ref not in faults]
            except HubError as error:
                faults |= {move.ref: error.message for move in moves}
                moves = []
            else:
                return faults
        await self._remove_unregistered(pack)
        return faults

    def _subjects(self, moves: Sequence[RefMove]) -> dict[str, tuple[CommitSubject, ...]]:
        """Return the new commits of each pull request, the oldest first, the last ones at most."""
        git = self.storage.git.open(self.repo.id)
        subjects: dict[str, tuple[CommitSubject, ...]] = {}
        for move in moves:
            if move.target and RefName.parse(move.ref).kind is RefKind.PULL:
                hidden = [oid for oid in (move.old, self.repo.head) if oid and git.has(oid)]
                commits = git.log_between(move.target, hidden, limit=_MAX_SUBJECTS)
                subjects[move.ref] = tuple(
                    CommitSubject(commit.oid, commit.title) for commit in reversed(commits)
                )
        return subjects

    async def _install(self) -> Pack | None:
        if self.name is None:
            return None
        pack = await run_in_lane(Lane.WRITES, self.staging.install, self.name)
        return await self.storage.publish(pack)

    async def _remove_unregistered(self, pack: Pack | None) -> None:
        """Remove the pushed pack unless a transaction registered it."""
        if pack is None:
            return
        names = await pack_names(self.storage.db, self.repo.pk)
        if pack.name not in names:
            if self.storage.packs_are_blobs:  # a job deletes its blob
                await discard_packs(self.storage, self.repo.id, [pack])
            await run_to_the_end(
                Lane.BACKGROUND, self.storage.git.remove_pack, self.repo.id, pack.name
            )

    def _derived(self, moves: Sequence[RefMove]) -> RepoMetadata | None:
        head = HEADS + self.repo.default_branch
        tip = next((move.target for move in moves if move.ref == head), None)
        if tip is None:
            return None
        git = self.storage.git.open(self.repo.id)
        tree = git.tree_of(tip)
        self._warn_of_card(git, tree)
        return derive_metadata(self.repo.kind, git, tree)

    def _warn_of_card(self, git: GitRepo, tree: str) -> None:
        entry = git.entry(tree, CARD)
        if entry is None or entry.type != "blob" or entry.size > MAX_CARD_BYTES:
            return
        result = cards.validate_card(git.blob(entry.oid), self.repo.kind)
        self.messages = [f"warning: {CARD}: {text}" for text in (*result.errors, *result.warnings)]


def _summarize(faults: Sequence[str]) -> str:
    shown = "; ".join(faults[:_MAX_LISTED_FAULTS])
    more = len(faults) - _MAX_LISTED_FAULTS
    return f"{shown}; and {more} more" if more > 0 else shown
