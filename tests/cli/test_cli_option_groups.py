"""Options that are declared as a group: each becomes an option of its own, and the command gets them together."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from rsir_tf.cli.connection import Connection
from rsir_tf.cli.option_groups import OptionGroup, Without, with_groups


@dataclass(frozen=True)
class Size(OptionGroup):
    """Two options."""

    width: Annotated[int, typer.Option(help="Across.")] = 3
    height: Annotated[int, typer.Option(help="Down.")] = 2


TALL = Size(height=9)


def test_a_group_becomes_options_at_its_place_and_comes_back_as_a_group() -> None:
    called = []

    def command(name: str, size: Size, quiet: bool = False) -> None:
        """Do it."""
        called.append((name, size, quiet))

    merged = with_groups(command)
    parameters = inspect.signature(merged).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "name": inspect.Parameter.empty, "width": 3, "height": 2, "quiet": False,
    }  # fmt: skip
    assert parameters["width"].annotation.__metadata__[0].help == "Across."
    assert merged.__doc__ == "Do it."
    merged(name="a", width=5, height=2, quiet=True)
    assert called == [("a", Size(5, 2), True)]


def test_a_command_may_leave_options_out_and_have_its_own_defaults() -> None:
    called = []

    def command(size: Annotated[Size, Without("width")] = TALL) -> None:
        called.append(size)

    merged = with_groups(command)
    assert [(name, it.default) for name, it in inspect.signature(merged).parameters.items()] == [("height", 9)]
    merged(height=4)
    assert called == [Size(3, 4)]


def test_which_servers_the_environment_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSIR_TF_SERVER", "a:1 b:2")
    assert not Connection(server=["a:1", "b:2"]).server_on_line
    assert Connection(server=["c:3"]).server_on_line
    assert not Connection().named
    assert Connection().encryption is None
    assert Connection(tls_server_name="x").encryption is not None


def test_defaults_of_training_stand_in_one_way() -> None:
    pytest.importorskip("keras")
    from rsir_tf.cli.train import CropOptions, Settings
    from rsir_tf.segmentation import TrainingSettings

    usual = TrainingSettings()
    assert TrainingSettings(crops=CropOptions().crops, **Settings().values) == usual
    given = {field.name for field in dataclasses.fields(Settings)} | {"crops", "supervision", "seed"}
    assert given == {field.name for field in dataclasses.fields(TrainingSettings)}  # None is without an option.
