"""Tables for Markdown and for the console: alignment, and names that hold what would be markup or move the cursor."""

from __future__ import annotations

import importlib
import math

import pytest

from rsir_tf import presentation
from rsir_tf.presentation import Table, console_table, markdown_table
from rsir_tf.presentation.tables import markdown_text, number, short_number, visible


def test_markdown_tables_escape_bars():
    assert markdown_table(Table(["a", "b"], [["x|y", 1]])) == ["| a | b |", "| :-- | --: |", "| x\\|y | 1 |"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<img onerror=alert(1)>", r"\<img onerror=alert(1)>"),
        ("[click](javascript:x)", r"\[click\](javascript:x)"),
        ("a`b*c\\d", r"a\`b\*c\\d"),
        ("storage_tanks _x_", r"storage_tanks \_x\_"),
        ("two\nlines\tand  spaces", "two lines and spaces"),
        ("bell\x07", r"bell\\x07"),
    ],
)
def test_names_are_no_markup_in_markdown(text, expected):
    assert markdown_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("harbor/größe.tif", "harbor/größe.tif"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("right\u202eto left", r"right\u202eto left"),  # It would turn the rest of the line round.
        ("no text \udcff", r"no text \udcff"),  # How Python reads a file name that is no UTF-8.
    ],
)
def test_what_moves_the_cursor_is_escaped(text, expected):
    assert visible(text) == expected
    assert visible(expected) == expected


def test_console_columns_are_as_wide_as_they_need():
    table = Table(["rank", "id", "tags"], [["1", "lake/a.png", "water"], ["10", "b", ""]], right=(0,))
    assert console_table(table) == [
        "rank  id          tags",
        "   1  lake/a.png  water",
        "  10  b",
    ]
    # Without titles there is no line for them.
    assert console_table(Table(["", ""], [["a", 1200], ["bc", 3]]), indent=2) == ["  a   1,200", "  bc      3"]


def test_wide_and_combining_characters_keep_columns_aligned():
    lines = console_table(Table(["id", "n"], [["湖", 1], ["e\u0301", 2], ["\n", 3]]))
    # "湖" takes two columns of a terminal, the accent none, and an escaped line break two.
    assert lines == ["id  n", "湖  1", "e\u0301   2", "\\n  3"]


def test_numbers_in_words():
    assert [number(0.12345), number(0.12345, 4), number(None), number(math.nan)] == ["0.123", "0.1235", "–", "–"]


def test_an_empty_table_has_its_header_alone():
    assert console_table(Table(["rank", "id"], [])) == ["rank  id"]
    assert markdown_table(Table(["a"], [])) == ["| a |", "| :-- |"]


def test_each_public_name_is_where_the_room_says():
    assert set(presentation.__all__) == set(presentation._HOMES)
    assert all(getattr(presentation, name) is not None for name in presentation.__all__)


def test_names_of_the_version_before_still_work():
    with pytest.warns(DeprecationWarning, match=r"rsir_tf\.pictures\.Tile is deprecated: import it from rsir_tf"):
        assert importlib.import_module("rsir_tf.pictures").Tile is presentation.Tile
    with pytest.warns(DeprecationWarning, match=r"rsir_tf\.evaluation\.write_report is deprecated"):
        assert importlib.import_module("rsir_tf.evaluation").write_report is presentation.write_report


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.47231, "0.4723"), (3000.0, "3,000"), (20051.2, "20,050"), (9999.6, "10,000"), (-1234.5, "-1,234"), (0, "0")],
)
def test_short_numbers_have_no_exponent(value: float, text: str) -> None:
    assert short_number(value) == text
