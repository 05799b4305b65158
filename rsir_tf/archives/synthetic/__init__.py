"""An archive that is drawn: 21 kinds of aerial scene with exact masks, in DLRSD's format.

archive     render_archive, render_scene   scenes/    one function a scene class
canvas      the drawing board              roads, structures, vehicles, plants   what scenes are made of
materials   surfaces, classes, colours     geometry, noise   outlines, paths, random fields
photograph  texture, shadow, light and sensor
"""

from rsir_tf.archives.synthetic.archive import SCENES, render_archive, render_scene

__all__ = ["SCENES", "render_archive", "render_scene"]
