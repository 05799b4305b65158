"""The reference of commands, rsir_tf/cli/README.md: it says what the program says."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "command_reference.py"


def test_the_reference_is_what_the_program_says() -> None:
    found = runpy.run_path(str(SCRIPT))
    text = found["reference"]()
    assert "| `--batch-size` | whole number | `4` |" in text
    assert "| `--query-counts`, `--no-query-counts` |  | `--query-counts` |" in text
    assert found["REFERENCE"].read_text("utf-8") == text, "help texts have changed: run scripts/command_reference.py"
