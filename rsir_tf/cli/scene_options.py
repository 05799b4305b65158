"""Options that say how scenes are read: cut into windows or not, with which bands and values, on which grid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from rsir_tf.cli import console
from rsir_tf.cli.option_groups import OptionGroup
from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from rsir_tf.rasters import Reading

PANEL = "How scenes are read"
STRETCH = "--stretch"
_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?%")


@dataclass(frozen=True)
class SceneOptions(OptionGroup):
    """How files become images: whole or in windows, which bands, which values, on which grid."""

    tile: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Cut each file into windows with this number of pixels a side, and take each window for an image. "
            "Scenes need it: they are too large to be one image.",
            rich_help_panel=PANEL,
        ),
    ] = None
    overlap: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="With --tile: how many pixels two neighbouring windows share. The default is 0.",
            rich_help_panel=PANEL,
        ),
    ] = None
    min_valid: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="With --tile: leave out windows in which a smaller fraction of the pixels is valid. A pixel is valid "
            "if it is neither nodata nor masked nor transparent. The default is 0.5.",
            rich_help_panel=PANEL,
        ),
    ] = None
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="With --tile and --resolution: let windows begin at multiples of their size in the coordinates of the "
            "scene's reference system, and not at the scene's corner. Scenes of one place from several dates then have "
            "windows that cover the same ground.",
            rich_help_panel=PANEL,
        ),
    ] = False
    resolution: Annotated[
        float | None,
        typer.Option(
            metavar="METRES",
            help="Resample each file to this number of metres a pixel, so that images of several sensors compare.",
            rich_help_panel=PANEL,
        ),
    ] = None
    bands: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="RED GREEN BLUE",
            help="Which bands of each file are red, green and blue, for example 4 3 2. The first band is 1.",
            rich_help_panel=PANEL,
        ),
    ] = None
    stretch: Annotated[
        str | None,
        typer.Option(
            STRETCH,
            metavar="LOW HIGH | P%",
            help="Which values become 0 and 255: one range for all bands (0 3000), three ranges for red, green and "
            "blue (200 3000 250 2800 300 2500), or a percentage (2%). With 2%, the ranges are computed once over the "
            "whole archive so that 2% of each band's values lie below and 2% above, and are printed. Files that hold 8 "
            "bits a band need no stretch.",
            rich_help_panel=PANEL,
        ),
    ] = None
    nodata: Annotated[
        float | None,
        typer.Option(
            metavar="VALUE",
            help="The value of pixels that show nothing, where the files do not say it themselves.",
            rich_help_panel=PANEL,
        ),
    ] = None
    tile_names: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="For web map tiles: how their paths name their place, for example '{z}/{x}/{y}.png' or "
            "'OAM-{x}-{y}-{z}.tif'. They are placed on EPSG:3857.",
            rich_help_panel=PANEL,
        ),
    ] = None

    @property
    def percent(self) -> float | None:
        """The percentage of --stretch; None where it gives ranges, or nothing."""
        found = _PERCENT.fullmatch(self.stretch.strip()) if self.stretch else None
        return None if found is None else float(found[1])

    @property
    def given(self) -> bool:
        """Whether any of these options is on the command line."""
        return self != SceneOptions()

    def reading(self, stretch: Sequence[tuple[float, float]] | None = None) -> Reading:
        """How files are to be read.

        Args:
            stretch: The ranges that the percentage of --stretch means; () leaves it open.

        Raises:
            typer.BadParameter: The options cannot go together, one of them has an impossible value, or --stretch is a
                percentage and `stretch` does not say what it means.
        """
        from rsir_tf.rasters import Reading, Recipe, Tiling

        self._require_together()
        ranges = self._ranges() if stretch is None else tuple(stretch)
        cut: dict[str, Any] = {"overlap": self.overlap, "min_valid": self.min_valid, "grid": self.grid or None}
        try:
            tiling = None
            if self.tile is not None:
                tiling = Tiling(self.tile, **{name: value for name, value in cut.items() if value is not None})
            recipe = Recipe(self.bands, ranges or None, self.nodata, self.resolution)
            return Reading(recipe, tiling, self.tile_names)
        except InputError as error:
            raise typer.BadParameter(str(error)) from error

    def computed(self, files: Sequence[str]) -> Reading:
        """How files are to be read, where what --stretch P% means is computed over them, and told on stderr.

        Raises:
            typer.BadParameter: As for `reading`.
            InputError: The percentage means nothing, because no file has a valid pixel that can be read.
        """
        if self.percent is None:
            return self.reading()
        from rsir_tf.rasters import percentile_stretch

        unread: list[InputError] = []
        with console.progress("computing --stretch") as tell:
            ranges = percentile_stretch(files, self.percent, self.reading(()).recipe, tell, unread.append)
        numbers = " ".join(f"{value:g}" for pair in ranges for value in pair)
        read = len(files) - len(unread)
        these = f"{read:,} of {len(files):,} files" if unread else "this file" if read == 1 else f"these {read:,} files"
        console.say(f"--stretch {self.stretch} of {these} is --stretch {numbers}")
        if unread:
            console.say(
                f"not in it, because it cannot be read: {unread[0]}"
                + (f" (and {len(unread) - 1:,} more)" if unread[1:] else "")
            )
        return self.reading(ranges)

    def _require_together(self) -> None:
        if self.tile is None:
            for name, value in (("overlap", self.overlap), ("min-valid", self.min_valid), ("grid", self.grid or None)):
                if value is not None:
                    raise typer.BadParameter(f"--{name}: is about windows; give --tile PIXELS too")
        if self.grid and self.resolution is None:
            raise typer.BadParameter("--grid: needs windows of one size on the ground; give --resolution METRES too")

        if self.percent is not None and not 0 < self.percent < 50:
            raise typer.BadParameter(f"{STRETCH} {self.stretch}: wanted more than 0% and less than 50%")

    def _ranges(self) -> tuple[tuple[float, float], ...]:
        if self.stretch is None:
            return ()
        if self.percent is not None:
            raise typer.BadParameter(f"{STRETCH} {self.stretch}: is computed over an archive; give the numbers here")
        words = self.stretch.split()
        if not all(map(_is_number, words)) or len(words) not in (2, 6):
            raise typer.BadParameter(
                f"{STRETCH} {self.stretch}: wanted two numbers (0 3000), six numbers (a range each for red, green and "
                "blue), or a percentage (2%)"
            )
        numbers = [float(word) for word in words]
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))


class SceneCommand(TyperCommand):
    """A command whose --stretch takes as many numbers as follow it: two or six."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, with the numbers after --stretch as one value."""
        return super().parse_args(ctx, join_ranges(args))


def join_ranges(arguments: Sequence[str]) -> list[str]:
    """Make one argument of the numbers that follow --stretch: options have a fixed number of values otherwise.

    Six are taken where six follow, otherwise two: a folder that is called 2020 may come next.
    """
    found: list[str] = []
    rest = list(arguments)
    while rest:
        found.append(rest.pop(0))
        if found[-1] == "--":
            return found + rest
        if found[-1] == STRETCH:
            following = len(list(takewhile(_is_number, rest)))
            taken = 6 if following >= 6 else 2 if following >= 2 else 0
            if taken:
                found.append(" ".join(rest[:taken]))
                del rest[:taken]
    return found


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def windows_together(reasons: Mapping[str, str]) -> list[str]:
    """Lines for images with a reason each, such as why they cannot be read.

    Args:
        reasons: By id of the image.

    Returns:
        One line an image; of windows, one line a scene, with how many they are and the first one's reason, and after
        them what is said of the scene itself.
    """
    found: dict[str, list[str]] = {}
    for image in reasons:
        window = re.fullmatch(r"(.+)/-?\d+_-?\d+", image)
        found.setdefault(window[1] if window else image, []).append(image)
    lines = []
    for scene, images in found.items():
        windows = [image for image in images if image != scene] or [scene]
        line = f"{windows[0]}: {reasons[windows[0]]}"
        if len(windows) > 1:
            line = f"{scene}: {len(windows):,} windows, the first is {line}"
        lines.append(line if scene in windows or scene not in reasons else f"{line}; {reasons[scene]}")
    return lines


def notes_together(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Lines for what is worth telling of files, one a note: "a.tif (and 3 more): has RPCs and no transform".

    Args:
        notes: The name of a file, and what is worth telling of it.
    """
    found: dict[str, list[str]] = {}
    for name, note in notes:
        found.setdefault(note, []).append(name)
    return [
        f"{names[0]}{f' (and {len(names) - 1:,} more)' if len(names) > 1 else ''}: {note}"
        for note, names in found.items()
    ]
