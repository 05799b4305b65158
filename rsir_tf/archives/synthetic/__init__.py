"""A drawn archive: 21 kinds of aerial scenes with exact masks, in DLRSD's format.

archive     render_archive, render_scene   scenes/    one function for each scene class
canvas      the drawing board              roads, structures, vehicles, plants   the things in a scene
materials   surfaces, classes, colours     geometry, noise   outlines, paths, random fields
photograph  texture, shadow, light and sensor
"""

from rsir_tf.archives.synthetic.archive import SCENES, render_archive, render_scene

__all__ = ["SCENES", "render_archive", "render_scene"]
