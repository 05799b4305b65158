"""Vector databases: they hold vectors of an index's images, and propose images that may be near a query.

One file for each kind, and a line in `KINDS`.
"""

from __future__ import annotations

from rsir_tf.databases.collection import Collection, Point, VectorKind, open_collection

__all__ = ["Collection", "Point", "VectorKind", "open_collection"]
