"""Ranking: what "near" means (the schemes), and the search for what is near in an index.

How to add a scheme: see README.md here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

_HOMES = {
    "Answer": "rsir_tf.ranking.searching",
    "ByExamples": "rsir_tf.ranking.examples",
    "Candidates": "rsir_tf.ranking.candidates",
    "DEFAULT_REGION_SCHEME": "rsir_tf.ranking.schemes",
    "DEFAULT_SCHEME": "rsir_tf.ranking.schemes",
    "EXAMPLE_METHODS": "rsir_tf.ranking.examples",
    "Expanded": "rsir_tf.ranking.stages",
    "ExpandedBoth": "rsir_tf.ranking.expanded_images",
    "HeldBlock": "rsir_tf.ranking.images",
    "Hit": "rsir_tf.ranking.scheme",
    "ImageBlock": "rsir_tf.ranking.images",
    "ImageFeatures": "rsir_tf.ranking.scheme",
    "Index": "rsir_tf.ranking.searchable_index",
    "Match": "rsir_tf.ranking.scheme",
    "Mixed": "rsir_tf.ranking.mixing",
    "Proposal": "rsir_tf.ranking.proposals",
    "Reranked": "rsir_tf.ranking.stages",
    "SCHEMES": "rsir_tf.ranking.schemes",
    "Scheme": "rsir_tf.ranking.scheme",
    "Shown": "rsir_tf.ranking.content",
    "archive_rankings": "rsir_tf.ranking.whole_archives",
    "archive_sample": "rsir_tf.ranking.examples",
    "class_numbers": "rsir_tf.ranking.content",
    "class_shares": "rsir_tf.ranking.content",
    "derived_files": "rsir_tf.ranking.schemes",
    "described": "rsir_tf.ranking.schemes",
    "layers_read": "rsir_tf.ranking.further_layers",
    "make_scheme": "rsir_tf.ranking.schemes",
    "make_schemes": "rsir_tf.ranking.schemes",
    "open_index": "rsir_tf.ranking.searchable_index",
    "options_of": "rsir_tf.ranking.schemes",
    "proposal_of": "rsir_tf.ranking.proposals",
    "rankings_among": "rsir_tf.ranking.whole_archives",
    "region_set_distance": "rsir_tf.ranking.set_distance",
    "require_layers": "rsir_tf.ranking.further_layers",
    "search": "rsir_tf.ranking.searching",
    "search_many": "rsir_tf.ranking.searching",
    "sharing_classes": "rsir_tf.ranking.candidates",
    "showing_classes": "rsir_tf.ranking.candidates",
    "with_examples": "rsir_tf.ranking.examples",
}

__all__ = [
    "DEFAULT_REGION_SCHEME",
    "DEFAULT_SCHEME",
    "EXAMPLE_METHODS",
    "SCHEMES",
    "Answer",
    "ByExamples",
    "Candidates",
    "Expanded",
    "ExpandedBoth",
    "HeldBlock",
    "Hit",
    "ImageBlock",
    "ImageFeatures",
    "Index",
    "Match",
    "Mixed",
    "Proposal",
    "Reranked",
    "Scheme",
    "Shown",
    "archive_rankings",
    "archive_sample",
    "class_numbers",
    "class_shares",
    "derived_files",
    "described",
    "layers_read",
    "make_scheme",
    "make_schemes",
    "open_index",
    "options_of",
    "proposal_of",
    "rankings_among",
    "region_set_distance",
    "require_layers",
    "search",
    "search_many",
    "sharing_classes",
    "showing_classes",
    "with_examples",
]

if TYPE_CHECKING:
    from rsir_tf.ranking.candidates import Candidates, sharing_classes, showing_classes
    from rsir_tf.ranking.content import Shown, class_numbers, class_shares
    from rsir_tf.ranking.examples import EXAMPLE_METHODS, ByExamples, archive_sample, with_examples
    from rsir_tf.ranking.expanded_images import ExpandedBoth
    from rsir_tf.ranking.further_layers import layers_read, require_layers
    from rsir_tf.ranking.images import HeldBlock, ImageBlock
    from rsir_tf.ranking.mixing import Mixed
    from rsir_tf.ranking.proposals import Proposal, proposal_of
    from rsir_tf.ranking.scheme import Hit, ImageFeatures, Match, Scheme
    from rsir_tf.ranking.schemes import (
        DEFAULT_SCHEME,
        SCHEMES,
        derived_files,
        described,
        make_scheme,
        make_schemes,
        options_of,
    )
    from rsir_tf.ranking.searchable_index import Index, open_index
    from rsir_tf.ranking.searching import Answer, search, search_many
    from rsir_tf.ranking.set_distance import region_set_distance
    from rsir_tf.ranking.stages import Expanded, Reranked
    from rsir_tf.ranking.whole_archives import archive_rankings, rankings_among

__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
