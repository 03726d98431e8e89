"""The metrics of the git store."""

from __future__ import annotations

from hubstead.gitstore.store import GitStore
from hubstead.metrics import Metrics


def declare_git_metrics(metrics: Metrics, git: GitStore) -> None:
    """Declare how many repositories, packs and git processes this process holds open."""
    metrics.gauge(
        "git_open_repositories",
        "Repositories held open.",
        lambda: git.handles.counts().repositories,
    )
    metrics.gauge(
        "git_open_packs", "Packs that they may hold open.", lambda: git.handles.counts().packs
    )
    metrics.gauge("git_readers", "Programs of git that read repositories.", git.readers.count)
