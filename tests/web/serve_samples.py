"""Serves the page of a sample archive until it is ended, for tests in a browser: `serve_samples.py FOLDER PORT`.

Files in the folder steer it: `down` makes the model unreachable while it is there. With `certificates/`, as
`serving/make_test_certificates.sh` makes it, it speaks https alone and wants the token TOKEN. With `slowly`, a visitor
may ask a question every ten seconds after the first ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

from web_samples import TOKEN, Canned

from rsir_tf.web.access import Access
from rsir_tf.web.house import House
from rsir_tf.web.limits import Limits
from rsir_tf.web.serving import Encryption, make_app, run
from rsir_tf.workflows.browsing import WatchedIndex
from rsir_tf.workflows.thumbnails import ThumbnailCache


class Steered(Canned):
    """The toy model, as files in the folder say."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def predict(self, images):
        self.down = (self.folder / "down").exists()
        return super().predict(images)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    cache = ThumbnailCache(folder / "thumbnails.sqlite")
    house = House(WatchedIndex(folder / "index"), Steered(folder), cache, upload_bytes=400_000, upload_pixels=128 * 128)
    files = folder / "certificates"
    encryption = Encryption(files / "server.pem", files / "server.key") if files.exists() else None
    access = Access(None if encryption is None else TOKEN, loopback=True, encrypted=encryption is not None)
    limits = Limits(0.1, own_machine=True) if (folder / "slowly").exists() else Limits()
    run(make_app(house, access, limits), "127.0.0.1", port, encryption)


if __name__ == "__main__":
    main()
