"""Options of second stages, as the schemes that they build."""

from __future__ import annotations

import pytest
import typer

from rsir_tf.cli.second_stages import SecondStages
from rsir_tf.errors import InputError
from rsir_tf.ranking import make_scheme


def test_stages_are_put_around_each_other() -> None:
    stages = SecondStages(expand=3, mix="relations:0.25", rerank="irm", rerank_top=50)
    assert stages.chosen
    assert stages.around(make_scheme("recnn+")).name == "recnn+, expanded by 3 with 0.25 relations, first 50 by irm"
    assert SecondStages(mix="recnn+:1").around(make_scheme("irm")).name == "irm with 1 recnn+"
    assert not SecondStages().chosen
    with pytest.raises(typer.BadParameter, match="--rerank-top needs --rerank or --expand-both"):
        SecondStages(expand=3, rerank_top=50).around(make_scheme("recnn+"))


@pytest.mark.parametrize("mix", ["relations", "relations:much", ":", ""])
def test_a_mixture_without_a_share_is_refused(mix: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"wanted SCHEME:SHARE, as in relations:0\.05"):
        SecondStages(mix=mix).around(make_scheme("irm"))


@pytest.mark.parametrize(("mix", "words"), [("colour:0.1", "scheme is 'colour'"), ("relations:-1", "from 0 to 1")])
def test_a_mixture_that_cannot_be_is_refused(mix: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SecondStages(mix=mix).around(make_scheme("irm"))
