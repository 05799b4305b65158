"""The descriptors that the paper compares with, one file each; the paper gives no parameters, defaults are our choice.

descriptor   what each of them is        extraction   many images, by several processes, kept on disk
from_text    their parameters as a command line gives them            libraries    versions that vectors come from
statistics, colour, lbp, glcm, gist, bovw, mlir
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
"""By name, in the order of the paper's Table I."""

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
