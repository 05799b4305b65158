"""Results of an evaluation as plain data: the figures of each scheme, and the settings that they depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rsir_tf.evaluation.multilabel import MultiLabelFigures

CUTOFFS = (5, 10, 20, 50)
"""The default k of P@k, recall@k and the graded figures."""

INTERVAL_LEVEL = 0.95
"""Level of the bootstrap intervals in a report."""

TIMED_QUERIES = 64
"""At most this number of queries are ranked again to measure the time."""


@dataclass(frozen=True, slots=True)
class SceneFigures:
    """Figures over the queries of one scene class.

    Attributes:
        queries: Number of queries that count.
        anmrr: 0..1, lower is better.
        map: Mean average precision, 0..1.
    """

    queries: int
    anmrr: float
    map: float


@dataclass(frozen=True, slots=True)
class SchemeFigures:
    """Retrieval figures of one descriptor over all queries that have relevant images.

    Attributes:
        anmrr: 0..1, lower is better.
        map: Mean average precision, 0..1.
        precision: k → P@k, 0..1; NaN where k exceeds the number of ranked images.
        pr_curve: 11 numbers: interpolated precision at recall 0, 0.1, …, 1.
        by_scene: Scene class → its figures; empty where queries have no scene.
        intervals: "anmrr", "map", "p_at_5", … → the 95% bootstrap interval (low, high); empty if none were computed.
        graded: Figures by the number of shared tags ("acg_at_10", "ndcg_at_10", "wap"); empty where there are no tags.
        costs: Name with unit (for example "seconds_per_query") → figure; `costs_words` of the tables says how each is
            measured.
        recall: k → recall@k, 0..1.
    """

    anmrr: float
    map: float
    precision: Mapping[int, float]
    pr_curve: tuple[float, ...]
    by_scene: Mapping[str, SceneFigures] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    graded: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    recall: Mapping[int, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON types; a figure that does not exist (NaN) becomes null."""
        content: dict[str, Any] = {"anmrr": _number(self.anmrr), "map": _number(self.map)}
        content |= {f"p_at_{k}": _number(value) for k, value in self.precision.items()}
        content |= {f"recall_at_{k}": _number(value) for k, value in self.recall.items()}
        content["pr_curve"] = [_number(value) for value in self.pr_curve]
        if self.by_scene:
            content["by_scene"] = {
                scene: {"queries": figures.queries, "anmrr": _number(figures.anmrr), "map": _number(figures.map)}
                for scene, figures in sorted(self.by_scene.items())
            }
        if self.intervals:
            content["intervals"] = {name: [_number(low), _number(high)] for name, (low, high) in self.intervals.items()}
        if self.graded:
            content["graded"] = {name: _number(value) for name, value in self.graded.items()}
        if self.costs:
            content["costs"] = {name: _number(value) for name, value in self.costs.items()}
        return content


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation of one or more schemes on the same queries, archive and definition of relevance.

    Attributes:
        queries: Number of queries, including those without relevant images.
        archive: Number of images that each query ranks.
        relevance: Name of the definition of relevance: "scene", "tags", "jaccard" or another one.
        anmrr_variant: A name of `ANMRR_VARIANTS`.
        query_counts: Whether the query itself is in its ranking, as a relevant image.
        schemes: Name of a scheme ("recnn", "recnn+", …) → its figures, in the order in which they are shown.
        left_out: Number of queries without relevant images; they are in no figure.
        details: Further settings that the figures depend on (model_id, connectivity, split, seed, …), JSON types.
        shown_tags: Figures that compare the tags in the segmentations with those of the images; None where there are
            none.
        graded_queries: Number of queries in the graded figures; None where there are no such figures.
        remarks: What was left out and why, one line each.
        titles: Name of a scheme → its name in tables; a scheme that is not in it is shown by its name.
    """

    queries: int
    archive: int
    relevance: str
    anmrr_variant: str
    query_counts: bool
    schemes: Mapping[str, SchemeFigures]
    left_out: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    shown_tags: MultiLabelFigures | None = None
    graded_queries: int | None = None
    remarks: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)

    def title_of(self, name: str) -> str:
        """What tables and plots call a scheme: its title, followed by its name where another scheme has this title."""
        title = self.titles.get(name, name)
        shared = any(self.titles.get(other, other) == title for other in self.schemes if other != name)
        return f"{title} ({name})" if shared else title

    def to_json(self) -> dict[str, Any]:
        """As JSON types: the settings, "shown_tags" if known, and the figures of each scheme under "schemes"."""
        return {
            "queries": self.queries,
            "archive": self.archive,
            "relevance": self.relevance,
            "anmrr_variant": self.anmrr_variant,
            "query_counts": self.query_counts,
            "queries_left_out": self.left_out,
            **({} if self.graded_queries is None else {"graded_queries": self.graded_queries}),
            **({"remarks": list(self.remarks)} if self.remarks else {}),
            **({"details": dict(self.details)} if self.details else {}),
            **({"shown_tags": self.shown_tags.to_json()} if self.shown_tags else {}),
            "schemes": {name: figures.to_json() for name, figures in self.schemes.items()},
        }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
