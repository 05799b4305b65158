"""What the command line says: data on stdout, messages and progress on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from rsir_tf.errors import RsirError
from rsir_tf.presentation.tables import visible
from rsir_tf.progress import Progress

PLAIN_INTERVAL = 10.0
"""Seconds between lines where stderr is no terminal (a log file, CI)."""


def accept_all_characters() -> None:
    r"""Let no character be refused by stdout: names may hold any, and its encoding may be ASCII or Latin-1.

    In UTF-8, a file name that is no text comes out as the bytes that it is; in other encodings, a character that they
    lack comes out as its escape, such as \u4e2d. stderr does so by itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape" if _speaks_unicode() else "backslashreplace")


def _speaks_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def say(text: str) -> None:
    """Print a message to stderr; control characters in names are escaped, so that they cannot move the cursor."""
    print("\n".join(map(visible, text.split("\n"))), file=sys.stderr, flush=True)


def complain(error: RsirError) -> None:
    """Say what is wrong, in one line."""
    say(f"rsir-tf: {error}")


def put(text: str) -> None:
    """Print data to stdout."""
    print(text, flush=True)


def put_json(content: Any, *, one_line: bool = False) -> None:
    """Print data for programs, as JSON, to stdout: valid JSON, whatever names it holds.

    Args:
        content: JSON types.
        one_line: Whether it is one of many lines (JSON Lines).
    """
    indent = None if one_line else 2
    text = json.dumps(content, indent=indent, ensure_ascii=not _speaks_unicode(), allow_nan=False)
    # Of a file name that is no text; JSON has an escape for it.
    put(re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found.group()):04x}", text))


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Show how far something is: a bar on a terminal, a line every ten seconds elsewhere.

    Args:
        what: What is being done.

    Yields:
        A function of (done, total, words).
    """
    if sys.stderr.isatty():
        with _bar(what) as tell:
            yield tell
    else:
        yield _Lines(what)


class _Lines:
    def __init__(self, what: str) -> None:
        self.what, self.started = what, time.monotonic()
        self.last = self.started

    def __call__(self, done: int, total: int, words: str = "") -> None:
        now = time.monotonic()
        if now - self.last >= PLAIN_INTERVAL or (done == total and now - self.started >= PLAIN_INTERVAL):
            self.last = now
            say(f"{self.what}: {done}/{total} after {now - self.started:.0f} s  {words}".rstrip())


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    # What is printed to stdout meanwhile is moved above the bar, but only where the two share the terminal: data that
    # goes to a file must go there.
    shared = sys.stdout.isatty()
    with RichProgress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=shared) as bars:
        task = bars.add_task(what, total=None, words="")

        def tell(done: int, total: int, words: str = "") -> None:
            bars.update(task, completed=done, total=total, words=words)

        yield tell


@contextlib.contextmanager
def quiet_tensorflow(*, small_maps: bool = False) -> Iterator[None]:
    """Import TensorFlow within this block: its start-up notes are kept off stderr unless --debug asks for them.

    They are written by C++ before any setting of its logger is read, so the file descriptor itself is turned away.

    Args:
        small_maps: What comes is mostly convolutions of large batches of small maps: these oneDNN does in half the
            time, a single large image it does in twice the time. TensorFlow's own choice, when it is imported, looks
            at the processor alone.
    """
    if small_maps:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if os.environ.get("RSIR_TF_DEBUG"):
        yield
        return
    # Not even its errors: what goes wrong is raised, too, and oneDNN complains of number types it then does without.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        keras.utils.disable_interactive_logging()
        # CUDA complains where there is no GPU, once, when devices are first looked for: let that be here.
        tf.config.list_physical_devices()
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
