"""Options that several commands share, declared once; those that name a model are in `connection`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console
from rsir_tf.cli.connection import PANEL
from rsir_tf.cli.option_groups import OptionGroup
from rsir_tf.cli.scene_options import SceneOptions
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.ranking.schemes import SCHEMES

if TYPE_CHECKING:
    from rsir_tf import archives
    from rsir_tf.rasters import Reading


class Connectivity(str, Enum):
    """Which neighbours of a pixel belong to its region."""

    four = "4"
    eight = "8"


class Convention(str, Enum):
    """How conv5_3 is laid over the image's pixels."""

    half_pixel = "half_pixel"
    aligned_corners = "aligned_corners"


class Pooling(str, Enum):
    """How features are pooled over the pixels of a region, and over those of an image."""

    max = "max"
    gem = "gem"
    mean = "mean"
    rmac = "rmac"


class Layer(str, Enum):
    """A layer of the network beside conv5_3."""

    conv4_3 = "conv4_3"


# Text and no path, which would take one of the slashes of https://.
Archive = Annotated[
    str,
    typer.Argument(
        help="A folder of images: UC Merced, DLRSD, MLRSNet, images beside masks, or any folder of images or scenes; "
        "an image file or its URL; or @FILE, a text file that lists scenes, a path or URL in each line."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[
    int, typer.Option(help="The number that random choices depend on. The same seed makes the same choices again.")
]
Resize = Annotated[
    tuple[int, int] | None,
    typer.Option(
        metavar="HEIGHT WIDTH",
        help="Resize each image to this size before the model sees it, so that all images fit into one batch. By "
        "default images keep their size. Distances mean something between images of one size and ground resolution.",
        rich_help_panel=PANEL,
    ),
]
SCHEME_NAMES = "|".join(SCHEMES)
Metric = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The distance between whole images, for recnn+: l1 (the default), l2 or cosine."),
]
Direction = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which regions look for their nearest region in the other image, for recnn. query (the default): those of "
        "the query, as in the paper's Eq. 3. both: the mean of Eq. 3 from the query to the image and from the image to "
        "the query.",
    ),
]
Vectors = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which vectors of regions are compared, for recnn, irm and multiscale. unit: those scaled to length 1, so "
        "that only their direction counts (the default of irm and multiscale). raw: those of the model (the default of "
        "recnn, as in the paper).",
    ),
]
Roots = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]DIR",
        help="Where the indexed archive lies now, if it has been moved. NAME is what --as called it. Repeat the option "
        "for several archives.",
    ),
]
QueryCounts = Annotated[
    bool, typer.Option(help="Rank the query image too, and count it as relevant to itself, as the paper does.")
]


def _known_variant(name: str) -> str:
    from rsir_tf.evaluation import ANMRR_VARIANTS

    if name not in ANMRR_VARIANTS:
        raise typer.BadParameter(f"{name}: wanted one of {', '.join(ANMRR_VARIANTS)}")
    return name


AnmrrVariant = Annotated[
    str,
    typer.Option(
        callback=_known_variant,
        help="The definition of ANMRR: 2ng, 4ng, 2max, mpeg7 or 2ng-k+1. The default reproduces the paper's Table I.",
    ),
]


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Tell what the library refuses in this block as bad usage: the options on the line cannot go together.

    Raises:
        typer.BadParameter: With the library's words.
    """
    try:
        yield
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def parse_roots(roots: list[str] | None) -> dict[str, Path]:
    """Read what --root was given: the folder of each archive, by its name in the index; "" is the first one's."""
    found = {}
    for text in roots or []:
        name, equals, folder = text.partition("=")
        named = bool(equals and re.fullmatch(r"[\w.-]+", name)) and not Path(text).is_dir()
        found[name if named else ""] = Path(folder if named else text)
    return found


@dataclass(frozen=True)
class Annotations(OptionGroup):
    """What is known about an archive's images beside their pixels."""

    labels: Annotated[
        str | None,
        typer.Option(help="What the mask values mean: 'dlrsd', 'dubai', or a label set file (TOML, YAML or JSON)."),
    ] = None
    tags: Annotated[
        Path | None,
        typer.Option(help="A tags file in the format of UC Merced's, to use instead of one that lies in the archive."),
    ] = None
    image_files: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="GLOB",
            help="Which files are images: a pattern of paths below the folder, such as 'train/*/rgb/*.tif'. By "
            "default, the names of folders and files tell images from masks.",
        ),
    ] = None
    mask_files: Annotated[
        str | None,
        typer.Option(
            "--masks",
            metavar="GLOB",
            help="Which files are masks, together with --images. The wildcards of the two patterns stand for the same "
            "text in an image and its mask.",
        ),
    ] = None
    labels_as_published: Annotated[
        bool,
        typer.Option(
            "--labels-as-published",
            help="Leave MLRSNet's published labels as they are. By default, errors are repaired.",
        ),
    ] = False

    def open(
        self,
        path: str | Path,
        scenes: SceneOptions | None = None,
        *,
        known: Reading | None = None,
        need_labels: bool = False,
        tell: bool = True,
        strict: bool = False,
        polygons: archives.PolygonOptions | None = None,
    ) -> archives.Archive:
        """Open the archive at a path.

        Args:
            path: A folder, an image file, a URL, or @FILE.
            scenes: How files become images.
            known: How they did when these options were given before: where --stretch is a percentage, the numbers that
                it meant then are taken again.
            need_labels: Whether masks are refused whose meaning nothing tells: for training and checking.
            tell: Whether what is left out of the archive, and what is odd about labels of scenes, is told on stderr.
            strict: Whether a scene that cannot be read is refused. Otherwise it is left out.
            polygons: Files of polygons that take the place of masks.

        Raises:
            InputError: See `rsir_tf.open_archive`.
        """
        from rsir_tf.archives import open_archive
        from rsir_tf.archives.listing import SYSTEM_FOLDER

        reading = None if scenes is None else self._reading(path, scenes, known)
        with console.progress("opening") as progress:
            opened = open_archive(
                path,
                labels=self.labels,
                tags=self.tags,
                repair=not self.labels_as_published,
                images=self.image_files,
                masks=self.mask_files,
                need_labels=need_labels,
                reading=reading,
                strict=strict,
                progress=progress,
                polygons=polygons,
            )
        odd = [left for left in opened.left_out if left.why != SYSTEM_FOLDER]
        if tell and odd:
            console.say(f"left out {odd[0].path}: {odd[0].why}")
            if len(odd) > 1:
                console.say(f"left out {len(odd) - 1:,} more: `rsir-tf check` lists them")
        if tell and (polygons is not None or (opened.label_set is not None and opened.reading.to_json())):
            for remark in opened.remarks:
                console.say(remark)
        return opened

    def _reading(self, path: str | Path, scenes: SceneOptions, known: Reading | None) -> Reading:
        """How an archive's files become images; what --stretch P% means is computed over them, unless it is known."""
        if scenes.percent is None:
            return scenes.reading()
        if known is not None and known.recipe.stretch is not None:
            again = scenes.reading(known.recipe.stretch)
            if again == known:
                return again
        from rsir_tf.archives import files_of

        return scenes.computed(files_of(path, images=self.image_files, masks=self.mask_files))


def require_other(source: str | Path, target: Path) -> None:
    """Refuse to replace what a command reads by what it writes, even by force.

    Raises:
        ArtifactError: They are the same file.
    """
    if target.exists() and os.path.exists(source) and target.samefile(source):  # A URL may be no path at all.
        raise ArtifactError(f"{target}: is the source itself", cure="choose another name or folder")
