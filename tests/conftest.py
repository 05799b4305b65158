"""Shared fixtures. Real data is read from the folder that RSIR_TF_TEST_DATA names; tests skip where it is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Before any test imports TensorFlow: its start-up notes drown a failing test's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return a function from a relative path to the real file, which skips where it is absent."""
    root = os.environ.get("RSIR_TF_TEST_DATA")

    def find(relative: str) -> Path:
        if root is None:
            pytest.skip("RSIR_TF_TEST_DATA names no folder with real data")
        path = Path(root) / relative
        if not path.exists():
            pytest.skip(f"no real data at {path}")
        return path

    return find
