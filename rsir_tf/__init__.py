"""Content-based retrieval of aerial images with region features of a fully convolutional network.

The map, top to bottom; imports run downwards only, and rooms do not import each other:

    cli/            one file a command: parses, calls a workflow, prints
    workflows       the only place where rooms meet: index_archive, query_image, evaluate_index, compare_descriptors
    rasters/        an image's source: the way to its pixels; reading picture files; every room may import it
    archives/       label sets, records, one reader a format, splits, the synthetic archive
    segmentation/   tf.data, FCN, training, scoring, export: the only room that imports TensorFlow at its top
    serving/        client/: a model behind a server; server/: the embedded server, engines; a model in this process
    regions/        connected components, exact region max pooling
    baselines/      the descriptors that the paper compares with
    index/          segments on disk: what was described, of which image, with what; it knows no distance
    ranking/        schemes (what "near" means), what makes them quick, search over an index
    evaluation/     relevance, and figures of rankings and of tags
    presentation/   everything that is looked at: pictures, sheets, plots, tables, reports, pages
    contract        what a model answers: names of signatures and tensors, Prediction, ModelDescription, Model
    locks           one writer a folder
    artifacts       what is left on disk: written aside and renamed, with a manifest
    distances       L1, L2 and cosine between vectors
    vector_rankings every image ranked for every image by its vector
    processors      how many cores this process may use, and work spread over them with its answers in order
    errors          what was found, what was wanted, what to do
    lazy_attributes public names that load their file when first used
    progress        how long work tells how far it is

Three exceptions: `segmentation` reads `archives`, `ranking` reads `index`, and `presentation` shows what `evaluation`
found.
Attributes of this package load their room when first used, so `import rsir_tf` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

__version__ = "0.1.0"

_HOMES = {
    "open_archive": "rsir_tf.archives",
    "open_source": "rsir_tf.rasters",
    "read_image": "rsir_tf.rasters",
    "connect": "rsir_tf.serving",
    "load": "rsir_tf.serving",
    "open_index": "rsir_tf.ranking",
    "RsirError": "rsir_tf.errors",
}

__all__ = ["RsirError", "__version__", "connect", "load", "open_archive", "open_index", "open_source", "read_image"]

if TYPE_CHECKING:
    from rsir_tf.archives import open_archive
    from rsir_tf.errors import RsirError
    from rsir_tf.ranking import open_index
    from rsir_tf.rasters import open_source, read_image
    from rsir_tf.serving import connect, load


__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
