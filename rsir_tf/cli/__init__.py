"""The command line `rsir-tf`: one file a command; each parses, calls a workflow, prints.

Data goes to stdout; messages and progress go to stderr. Exit codes: 0, done; 1, bad input (one line says what is
wrong); 2, bad usage; 130, Ctrl-C; 141, the reader of stdout has gone (`| head`).
"""

from rsir_tf.cli.main import main

__all__ = ["main"]
