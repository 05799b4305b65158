"""Regions of a segmentation: connected components, how they touch, and exact pooling of features over them."""

from rsir_tf.regions.adjacency import Adjacency, region_adjacency
from rsir_tf.regions.components import VOID, Regions, connected_regions
from rsir_tf.regions.pooling import pool_image, pool_regions
from rsir_tf.regions.poolings import POOLINGS, POWERS, pool
from rsir_tf.regions.power_means import pool_power_means
from rsir_tf.regions.regional_maxima import pool_regional_maxima
from rsir_tf.regions.sampling import CONVENTIONS, Convention
from rsir_tf.regions.validity import pool_valid, without_void_cells

__all__ = [
    "CONVENTIONS",
    "POOLINGS",
    "POWERS",
    "VOID",
    "Adjacency",
    "Convention",
    "Regions",
    "connected_regions",
    "pool",
    "pool_image",
    "pool_power_means",
    "pool_regional_maxima",
    "pool_regions",
    "pool_valid",
    "region_adjacency",
    "without_void_cells",
]
