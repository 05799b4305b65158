"""What `rsir-tf query` prints and draws of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from rsir_tf import __version__
from rsir_tf.cli import console, options
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation.tables import Table, console_table, visible
from rsir_tf.wording import counted, without_keys

if TYPE_CHECKING:
    from rsir_tf.cli.example_options import ExampleOptions
    from rsir_tf.cli.heatmap import Heatmap
    from rsir_tf.cli.query_options import MapFiles, SceneParts
    from rsir_tf.contract import Model
    from rsir_tf.presentation.maps.geojson import Feature
    from rsir_tf.ranking import Index
    from rsir_tf.rasters import Source
    from rsir_tf.workflows import QueryResult, RankedHits
    from rsir_tf.workflows.proposing import Proposed

Result = TypeVar("Result", bound="RankedHits")

NO_PLACE = "nothing says where on Earth they lie"

PLACES = "index georeferenced images or web tiles; `rsir-tf info` says how many images have a place"

NO_OTHER_DATE = (
    "no image of another scene shows at least half of this ground (those of --grid begin at the same places)"
)

MOVED = "if the archive has been moved, name its folder by --root, or index it again"


def check_targets(files: Sequence[str], montage: Path | None, maps: MapFiles, heat: Heatmap, *, force: bool) -> None:
    """Refuse files that must not be written over, before the work.

    Args:
        files: The query images.
        montage: A picture to write.
        maps: Other files to write.
        heat: A scene and its map to write.
        force: Whether other files may be replaced.

    Raises:
        typer.BadParameter: A file has an ending of another format, or there is no file for the matched regions.
        ArtifactError: A file is in the way, or is one that the command reads.
    """
    written = [montage, maps.geojson, maps.geoparquet, *heat.files]
    for source in [*files, *([] if heat.heatmap is None else [heat.heatmap])]:
        for target in written:
            if target is not None:
                options.require_other(source, target)
    if maps.matched_regions and not maps.any:
        raise typer.BadParameter("--matched-regions: needs a file for them, --geojson or --geoparquet")
    with options.usage_errors():
        if montage is not None:
            from rsir_tf.presentation.picture_files import check_picture_target

            check_picture_target(montage, force=force)
        if maps.any:
            from rsir_tf.presentation.maps.targets import check_geojson_target, check_parquet_target

            for path, check in ((maps.geojson, check_geojson_target), (maps.geoparquet, check_parquet_target)):
                if path is not None:
                    check(path, force=force)


def answer(result: RankedHits, json: bool, one_line: bool, paths: bool, changes: bool) -> None:
    """Print the answer to one image.

    Args:
        result: From `query_image`.
        json: Whether to print JSON.
        one_line: Whether in one line.
        paths: Whether the table has a column of paths.
        changes: Whether a second table says how much each region has changed.
    """
    if json:
        console.put_json(result.to_json(), one_line=one_line)
    else:
        console.put(tables(result, paths, changes))
    tell_problems(result, changes)


def answer_all(
    results: Iterator[QueryResult],
    json: bool,
    jsonl: bool,
    paths: bool,
    changes: bool,
    refused: Callable[[], int],
    total: int,
) -> None:
    """Print the answers to several images as they are found; what was found before an error is not lost to it.

    Args:
        results: From `query_images`.
        json: Whether to print an array of all at the end.
        jsonl: Whether to print a line of JSON for each.
        paths: As for `answer`.
        changes: As for `answer`.
        refused: Says how many images could not be asked with so far.
        total: How many images there are.
    """
    found: list[dict[str, Any]] = []
    try:
        with console.progress("asking") as tell:
            for done, result in enumerate(results, start=1):
                if json:
                    found.append(result.to_json())
                elif jsonl:
                    console.put_json(result.to_json(), one_line=True)
                else:
                    console.put(f"{visible(result.query)}\n{tables(result, paths, changes)}\n")
                tell_problems(result, changes)
                tell(done + refused(), total, Path(result.query).name)
    finally:
        if json:
            console.put_json(found)


def draw(montage: Path, force: bool, result: QueryResult, index: Index, model: Model) -> None:
    """Draw an image and its hits into a file; hits whose pictures are missing are named."""
    from rsir_tf.archives.label_files import class_colours
    from rsir_tf.presentation.picture_files import check_picture_target, save_picture
    from rsir_tf.workflows import draw_query

    missing: dict[str, str] = {}
    colours = class_colours(index.settings.class_names)
    drawn = draw_query(result, index, model, colours=colours, missing=missing.__setitem__)
    check_picture_target(montage, force=force)  # Again: something may have come there meanwhile.
    save_picture(montage, drawn)
    console.say(f"wrote {montage}")
    for image, why in missing.items():
        console.say(f"not drawn: {image}: {why}")
    if missing and len(missing) == len(result.hits):
        raise ArtifactError(f"{montage}: shows none of the hits: their pictures are missing", cure=MOVED)


class Maps:
    """What queries found, collected for the files that the options name.

    Args:
        files: The options.
        index: That is asked.
        model: That is asked; None where none is, and no matched regions are wanted.
    """

    def __init__(self, files: MapFiles, index: Index, model: Model | None) -> None:
        self._files = files
        self._index = index
        self._model = model
        self._features: list[Feature] = []
        self._missing: dict[str, str] = {}
        self._queries: list[str] = []
        self._scheme = ""

    def noting(self, results: Iterable[Result]) -> Iterator[Result]:
        """Let results pass, and keep what maps show of them."""
        for result in results:
            yield result
            if self._files.any:
                self._note(result)

    def _note(self, result: RankedHits) -> None:
        from rsir_tf.workflows.query_maps import hit_features, region_features

        self._queries.append(result.query)
        self._scheme = result.scheme
        if not self._files.matched_regions:
            self._features += hit_features(result, self._missing.__setitem__)
            return
        if result.hits and not any(hit.matches for hit in result.hits):
            raise InputError(f"--matched-regions: scheme {result.scheme} matches no regions", wanted="scheme recnn")
        assert self._model is not None
        self._features += region_features(result, self._index, self._model, self._missing.__setitem__)

    def write_all(self, results: Iterable[RankedHits]) -> None:
        """Write the files of these results; see `write`."""
        for _ in self.noting(results):
            pass
        self.write()

    def write(self) -> None:
        """Write the files.

        Raises:
            InputError: There are hits, and none of them can be put on a map.
            ArtifactError: A file cannot be written.
        """
        from rsir_tf.presentation.maps.geojson import write_geojson
        from rsir_tf.presentation.maps.geoparquet import write_geoparquet
        from rsir_tf.workflows.query_maps import table_fields

        for image, why in list(self._missing.items())[:1]:
            console.say(f"not on the map: {image}: {why}" + _more(len(self._missing) - 1))
        if self._missing and not self._features:
            raise InputError(
                f"{self._index.path}: none of the {len(self._missing)} hits can be put on a map", cure=PLACES
            )
        about = {
            "made_by": f"rsir_tf {__version__}",
            "model_id": self._index.settings.model_id,
            "scheme": self._scheme,
            "queries": len(self._queries),
        }
        if self._files.geojson is not None:
            write_geojson(self._files.geojson, self._features, about)
            console.say(f"wrote {self._files.geojson}")
        if self._files.geoparquet is not None:
            fields = table_fields(matched_regions=self._files.matched_regions)
            write_geoparquet(self._files.geoparquet, self._features, fields, about)
            console.say(f"wrote {self._files.geoparquet}")


def indexed_image(index: Index, parts: SceneParts, examples: ExampleOptions) -> Source:
    """The image of an index that shows a place, or the first marked one, to search with; it is named on stderr."""
    from rsir_tf.rasters import open_source
    from rsir_tf.workflows.footprints import image_at

    if parts.lonlat is None:
        return open_source(index.address_of(index.row_of((examples.like or [""])[0])))
    if parts.tile is not None:
        raise typer.BadParameter("--tile: is for a window of an image; name the image too")
    row = image_at(index, *parts.lonlat)
    console.say(f"searching with {index.images.ids[row]}")
    return open_source(index.address_of(row))


def tell_problems(result: RankedHits, same_place: bool = False) -> None:
    """Say on stderr what is not as it may seem, and that there is no hit where there is none.

    How many hits have no picture any more, or another one than was indexed, and how many images could be no hits
    because they have no place.
    """
    for remark in result.remarks:
        console.say(remark)
    if result.without_place:
        console.say(f"left out {counted(result.without_place, 'image')} of the index, of which {NO_PLACE}")
    if result.proposed is not None and not result.exact:
        console.say(f"only images that {result.proposed.address} proposed were searched{_recall(result.proposed)}")
    if result.never_shown:
        console.say(f"no image of the index shows {' or '.join(result.never_shown)}")
    elif not result.hits:
        shown = f"shows {' and '.join(result.shows)}" if result.shows else "is"
        console.say(NO_OTHER_DATE if same_place else f"no image of the index {shown} within the limits of this query")
    problems = [picture for picture in result.pictures if picture.problem is not None]
    if problems:
        first = f"{without_keys(problems[0].path)}: {problems[0].problem}"
        console.say(f"{len(problems)} of {len(result.hits)} hits are not what was indexed ({first}); {MOVED}")


def tables(result: RankedHits, paths: bool, changes: bool) -> str:
    """The hits as a table, and what has changed as another one; see `answer`."""
    from rsir_tf.workflows import QueryResult

    if changes and isinstance(result, QueryResult) and any(hit.matches for hit in result.hits):
        return f"{table(result, paths)}\n\n{change_table(result)}"
    return table(result, paths)


def table(result: RankedHits, paths: bool) -> str:
    """The hits as a table."""
    header, right = ["rank", "distance", "id"], tuple(range(2))
    rows = [[f"{rank}", f"{hit.distance:.4f}", hit.id] for rank, hit in enumerate(result.hits, start=1)]
    if result.shows:
        header += [f"share of {name}" for name in result.shows]
        right = (*right, *range(3, 3 + len(result.shows)))
        rows = [[*row, *(f"{share:.4f}" for share in shares)] for row, shares in zip(rows, result.shares, strict=True)]
    if any(tags for _, tags in result.facts):
        header.append("tags")
        rows = [[*row, ", ".join(tags or ())] for row, (_, tags) in zip(rows, result.facts, strict=True)]
    if paths:
        header.append("path")
        rows = [[*row, without_keys(picture.path)] for row, picture in zip(rows, result.pictures, strict=True)]
    if any(picture.problem for picture in result.pictures):
        header.append("problem")
        rows = [[*row, picture.problem or ""] for row, picture in zip(rows, result.pictures, strict=True)]
    return "\n".join(console_table(Table(header, rows, right=right)))


def change_table(result: QueryResult) -> str:
    """How much each region of the query differs from the nearest one in each hit: what has changed comes first."""
    rows = [
        [
            f"{match.distance:.4f}",
            f"{match.query_region}",
            result.class_names[result.regions.classes[match.query_region]],
            f"{int(result.regions.areas[match.query_region])}",
            result.class_names[match.class_index],
            hit.id,
        ]
        for hit in result.hits
        for match in sorted(hit.matches, key=lambda match: -match.distance)
    ]
    header = ["change", "region", "class", "pixels", "nearest there", "id"]
    return "\n".join(console_table(Table(header, rows, right=(0, 1, 3))))


def _recall(proposed: Proposed) -> str:
    if proposed.recall is None:
        return "; how many of the nearest are among them was not measured for such a query"
    return f"; of the exact first 10, {proposed.recall:.2%} are among {proposed.recall_top:,} proposed ones"


def _more(count: int) -> str:
    return f" (and {count:,} more)" if count else ""
