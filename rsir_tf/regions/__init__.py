"""Regions of a segmentation and their descriptors: connected components, and exact max pooling of conv5_3."""

from rsir_tf.regions.components import Regions, connected_regions
from rsir_tf.regions.pooling import pool_image, pool_regions
from rsir_tf.regions.sampling import CONVENTIONS, Convention

__all__ = ["CONVENTIONS", "Convention", "Regions", "connected_regions", "pool_image", "pool_regions"]
