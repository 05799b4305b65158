"""What a descriptor costs: which images are averaged, which queries are timed, and what is not known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsir_tf.artifacts import manifest, write_json
from rsir_tf.baselines import DescribedImages
from rsir_tf.errors import ArtifactError
from rsir_tf.ranking import make_scheme
from rsir_tf.workflows import measuring
from rsir_tf.workflows.comparison_costs import describing_costs, index_costs
from rsir_tf.workflows.measuring import seconds_per_query


@pytest.mark.parametrize(("queries", "timed"), [(3, 3), (64, 64), (1000, 64)])
def test_a_few_queries_are_timed_alone(monkeypatch: pytest.MonkeyPatch, queries: int, timed: int) -> None:
    clock, asked = [0.0], []

    def rank(rows: range) -> Any:
        clock[0] += 50  # Taking the vectors in is done once, whatever is asked.

        def ranked() -> Any:
            for row in rows:
                clock[0] += 2
                asked.append(row)
                yield row, np.arange(3)

        return ranked()

    monkeypatch.setattr(measuring.time, "process_time", lambda: clock[0])
    assert seconds_per_query(rank, queries) == 2
    assert asked == list(range(timed))


def test_images_that_are_compared_are_averaged() -> None:
    vectors = np.zeros((3, 5), dtype=np.float32)
    found = DescribedImages(("a", "b", "c"), vectors, np.array([1, 2, 6], dtype=np.float32), {})
    assert describing_costs(found, ["c", "a"], 5) == {"seconds_per_image": 3.5, "bytes_per_image": 20.0}


def index_of(tmp_path: Path, model: str = "m") -> Any:
    settings = SimpleNamespace(channels=512, dtype="float16", model_id=model)
    images = SimpleNamespace(region_counts=np.array([1, 100, 4], dtype=np.int32))
    return SimpleNamespace(path=str(tmp_path / "index"), settings=settings, images=images)


def test_regions_of_the_compared_images_are_averaged(tmp_path: Path) -> None:
    rows = np.array([0, 2])
    assert index_costs(index_of(tmp_path), make_scheme("recnn"), rows) == {"bytes_per_image": 2.5 * 512 * 2}
    assert index_costs(index_of(tmp_path), make_scheme("recnn+"), rows) == {"bytes_per_image": 512 * 2}
    content = manifest("costs", 1, model_id="m", images=4, seconds=10.0)
    write_json(tmp_path / "index-costs.json", content)
    assert index_costs(index_of(tmp_path), make_scheme("recnn+"), rows)["seconds_per_image"] == 2.5
    assert "seconds_per_image" not in index_costs(index_of(tmp_path, "another model"), make_scheme("recnn+"), rows)
    (tmp_path / "index-costs.json").write_text("{")
    with pytest.raises(ArtifactError, match="is not valid JSON"):
        index_costs(index_of(tmp_path), make_scheme("recnn+"), rows)
