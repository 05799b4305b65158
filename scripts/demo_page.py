"""Writes the page of scripts/demo: the commands, what they printed, and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rsir_tf.archives import open_archive, read_mask
from rsir_tf.artifacts import read_json
from rsir_tf.presentation import Output, Picture, Section, Table, Tile, colour_map, save_png, sheet, write_page

COLUMNS = 5
"""Scenes in a row of the archive's sheet."""


class Steps:
    """What scripts/demo has recorded of each command."""

    def __init__(self, log: Path) -> None:
        self.commands = {file.stem: file.read_text(encoding="utf-8").strip() for file in sorted(log.glob("*.command"))}
        self.log = log

    def outputs(self, name: str) -> list[Output]:
        """All runs of one command with their output."""
        return [
            Output(command, (self.log / f"{stem}.txt").read_text(encoding="utf-8"))
            for stem, command in self.commands.items()
            if command.split()[1] == name
        ]

    def times(self) -> Iterator[tuple[str, int]]:
        """The first words of each command, and how many seconds it took."""
        for stem, command in self.commands.items():
            yield " ".join(command.split()[:3]), int((self.log / f"{stem}.seconds").read_text())


def archive_sheet(archive: Path, to: Path) -> Path:
    """Draw the first image of each scene, and its pixel labels below it."""
    opened = open_archive(archive)
    labels = opened.label_set
    first = {record.scene: record for record in reversed(opened.records)}
    scenes = sorted(scene for scene in first if scene is not None)
    rows: list[list[Tile | None]] = []
    for start in range(0, len(scenes), COLUMNS):
        records = [first[scene] for scene in scenes[start : start + COLUMNS]]
        images = [record.source.read() for record in records]
        rows.append([Tile(image, (record.scene or "",)) for record, image in zip(records, images, strict=True)])
        if labels is not None:
            masks = [read_mask(record.mask, labels) for record in records if record.mask is not None]
            rows.append([Tile(colour_map(mask, labels.colours), smooth=False) for mask in masks])
    legend = list(zip(labels.names, labels.colours, strict=True)) if labels is not None else []
    save_png(to, sheet(rows, legend=legend, side=160))
    return to


def figures(report: Path) -> Table:
    """Retrieval figures in the form of the paper's Table I."""
    content = read_json(report / "report.json")
    cuts = [name for name in next(iter(content["schemes"].values())) if name.startswith("p_at_")]
    nan = float("nan")
    rows: list[list[str | float]] = [
        [name, *(nan if found[key] is None else found[key] for key in ("anmrr", "map", *cuts))]
        for name, found in content["schemes"].items()
    ]
    header = ["descriptor", "ANMRR (lower is better)", "mAP", *(f"P@{name.removeprefix('p_at_')}" for name in cuts)]
    return Table(header, rows, f"{content['queries']} queries among {content['archive']} images, relevant: same scene")


def started_from(folder: Path) -> str:
    """Which weights the network started from, and what that means for the figures."""
    weights = read_json(folder / "run" / "manifest.json")["settings"]["weights"]
    images = len(read_json(folder / "split.json")["train"])
    if weights == "none":
        return (
            f"The network started from random weights and learned from {images} small images for a few minutes. This "
            "page shows how the parts work together; its figures are modest. They are far better where the network "
            "starts from VGG-16's ImageNet weights."
        )
    return (
        f"The network started from VGG-16's ImageNet weights, {weights}, and learned from {images} small images for a "
        "few minutes."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, required=True, help="How many seconds everything took.")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    steps = Steps(folder / "log")
    scores = read_json(folder / "run" / "report" / "scores.json")
    trained = [[key.replace("_", " "), scores[key]] for key in ("pixel_accuracy", "mean_accuracy", "mean_iu")]
    montages = {file.stem: file for file in sorted((folder / "pictures").glob("*-recnn*.png"))}
    queries: list[str | Picture | Output] = []
    for output in steps.outputs("query"):
        queries.append(output)
        queries += [
            Picture(file, f"query and hits: {name}")
            for name, file in montages.items()
            if f"/{name}.png" in (output.command or "")
        ]
    sections = [
        Section(
            "1. An archive with pixel labels",
            [
                *steps.outputs("synth"),
                Picture(archive_sheet(folder / "archive", folder / "pictures" / "archive.png"), "one image a scene"),
                *steps.outputs("check"),
                *steps.outputs("split"),
            ],
        ),
        Section(
            "2. A network that segments",
            [
                *steps.outputs("train"),
                Picture(folder / "run/report/curves.png", "training loss and validation scores"),
                Table(["on whole test images", "score"], trained),
                Picture(folder / "run/report/examples.png", "image, prediction, truth", "Image, prediction, truth"),
            ],
        ),
        Section(
            "3. A server that answers",
            [
                *steps.outputs("export"),
                Output("rsir-tf serve saved_models/fcn8s &", (folder / "log/server.txt").read_text(encoding="utf-8")),
                *steps.outputs("info")[:1],
            ],
        ),
        Section("4. An index, over gRPC", [*steps.outputs("index"), *steps.outputs("info")[1:]]),
        Section("5. Queries", queries),
        Section(
            "6. How good the rankings are",
            [
                *steps.outputs("evaluate"),
                figures(folder / "report"),
                Picture(folder / "report/precision_recall.png", "interpolated precision at recall 0 to 1"),
                Picture(folder / "report/scenes.png", "ANMRR of each scene"),
            ],
        ),
        Section("How long it took", [Table(["command", "seconds"], [list(row) for row in steps.times()])]),
    ]
    lead = (
        "Each command of rsir_tf was run once, on an archive that rsir_tf rendered itself. "
        f"{started_from(folder)} Everything together took {arguments.seconds} seconds."
    )
    write_page(folder / "index.html", "rsir_tf: which images show what this image shows?", sections, lead=lead)


if __name__ == "__main__":
    main()
