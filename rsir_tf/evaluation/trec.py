"""Rankings and relevance as TREC's tools read them: for trec_eval and its like, which then give the same figures.

The formats: `query Q0 image rank score run` and `query 0 image relevance`, a line each (trec_eval's README). Tools
order by score and not by rank, and equal scores by name, so the score is a whole number that falls by 1 with each rank;
the distance is not in these files. Fields are divided by white space, so white space, % and control characters in an id
or the name of a run are written as in a URL: %20 is a space.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator

_NOT_PLAIN = re.compile("[\\s%\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def trec_name(name: str) -> str:
    """An id without white space; `urllib.parse.unquote` gives it back."""
    return _NOT_PLAIN.sub(lambda found: urllib.parse.quote(found.group().encode("utf-8", "surrogateescape")), name)


def run_lines(rankings: Iterable[tuple[str, Iterable[str]]], run: str, *, images: int) -> Iterator[str]:
    """The lines of a run.

    Args:
        rankings: A query's id, and the ids of images, nearest first.
        run: The run's name.
        images: The largest number of images in a ranking; trec_eval holds scores exactly up to 2²⁴.
    """
    run = trec_name(run)
    for query, ranked in rankings:
        name = trec_name(query)
        for rank, image in enumerate(ranked, start=1):
            yield f"{name} Q0 {trec_name(image)} {rank} {images + 1 - rank} {run}\n"


def qrels_lines(relevant: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """The lines that say what is relevant.

    Args:
        relevant: A query's id, and the ids of the images that are relevant to it; no others are named.
    """
    for query, images in relevant:
        name = trec_name(query)
        for image in images:
            yield f"{name} 0 {trec_name(image)} 1\n"
