"""A query and its hits on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.presentation.badges import draw_badges, largest_regions
from rsir_tf.presentation.drawing import VOID_COLOUR, Colour, blend, outline, scale, scaled_size
from rsir_tf.presentation.scale_bars import Ground, draw_ground
from rsir_tf.presentation.sheets import Tile, sheet

SAME_SCENE: Colour = (34, 139, 68)
OTHER_SCENE: Colour = (200, 44, 52)
QUERY: Colour = (30, 90, 200)

MatchedRegions = tuple[int, int, float]
"""(region of the query, nearest region of the hit, their L2 distance). Regions count from 0, like the rows of ReCNN:
region r has label r + 1."""

_TINT = 0.16


@dataclass(frozen=True, slots=True)
class SheetItem:
    """The query or a hit on a contact sheet.

    Attributes:
        id: The image's id.
        image: uint8 [H, W, 3], RGB.
        segmentation: uint8 [H, W], class indices from 0, 255 for void; None shows the image without outlines.
        labels: int32 [H, W], 0 for no region, otherwise 1..m; None outlines classes instead of regions.
        scene: Its scene class, if known.
        tags: Its true tags, if known.
        rank: From 1; None for the query.
        distance: To the query; None for the query.
        matches: For a hit of ReCNN: its nearest region to each region of the query. Needs the labels of both images.
        remark: A further line below the picture.
        ground: How the image lies on the ground, where its place is known: a scale bar and an arrow to the north are
            drawn.
    """

    id: str
    image: NDArray[np.uint8]
    segmentation: NDArray[np.uint8] | None = None
    labels: NDArray[np.int32] | None = None
    scene: str | None = None
    tags: tuple[str, ...] | None = None
    rank: int | None = None
    distance: float | None = None
    matches: Sequence[MatchedRegions] = ()
    remark: str | None = None
    ground: Ground | None = None


def no_picture(height: int, width: int) -> NDArray[np.uint8]:
    """What is shown in the place of a picture that is not there: grey, crossed out.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    image = np.full((height, width, 3), 224, dtype=np.uint8)
    along = np.linspace(0, 1, 4 * max(height, width))
    rows, columns = (along * (height - 1)).astype(int), (along * (width - 1)).astype(int)
    image[rows, columns] = image[rows, width - 1 - columns] = 160
    return image


def contact_sheet(
    query: SheetItem,
    hits: Sequence[SheetItem],
    *,
    class_names: Sequence[str],
    class_colours: Sequence[Colour],
    title: str | None = None,
    columns: int = 5,
    numbered: int = 6,
    side: int = 256,
) -> NDArray[np.uint8]:
    """Draw the query at the left and its hits in rows beside it.

    Regions have outlines and a light tint in the colours of their classes. The frame of a hit is green if it shows the
    query's scene, and red if it shows another; there is no frame if one of them is not known. The largest regions of
    the query are numbered; each hit has the same numbers on the matching regions, and lists the closest pairs.

    Args:
        query: The query; its regions are numbered only where some hit has matches.
        hits: In ranked order.
        class_names: One name per class.
        class_colours: RGB of each class.
        title: Title of the sheet.
        columns: Number of hits per row.
        numbered: Number of query regions that get a number.
        side: Pixels of a tile's longer side.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        InputError: A segmentation or labels have another size than their image, a class has no name or colour, a match
            names a region that does not exist, or `columns` is below 1.
    """
    if columns < 1:
        raise InputError(f"{columns} columns", wanted="1 or more")
    if len(class_names) != len(class_colours):
        raise InputError(f"{len(class_names)} class names", wanted=f"{len(class_colours)}, one per colour")
    for item in (query, *hits):
        _check_item(item, len(class_names))
    for hit in hits:
        _check_matches(query, hit)
    numbers: dict[int, int] = {}
    if query.labels is not None and any(hit.matches for hit in hits):
        numbers = {label: place for place, label in enumerate(largest_regions(query.labels, numbered), start=1)}

    caption = ["Query", query.id, *_facts(query, class_names)]
    if numbers:
        names = [f"{number} {_class_of(query, label, class_names)}" for label, number in numbers.items()]
        caption.append("regions: " + ", ".join(names))
    own_numbers = {label: (number,) for label, number in numbers.items()}
    query_tile = Tile(_draw(query, own_numbers, class_colours, side), caption, QUERY)
    hit_tiles = [_hit_tile(hit, query, numbers, class_names, class_colours, side) for hit in hits]
    rows: list[list[Tile | None]] = [
        [query_tile if start == 0 else None, *hit_tiles[start : start + columns]]
        for start in range(0, max(len(hit_tiles), 1), columns)
    ]
    present = sorted({int(value) for item in (query, *hits) for value in _classes(item)})
    legend = [(class_names[value], class_colours[value]) for value in present if value < len(class_names)]
    if any(255 in _classes(item) for item in (query, *hits)):
        legend.append(("void", VOID_COLOUR))
    return sheet(rows, title=title, legend=legend, footer=_footer(query, hits, bool(numbers)), side=side)


def _hit_tile(
    hit: SheetItem,
    query: SheetItem,
    numbers: dict[int, int],
    class_names: Sequence[str],
    class_colours: Sequence[Colour],
    side: int,
) -> Tile:
    carried: dict[int, tuple[int, ...]] = {}
    named = sorted(
        (numbers[own + 1], region + 1, distance) for own, region, distance in hit.matches if own + 1 in numbers
    )
    for number, label, _ in named:
        carried[label] = (*carried.get(label, ()), number)
    head = "  ·  ".join(
        part
        for part in (
            f"{hit.rank}" if hit.rank is not None else "",
            f"distance {_figure(hit.distance, 4)}" if hit.distance is not None else "",
        )
        if part
    )
    caption = [head or hit.id, *([hit.id] if head else []), *_facts(hit, class_names)]
    closest = sorted(named, key=lambda match: match[2])[:3]
    if closest:
        caption.append(
            "matches: "
            + ", ".join(f"{n}→{_class_of(hit, label, class_names)} ({_figure(d, 3)})" for n, label, d in closest)
        )
    frame = None
    if hit.scene is not None and query.scene is not None:
        frame = SAME_SCENE if hit.scene == query.scene else OTHER_SCENE
    return Tile(_draw(hit, carried, class_colours, side), caption, frame)


def _draw(
    item: SheetItem, numbers: Mapping[int, tuple[int, ...]], class_colours: Sequence[Colour], side: int
) -> NDArray[np.uint8]:
    """Scale first, so that lines and numbers have the same thickness for images of any size."""
    picture = _draw_regions(item, numbers, class_colours, side)
    if item.ground is None:
        return picture
    return draw_ground(picture, item.ground.scaled(picture.shape[1] / item.image.shape[1]))


def _draw_regions(
    item: SheetItem, numbers: Mapping[int, tuple[int, ...]], class_colours: Sequence[Colour], side: int
) -> NDArray[np.uint8]:
    picture = scale(item.image, side)
    if item.segmentation is None:
        return picture
    height, width = scaled_size(item.image.shape, side)
    rows = (np.arange(height) * item.image.shape[0]) // height
    columns = (np.arange(width) * item.image.shape[1]) // width
    segmentation = item.segmentation[np.ix_(rows, columns)].astype(np.int32)
    labels = segmentation + 1 if item.labels is None else item.labels[np.ix_(rows, columns)]
    table = np.full((256, 3), VOID_COLOUR, dtype=np.uint8)
    table[: len(class_colours)] = class_colours
    colours = np.full((int(labels.max(initial=0)) + 1, 3), VOID_COLOUR, dtype=np.uint8)
    colours[labels] = table[segmentation]
    # Outlines alone do not show which class is on which side, and dark colours are hard to see in shadows.
    tinted = blend(picture, table[segmentation], _TINT)
    drawn = outline(tinted, labels, colours[1:])
    return draw_badges(drawn, labels, numbers) if item.labels is not None else drawn


def _facts(item: SheetItem, class_names: Sequence[str]) -> list[str]:
    """Scene, then the segmentation's classes, most pixels first."""
    lines = [f"scene: {item.scene}"] if item.scene is not None else []
    if item.segmentation is not None:
        areas = np.bincount(item.segmentation[item.segmentation != 255], minlength=len(class_names))
        order = [int(value) for value in np.argsort(-areas, kind="stable") if areas[value]]
        lines.append("shows: " + (", ".join(class_names[value] for value in order) or "nothing"))
    if item.tags is not None:
        lines.append("tags: " + (", ".join(item.tags) or "none"))
    if item.remark is not None:
        lines.append(item.remark)
    return lines


def _figure(value: float, digits: int) -> str:
    """A number with `digits` digits and without an exponent: L1 distances reach tens of thousands."""
    return np.format_float_positional(value, digits, unique=False, fractional=False).rstrip(".")


def _footer(query: SheetItem, hits: Sequence[SheetItem], numbered: bool) -> list[str]:
    parts = []
    if query.scene is not None and any(hit.scene is not None for hit in hits):
        parts.append("Green frame: the query's scene class; red frame: another.")
    if any(item.ground is not None for item in (query, *hits)):
        parts.append("Bars are lengths on the ground, arrows point to the north.")
    if numbered:
        parts.append(
            "Numbers: the query's largest regions, and on each hit the regions nearest to them; "
            '"matches" lists the closest pairs with their distances.'
        )
    return [" ".join(parts)] if parts else []


def _class_of(item: SheetItem, label: int, class_names: Sequence[str]) -> str:
    if item.labels is None or item.segmentation is None:
        return f"region {label}"
    values = item.segmentation[item.labels == label]
    return class_names[int(values[0])] if values.size and values[0] < len(class_names) else f"region {label}"


def _classes(item: SheetItem) -> NDArray[np.uint8]:
    return np.unique(item.segmentation) if item.segmentation is not None else np.zeros(0, dtype=np.uint8)


def _check_item(item: SheetItem, classes: int) -> None:
    for name, array in (("segmentation", item.segmentation), ("labels", item.labels)):
        if array is not None and array.shape != item.image.shape[:2]:
            raise InputError(f"{item.id}: {name} is {list(array.shape)}", wanted=f"{list(item.image.shape[:2])}")
    if item.segmentation is not None:
        found = [int(value) for value in np.unique(item.segmentation) if value != 255]
        if found and found[-1] >= classes:
            raise InputError(f"{item.id}: holds class {found[-1]}", wanted=f"classes below {classes}")


def _check_matches(query: SheetItem, hit: SheetItem) -> None:
    """Refuse matches beyond the labels: these were made with other settings than the index, numbers would be wrong."""
    for item, place in ((query, 0), (hit, 1)):
        if item.labels is not None and hit.matches:
            most = max(int(match[place]) for match in hit.matches)
            if most >= int(item.labels.max(initial=0)):
                raise InputError(
                    f"{hit.id}: matches region {most} of {item.id}",
                    wanted=f"regions below {int(item.labels.max(initial=0))}",
                    cure="make the regions with the index's connectivity and minimum area",
                )
