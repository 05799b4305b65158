"""The command line `rsir-tf`: one file a command; each parses, calls a workflow, prints.

stdout is data, stderr is talk and progress. Exit 0: done; 1: bad input, one line says what; 2: bad usage; 130: Ctrl-C.
"""

from rsir_tf.cli.main import main

__all__ = ["main"]
