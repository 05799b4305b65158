"""Content-based retrieval of aerial images with region features of a fully convolutional network.

This is the map of the package, from top to bottom. Imports go downwards only, and rooms do not import each other:

    cli/            one file per command: it parses options, calls a workflow and prints
    web/            an archive in a browser, and over HTTP for programs: pages over workflows
    workflows       the only place where rooms meet: index_archive, query_image, segment_scene, evaluate_index, …
    rasters/        sources of images: files, URLs, windows of scenes; their pixels and places; all rooms may import it
    archives/       label sets, records, one reader per format, splits, the synthetic archive
    segmentation/   tf.data, FCN, training, scoring, export: the only room that imports TensorFlow at its top
    serving/        client/: a model behind a server; server/: the embedded server, engines; a model in this process
    regions/        connected components, exact region max pooling
    baselines/      the descriptors that the paper compares with
    index/          segments on disk: images, regions and their vectors; it computes no distances
    ranking/        schemes (what "near" means), what makes them quick, search over an index
    cluster/        the adapter to Ray: workers on many machines
    databases/      vector databases that propose images: one file a kind
    evaluation/     relevance, and figures of rankings and of tags
    presentation/   everything that people look at: pictures, sheets, plots, tables, reports, pages, maps
    contract        what a model answers: names of signatures and tensors, Prediction, ModelDescription, Model
    locks           one writer per folder
    artifacts       files on disk: written to a temporary name and renamed, with a manifest
    distances       L1, L2 and cosine between vectors
    vector_rankings all images ranked for every image by their vectors
    processors      how many cores this process may use, and an ordered pipeline that uses them
    errors          what was found, what was wanted, what to do
    lazy_attributes public names that load their file at their first use
    progress        how long work reports its progress
    wording         numbers in sentences

Three exceptions: `segmentation` reads `archives`, `ranking` reads `index`, and `presentation` reads the results of
`evaluation`. Attributes of this package load their room at their first use, so that `import rsir_tf` is quick.
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
