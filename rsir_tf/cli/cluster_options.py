"""Options of commands that let the workers of a Ray cluster search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console
from rsir_tf.cli.option_groups import OptionGroup

if TYPE_CHECKING:
    from rsir_tf.cluster import WorkerPool
    from rsir_tf.ranking import Index

_PANEL = "Search on a cluster"


@dataclass(frozen=True)
class ClusterOptions(OptionGroup):
    """Which cluster searches an index; without one, this process does."""

    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Let the workers of a running Ray cluster search: HOST:PORT of its head, or `auto` for the cluster "
            "that this machine belongs to. The index must lie on storage that all machines see at the same path. The "
            "results are the same.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many workers of the Ray cluster to use. The default is one for each machine.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def open_index(self, path: Path, roots: Mapping[str, Path] | None = None) -> Index:
        """Open an index, to be searched here or by the cluster.

        Raises:
            typer.BadParameter: Workers of no cluster are asked for.
            RsirError: See `open_index_on_cluster`.
        """
        self.require_cluster()
        if self.ray is None:
            from rsir_tf.ranking import open_index

            return open_index(path, roots=roots)
        from rsir_tf.workflows import open_index_on_cluster

        with console.progress("starting workers") as tell:
            return open_index_on_cluster(path, self.ray, workers=self.workers, roots=roots, progress=tell)

    @contextmanager
    def rankers(self, index: Index) -> Iterator[WorkerPool[Index] | None]:
        """Workers that hold an index for an evaluation; None where this process ranks.

        Raises:
            RsirError: See `WorkerPool` and `WholeIndex`.
        """
        if self.ray is None:
            yield None
            return
        from rsir_tf.cluster import WorkerPool
        from rsir_tf.workflows.clustered_evaluation import WholeIndex

        with WorkerPool(self.ray, WholeIndex.of(index), workers=self.workers, gpus=False) as pool:
            pool.ask_each(len)
            yield pool

    def require_cluster(self) -> None:
        """Refuse --workers without --ray.

        Raises:
            typer.BadParameter: So it is.
        """
        if self.ray is None and self.workers is not None:
            raise typer.BadParameter("--workers is for the workers of --ray")
