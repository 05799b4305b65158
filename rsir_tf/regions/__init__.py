"""Regions of a segmentation and their descriptors: connected components, and exact max pooling of conv5_3."""

from rsir_tf.regions.components import VOID, Regions, connected_regions
from rsir_tf.regions.pooling import pool_image, pool_regions
from rsir_tf.regions.sampling import CONVENTIONS, Convention
from rsir_tf.regions.validity import pool_valid, without_void_cells

__all__ = [
    "CONVENTIONS",
    "VOID",
    "Convention",
    "Regions",
    "connected_regions",
    "pool_image",
    "pool_regions",
    "pool_valid",
    "without_void_cells",
]
