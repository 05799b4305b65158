"""Prints the path of VGG-16's convolutional weights; Keras downloads them (58 MB) if they are not there yet.

If that does not succeed within a minute, one line on stderr says why, and the exit code is 1.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time

from rsir_tf.cli.console import quiet_tensorflow

# The same file that keras.applications.VGG16(include_top=False) uses, so that it is downloaded once.
NAME = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
ORIGIN = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{NAME}"
MD5 = "6d6bbae143d832006294945121d1f1fc"

CACHE: str | None = None
"""The folder to keep the file in; None is Keras's own, ~/.keras or what KERAS_HOME names."""

LONGEST = 60
"""Seconds to wait for a download."""


def main() -> None:
    with quiet_tensorflow():
        import keras

    def give_up(*_: object) -> None:
        # It is raised wherever the download waits. Keras then removes the incomplete file.
        raise TimeoutError(f"not there after {LONGEST} s")

    signal.signal(signal.SIGALRM, give_up)
    started = time.monotonic()
    signal.alarm(LONGEST)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            path = keras.utils.get_file(NAME, ORIGIN, cache_dir=CACHE, cache_subdir="models", file_hash=MD5)
    except Exception as error:  # Keras raises bare Exception where a download fails.
        print(f"VGG-16's weights could not be downloaded: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    finally:
        signal.alarm(0)
    print(f"VGG-16's weights are there after {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(path)


if __name__ == "__main__":
    main()
