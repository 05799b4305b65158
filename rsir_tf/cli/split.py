"""`rsir-tf split`: divide an archive into a part to train on and a part to test on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options

if TYPE_CHECKING:
    from rsir_tf.archives import Archive, Split

NAME = "split"

Test = Annotated[float, typer.Option(help="Fraction of each scene (or of the groups) to test on.")]
TestGroup = Annotated[
    list[str] | None, typer.Option(help="A group to test on, such as a tile's folder; repeat for several.")
]


def command(
    archive: options.Archive,
    to: Annotated[Path, typer.Option(help="The JSON file to write.")],
    test: Test = 0.2,
    test_group: TestGroup = None,
    validation: Annotated[
        float | None,
        typer.Option(help="Fraction of each scene (or of the groups) for a third part, to validate on (MLRSNet: 0.1)."),
    ] = None,
    seed: options.Seed = 0,
    labels: options.Labels = None,
    labels_as_published: options.AsPublished = False,
) -> None:
    """Draw a seeded split, the same fraction of each scene, or by whole groups, and write it to a file."""
    from rsir_tf.archives import open_archive, write_split

    opened = open_archive(archive, labels=labels, repair=not labels_as_published)
    drawn = draw(opened, test, test_group, seed, validation)
    write_split(drawn, to)
    held_out = f"{len(drawn.validation):,} to validate on, " if drawn.validation else ""
    console.say(f"{len(drawn.train):,} images to train on, {held_out}{len(drawn.test):,} to test on, by {drawn.by}")
    console.put(str(to))


def draw(
    archive: Archive, test: float, test_groups: list[str] | None, seed: int, validation: float | None = None
) -> Split:
    """By the groups that are named, else by groups where each image has one, else by scene."""
    from rsir_tf.archives import group_split, stratified_split

    if test_groups or all(record.group is not None for record in archive):
        return group_split(archive, test_groups or None, test=test, seed=seed, validation=validation)
    return stratified_split(archive, test, seed, validation=validation)
