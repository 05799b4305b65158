"""The descriptors that the paper compares with. It gives no parameters: the defaults are our choice.

statistics, colour, lbp, glcm, gist, bovw, mlir   one descriptor each
descriptor    their protocol
extraction    describes many images with several processes, and keeps the vectors on disk
from_text     reads their parameters from the command line
libraries     versions of the libraries that vectors depend on
"""

from __future__ import annotations

from rsir_tf.baselines.bovw import LEARNING_LIBRARIES, BagOfVisualWords, read_dictionary, write_dictionary
from rsir_tf.baselines.colour import ColourHistogram
from rsir_tf.baselines.descriptor import Descriptor, parameters
from rsir_tf.baselines.extraction import DescribedImages, describe_images
from rsir_tf.baselines.from_text import settable, with_parameters
from rsir_tf.baselines.gist import GIST
from rsir_tf.baselines.glcm import GLCM
from rsir_tf.baselines.lbp import UniformLBP
from rsir_tf.baselines.libraries import library_versions
from rsir_tf.baselines.mlir import MLIR, region_features
from rsir_tf.baselines.statistics import Statistics

BASELINES: dict[str, type[Descriptor]] = {
    kind.name: kind for kind in (Statistics, ColourHistogram, UniformLBP, GLCM, GIST, BagOfVisualWords, MLIR)
}
"""Name → class, in the order of the paper's Table I."""

__all__ = [
    "BASELINES",
    "GIST",
    "GLCM",
    "LEARNING_LIBRARIES",
    "MLIR",
    "BagOfVisualWords",
    "ColourHistogram",
    "DescribedImages",
    "Descriptor",
    "Statistics",
    "UniformLBP",
    "describe_images",
    "library_versions",
    "parameters",
    "read_dictionary",
    "region_features",
    "settable",
    "with_parameters",
    "write_dictionary",
]
