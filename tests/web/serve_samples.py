"""Serves the page of a sample archive until it is ended, for tests in a browser: `serve_samples.py FOLDER PORT`.

Files in the folder change the model and the index: `down` makes the model unreachable while it is there, and `slow`
makes it take a second.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from web_samples import Canned

from rsir_tf.web.access import Access
from rsir_tf.web.house import House
from rsir_tf.web.serving import make_app, run
from rsir_tf.workflows.browsing import WatchedIndex
from rsir_tf.workflows.thumbnails import ThumbnailCache


class Steered(Canned):
    """The toy model, as files in the folder say."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def predict(self, images):
        self.down = (self.folder / "down").exists()
        if (self.folder / "slow").exists():
            time.sleep(1)
        return super().predict(images)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    cache = ThumbnailCache(folder / "thumbnails.sqlite")
    house = House(WatchedIndex(folder / "index"), Steered(folder), cache, upload_bytes=400_000, upload_pixels=128 * 128)
    run(make_app(house, Access(None, loopback=True)), "127.0.0.1", port)


if __name__ == "__main__":
    main()
