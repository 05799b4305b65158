"""`rsir-tf info`: what a path or a server is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.connection import Connection
from rsir_tf.cli.option_groups import Without
from rsir_tf.errors import ArtifactError

if TYPE_CHECKING:
    from rsir_tf.index import Problem

NAME = "info"
NAME_SHOWN = 60

PATIENT = Connection(timeout=20.0)
"""What the model options stand at: nobody waits five minutes to hear that there is no server."""


def command(
    what: Annotated[
        str,
        typer.Argument(help="The path of a run, an export, an index, a split or a report; or the address of a server."),
    ],
    *,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Read every byte of an index and name what is damaged. The exit code is 1 if something is."
        ),
    ] = False,
    list_ids: Annotated[
        bool,
        typer.Option(
            "--list",
            help="Print the ids of an index's images, one in each line. With --json, also the box of each image that "
            "has a place: west, south, east and north in degrees.",
        ),
    ] = False,
    connection: Annotated[
        Connection, Without("server", "saved_model", "version", "version_label", "batch_size")
    ] = PATIENT,
    json: options.Json = False,
) -> None:
    """Describe what lies at a path, or the model that a server holds."""
    if Path(what).exists():
        problems = _verify(Path(what)) if verify else []
        content: dict[str, Any] = {"path": what, "kind": "rsir_tf.index"} if problems else _path(Path(what))
        if verify:
            content["damaged"] = [dataclasses.asdict(problem) for problem in problems]
        if list_ids:
            content |= _listed(Path(what))
    elif verify or list_ids:
        raise ArtifactError(f"{what}: no such folder", wanted="an index")
    else:
        content = _server(what, connection)
    if json:
        console.put_json(content)
    elif list_ids:
        if content["ids"]:
            console.put("\n".join(content["ids"]))
    else:
        console.put("\n".join(_lines(content)))
    if damaged := content.get("damaged"):
        raise ArtifactError(f"{what}: damaged files: {len(damaged)}", cure=damaged[0]["cure"])


def _verify(path: Path) -> list[Problem]:
    from rsir_tf.index import verify_index

    with console.progress("verifying") as tell:
        return verify_index(path, progress=tell)


def _listed(path: Path) -> dict[str, Any]:
    from rsir_tf.index import StoredIndex
    from rsir_tf.workflows.index_places import image_boxes

    index = StoredIndex.open(path)
    boxes = image_boxes(index)
    return {"ids": list(index.images.ids), **({"boxes": boxes} if any(boxes) else {})}


def _server(address: str, connection: Connection) -> dict[str, Any]:
    if ":" not in address:
        raise ArtifactError(f"{address}: no such file or folder", wanted="a path, or HOST:PORT of a server")
    return {"kind": "server", **dataclasses.asdict(connection.inspect(address))}


def _path(path: Path) -> dict[str, Any]:
    from rsir_tf.artifacts import MANIFEST, REPORT, read_json
    from rsir_tf.serving.exports import list_versions, readable

    with readable(path):
        versions = list_versions(path) if path.is_dir() else []
    for name in ("assets.extra/model_card.json", MANIFEST, REPORT):
        if (path / name).is_file():
            return _known(path, read_json(path / name))
    if versions:
        return {"kind": "model", "path": str(path), "versions": versions, "newest": _path(path / str(versions[-1]))}
    if path.is_file() and path.suffix == ".json":
        return _known(path, read_json(path))
    raise ArtifactError(f"{path}: is not a run, an export, an index, a split or a report")


def _known(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or not str(content.get("kind", "")).startswith("rsir_tf."):
        raise ArtifactError(f"{path}: was not written by rsir_tf")
    found = {"path": str(path), **content}
    if content["kind"] == "rsir_tf.index":
        from rsir_tf.ranking import open_index
        from rsir_tf.workflows.index_places import describe_places, describe_scenes

        index = open_index(path)
        found["images"] = len(index)
        found["regions"] = int(index.images.region_counts.sum())
        found["skipped"] = len(index.skipped)
        if any(reading.to_json() for reading in index.readings.values()):
            found["readings"] = {name or "(first)": reading.describe() for name, reading in index.readings.items()}
        found |= {"scenes": describe_scenes(index), "places": describe_places(index)}
        found = {name: value for name, value in found.items() if value or name not in ("scenes", "places")}
    return found


def _lines(content: Any, indent: int = 0) -> list[str]:
    """Nested values as indented lines; long lists are cut."""
    from rsir_tf.presentation.tables import visible

    lines = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            lines += [f"{'  ' * indent}{key}", *_lines(value, indent + 1)]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            lines.append(f"{'  ' * indent}{key}")
            for entry in value:
                items = ((name, item) for name, item in entry.items() if item != "" and not isinstance(item, dict))
                shown = [f"{name} {_text(item)}" for name, item in items]
                lines.append("  " * (indent + 1) + "  ".join(shown))
        else:
            text = _text(value)
            name = key if len(key) <= NAME_SHOWN else f"{key[:NAME_SHOWN]}…"  # A reference system as WKT is long.
            lines.append(f"{'  ' * indent}{name:16} {text[:160]}{'…' if len(text) > 160 else ''}")
    return [visible(line) for line in lines]


def _text(value: Any) -> str:
    """A value in words; a dash for nothing."""
    if isinstance(value, list | tuple):
        value = ", ".join(map(_text, value))
    if value is None or value in ("", {}):
        return "–"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
