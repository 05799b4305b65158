"""Options of `rsir-tf query` about several examples and about what hits show; both can stand without a query image."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli.option_groups import OptionGroup

if TYPE_CHECKING:
    from rsir_tf.ranking import Index

EXAMPLES = "Several examples"
CONTENT = "What hits show"


class Method(str, Enum):
    """How several examples ask together."""

    rocchio = "rocchio"
    classifier = "classifier"


@dataclass(frozen=True)
class ExampleOptions(OptionGroup):
    """Marked images of the index, and whether several query images ask together."""

    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="An image of the index that hits shall be like, beside the query image or without one; no model is "
            "needed then. Repeat the option for several images.",
            rich_help_panel=EXAMPLES,
        ),
    ] = None
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="An image of the index that hits shall be unlike. It is no hit. Repeat the option for several images.",
            rich_help_panel=EXAMPLES,
        ),
    ] = None
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Ask once with all query images together, instead of once with each of them.",
            rich_help_panel=EXAMPLES,
        ),
    ] = False
    method: Annotated[
        Method,
        typer.Option(
            help="How several examples ask together. rocchio: by the mean distance to those that hits shall be like, "
            "against the mean distance to the others. classifier: by logistic regression on the distances to all "
            "examples, with a sample of the index beside those that hits shall be unlike. With both, the default of "
            "--metric is cosine.",
            rich_help_panel=EXAMPLES,
        ),
    ] = Method.rocchio

    @property
    def several(self) -> bool:
        """Whether more than one image asks each time."""
        return bool(self.together or self.like or self.unlike)

    @property
    def arguments(self) -> dict[str, Any]:
        """As `query_image` takes them."""
        return {"likes": self.like or (), "unlikes": self.unlike or (), "method": self.method.value}


@dataclass(frozen=True)
class ContentOptions(OptionGroup):
    """The classes that hits have to show."""

    shows: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS[,CLASS]",
            help="Print only images whose segmentation shows these classes, all of them. Without a query image, those "
            "come first that show most of the class that covers least; no model is needed then. Repeat the option, or "
            "separate names by commas; a name that contains a comma stands in double quotes.",
            rich_help_panel=CONTENT,
        ),
    ] = None
    share: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS:SHARE",
            help="Like --shows, but the class covers at least this share of an image, from 0 to 1: dock:0.05. Repeat "
            "the option for several classes.",
            rich_help_panel=CONTENT,
        ),
    ] = None

    @property
    def any(self) -> bool:
        """Whether there is any such class."""
        return bool(self.shows or self.share)

    def classes(self, index: Index) -> dict[str, float]:
        """Name of each class → its least share of the area, 0 where none is named.

        Args:
            index: Which says what its classes are called.

        Raises:
            typer.BadParameter: A share is no number.
        """
        known = index.settings.class_names

        def names(text: str) -> list[str]:
            return [text] if text in known else next(csv.reader([text], skipinitialspace=True), [])

        wanted = dict.fromkeys((name.strip() for text in self.shows or () for name in names(text) if name.strip()), 0.0)
        for text in self.share or ():
            classes, _, number = text.rpartition(":")
            try:
                (name,) = names(classes)
                wanted[name.strip()] = float(number)
            except ValueError as error:
                raise typer.BadParameter(f"--share {text}: wanted CLASS:SHARE, such as dock:0.05") from error
        return wanted
