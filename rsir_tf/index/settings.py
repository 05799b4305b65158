"""The settings of an index: everything that changes a descriptor, so that only comparable ones are compared."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any

from rsir_tf.contract import CONV5_3, FURTHER_LAYERS
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.rasters import MAX_PIXELS, MIN_SIDE

CONNECTIVITIES = (4, 8)
CONVENTIONS = ("half_pixel", "aligned_corners")
DTYPES = ("float32", "float16")
POOLINGS = ("max", "gem", "mean", "rmac")


_LATER = ("resize", "pooling", "layers")
"""Settings that manifests did not have at first: they are left out where they have the value that all had then."""


@dataclass(frozen=True)
class IndexSettings:
    """Everything that two descriptors must have in common for a meaningful distance.

    Attributes:
        model_id: Identity of the model that made the descriptors.
        class_names: One per class index.
        connectivity: 4 or 8: which neighbours of a pixel belong to its region.
        min_area: Smallest region that was kept, in pixels; 0 keeps all, as the paper does.
        convention: Bilinear upsampling of conv5_3, "half_pixel" or "aligned_corners".
        dtype: Number type of the stored vectors, "float32" or "float16".
        channels: Length of one vector; 512 for conv5_3.
        resize: (height, width) in pixels to which images were resized for the model; None for their own size.
        pooling: How features were pooled over regions and images: "max" (the paper's), "gem" (generalised mean with
            p = 3), "mean" or "rmac" (regional maxima).
        layers: The layers of which vectors are kept: "conv5_3", and after it any of `contract.FURTHER_LAYERS`.

    Raises:
        InputError: No index can have such a value.
    """

    model_id: str
    class_names: tuple[str, ...]
    connectivity: int = 8
    min_area: int = 0
    convention: str = "half_pixel"
    dtype: str = "float32"
    channels: int = 512
    resize: tuple[int, int] | None = None
    pooling: str = "max"
    layers: tuple[str, ...] = (CONV5_3,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if not isinstance(self.model_id, str) or not self.model_id:
            raise InputError(f"model_id is {self.model_id!r}", wanted="the model's identity, a non-empty text")
        if not self.class_names or not all(isinstance(name, str) for name in self.class_names):
            raise InputError(f"class_names is {self.class_names!r}", wanted="at least one class name")
        _require_one_of("connectivity", self.connectivity, CONNECTIVITIES)
        _require_one_of("convention", self.convention, CONVENTIONS)
        _require_one_of("dtype", self.dtype, DTYPES)
        _require_one_of("pooling", self.pooling, POOLINGS)
        object.__setattr__(self, "layers", tuple(self.layers))
        first, further = self.layers[:1], self.layers[1:]
        if first != (CONV5_3,) or len(set(further)) < len(further) or not set(further) <= set(FURTHER_LAYERS):
            raise InputError(
                f"layers is {self.layers!r}", wanted=f"{CONV5_3}, and after it any of {', '.join(FURTHER_LAYERS)}"
            )
        _require_count("min_area", self.min_area, smallest=0)
        _require_count("channels", self.channels, smallest=1)
        if self.resize is not None:
            object.__setattr__(self, "resize", _require_size("resize", self.resize))

    @property
    def further_layers(self) -> tuple[str, ...]:
        """The layers beside conv5_3."""
        return self.layers[1:]

    @property
    def further_vectors(self) -> tuple[tuple[str, str], ...]:
        """The names of vectors of further layers: for each, that of the regions' vectors and that of the image's."""
        return tuple(vector_names(layer) for layer in self.further_layers)

    def require_equal(
        self,
        other: IndexSettings,
        *,
        ignore: Collection[str] = (),
        whose: str = "the other",
        cure: str = "use the same model and options, or make another index",
    ) -> None:
        """Refuse descriptors that were made with other settings.

        Args:
            other: The settings of a model, a query or another index.
            ignore: Names of attributes that need not agree; a query, for example, has no `dtype`.
            whose: The owner of `other` in the error text, for example "the query".
            cure: What the error text says to do.

        Raises:
            MismatchError: An attribute differs; the text names both values.
        """
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name not in ignore and mine != theirs:
                found, wanted = _describe_difference(field.name, theirs, mine)
                raise MismatchError(
                    f"{whose} has {found}",
                    wanted=f"{wanted}, with which the index was made",
                    cure=cure,
                )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON types, for the manifest."""
        content = {**asdict(self), "class_names": list(self.class_names), "resize": list(self.resize or ())}
        content["layers"] = list(self.layers)
        # As in manifests from before these settings existed.
        plain = {name for name in _LATER if getattr(self, name) == getattr(type(self), name)}
        return {name: value for name, value in content.items() if name not in plain}

    @classmethod
    def from_json(cls, content: Any, where: str) -> IndexSettings:
        """Read the result of `to_json`.

        Args:
            content: The parsed JSON.
            where: The file, for the error text.

        Raises:
            ArtifactError: An entry is missing, unknown, or has an impossible value.
        """
        names = {field.name for field in fields(cls)}
        if (
            not isinstance(content, dict)
            or {*content, *_LATER} != names
            or not isinstance(content["class_names"], list)
        ):
            raise ArtifactError(
                f"{where}: its settings are {content!r}", wanted=f"the entries {', '.join(sorted(names))}"
            )
        try:
            return cls(**content)
        except InputError as error:
            raise ArtifactError(f"{where}: {error.found}", wanted=error.wanted) from error


def vector_names(layer: str) -> tuple[str, str]:
    """What the vectors of a further layer are called: those of regions, and that of an image."""
    return f"recnn_{layer}", f"recnn_plus_{layer}"


def _describe_difference(name: str, theirs: Any, mine: Any) -> tuple[str, str]:
    if name == "layers":
        return f"vectors of {' and '.join(theirs)}", f"{' and '.join(mine)}"
    if name != "class_names":
        return f"{name} {theirs!r}", f"{mine!r}"
    if len(theirs) != len(mine):
        return f"{len(theirs)} classes", f"{len(mine)} classes"
    index = next(index for index, pair in enumerate(zip(theirs, mine, strict=True)) if pair[0] != pair[1])
    return f"class {index} named {theirs[index]!r}", f"{mine[index]!r}"


def _require_one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if isinstance(value, bool) or value not in allowed:
        raise InputError(f"{name} is {value!r}", wanted=" or ".join(map(repr, allowed)))


def _require_size(name: str, value: object) -> tuple[int, int]:
    sides = tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(sides) != 2:
        raise InputError(f"{name} is {value!r}", wanted="a height and a width in pixels")
    for side in sides:
        _require_count(f"a side of {name}", side, smallest=MIN_SIDE)
    if sides[0] * sides[1] > MAX_PIXELS:
        raise InputError(f"{name} is {value!r}", wanted=f"at most {MAX_PIXELS:,} pixels")
    return sides[0], sides[1]


def _require_count(name: str, value: object, *, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise InputError(f"{name} is {value!r}", wanted=f"a whole number of at least {smallest}")
