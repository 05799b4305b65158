from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.archives import LabelSet, class_colours, load_label_set
from rsir_tf.archives.labels import distinct_colours, read_colour, spell_colour
from rsir_tf.errors import InputError

WANTED = LabelSet("mine", ("land", "water"), (3, 7), ((132, 41, 246), (1, 2, 3)), (0, 255), ((0, 0, 0),))

TOML = """
name = "mine"
classes = [
  { name = "land", id = 3, colour = "#8429f6" },
  { name = "water", id = 7, colour = [1, 2, 3] },
]
ignore_ids = [0, 255]
ignore_colours = ["#000000"]
"""

YAML = """
name: mine
classes:
  - {name: land, id: 3, colour: "#8429F6"}
  - name: water
    id: 7
    colour: [1, 2, 3]
ignore_ids: [0, 255]
ignore_colours: ["#000000"]
"""


def test_toml_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("\ufeff" + TOML, encoding="utf-8")  # some editors put a byte order mark
    (tmp_path / "a.yaml").write_text(YAML)
    (tmp_path / "a.yml").write_text(YAML)
    (tmp_path / "a.json").write_text(json.dumps(WANTED.to_json()))
    for suffix in ("toml", "yaml", "yml", "json"):
        assert load_label_set(tmp_path / f"a.{suffix}") == WANTED


def test_a_set_without_a_name_has_its_files(tmp_path: Path) -> None:
    (tmp_path / "fields.json").write_text('{"classes": [{"name": "wheat", "id": 1}]}')
    assert load_label_set(str(tmp_path / "fields.json")).name == "fields"


def test_shipped_dlrsd() -> None:
    dlrsd = load_label_set("dlrsd")
    assert load_label_set(Path("dlrsd")) == dlrsd  # a command line may take it for a path
    assert dlrsd.ids == tuple(range(1, 18))
    assert dlrsd.names == tuple(sorted(dlrsd.names))  # ids are in alphabetical order
    by_name = dict(zip(dlrsd.names, dlrsd.colours, strict=True))
    assert by_name["airplane"] == (166, 202, 240)
    assert by_name["mobile home"] == (90, 87, 255)
    assert by_name["water"] == (0, 255, 255)
    assert dlrsd.ignore_ids == ()


def test_shipped_dubai() -> None:
    dubai = load_label_set("dubai")
    assert dubai.names == ("land", "water", "building", "vegetation", "road")
    assert [spell_colour(colour) for colour in dubai.colours] == ["#8429F6", "#E2A929", "#3C1098", "#FEDD3A", "#6EC1E4"]
    assert [spell_colour(colour) for colour in dubai.ignore_colours] == ["#9B9B9B", "#000000"]
    assert dubai.ids is None


def test_colours_for_class_names() -> None:
    assert class_colours(load_label_set("dlrsd").names) == load_label_set("dlrsd").colours
    others = class_colours(["land", "sea"])
    assert len(set(others)) == 2
    assert others == class_colours(("land", "sea"))


def test_ids_alone_get_distinct_colours_that_stay() -> None:
    ids_only = LabelSet("x", ("a", "b", "c"), (0, 1, 2))
    assert len(set(ids_only.colours)) == 3
    assert ids_only == LabelSet("x", ("a", "b", "c"), (0, 1, 2))
    many = distinct_colours(255)
    assert len(set(many)) == 255
    assert set(distinct_colours(255, avoid=many[:9])).isdisjoint(many[:9])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"names": ()}, "has 0 classes; wanted 1 to 255"),
        ({"names": tuple(map(str, range(256))), "ids": tuple(range(256))}, "has 256 classes; wanted 1 to 255"),
        ({"names": ("a", "a")}, "class name a occurs twice"),
        ({"names": ("a", " b")}, "class name ' b'"),
        ({"names": ("a", "")}, "class name ''"),
        ({"ids": (1,)}, "has 1 ids for 2 classes"),
        ({"ids": (1, 1)}, "id 1 occurs twice"),
        ({"ids": (1, 70_000)}, "id 70000; wanted 0 to 65535"),
        ({"ids": (1, -1)}, "id -1; wanted 0 to 65535"),
        ({"ignore_ids": (2,)}, "id 2 occurs twice"),
        ({"colours": ((0, 0, 1),)}, "has 1 colours for 2 classes"),
        ({"colours": ((0, 0, 1), (0, 0, 1))}, "colour #000001 occurs twice"),
        ({"colours": ((0, 0, 1), (0, 0, 256))}, r"colour \(0, 0, 256\)"),
        ({"ignore_colours": ((9, 9, 9),)}, "colour #090909 occurs twice"),
        ({"ids": None, "colours": ()}, "has 0 colours for 2 classes"),
    ],
)
def test_sets_that_contradict_themselves(values: dict, words: str) -> None:
    sound = {"names": ("a", "b"), "ids": (1, 2), "colours": ((9, 9, 9), (8, 8, 8))}
    if "names" in values and len(values["names"]) != 2:
        sound.pop("colours")
    with pytest.raises(InputError, match=words):
        LabelSet("x", **{**sound, **values})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]", "wanted a mapping with classes"),
        ("{}", "has no 'classes'"),
        ('{"classes": []}', "empty"),
        ('{"classes": [{"name": "a"}]}', "neither ids nor colours"),
        ('{"classes": [{"id": 1}]}', "class 1: has no 'name'"),
        ('{"classes": ["a"]}', "class 1: is 'a'"),
        ('{"classes": [{"name": "a", "color": "#000000"}]}', "has the entry 'color'; wanted only colour, id, name"),
        ('{"classes": [{"name": "a", "id": 1}, {"name": "b"}]}', "class 'b' has no id"),
        ('{"classes": [{"name": "a", "id": "1"}]}', "holds '1'; wanted a whole number"),
        ('{"classes": [{"name": "a", "id": true}]}', "holds True; wanted a whole number"),
        ('{"classes": [{"name": 7, "id": 1}]}', "is 7; wanted text"),
        ('{"classes": [{"name": "a", "colour": "red"}]}', "colour 'red'; wanted \"#RRGGBB\""),
        ('{"classes": [{"name": "a", "id": 1}], "ignore_ids": 0}', "`ignore_ids` is 0; wanted a list"),
        ('{"classes": [{"name": "a", "id": 1}', "is not valid JSON"),
    ],
)
def test_files_that_are_no_label_set(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        load_label_set(tmp_path / "a.json")
    assert str(caught.value).startswith(str(tmp_path / "a.json"))


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such label set file; wanted a file, or one of dlrsd, dubai"):
        load_label_set("dlsrd")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InputError, match=r"type '\.txt'; wanted \.toml"):
        load_label_set(tmp_path / "a.txt")
    (tmp_path / "a.toml").write_text("classes = [")
    with pytest.raises(InputError, match="not valid TOML"):
        load_label_set(tmp_path / "a.toml")
    (tmp_path / "a.yaml").write_text("classes: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load_label_set(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_bytes(b"classes: \xff")
    with pytest.raises(InputError, match="not valid YAML"):
        load_label_set(tmp_path / "b.yaml")
    # In YAML # begins a comment: the colour is gone before anyone reads it.
    (tmp_path / "c.yaml").write_text("classes:\n  - name: a\n    colour: #8429F6\n")
    with pytest.raises(InputError, match="in YAML, put the colour in quotes"):
        load_label_set(tmp_path / "c.yaml")


colour = st.tuples(*[st.integers(0, 255)] * 3)


@st.composite
def label_sets(draw: st.DrawFn) -> LabelSet:
    names = draw(
        st.lists(st.text("abc é&", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=6, unique=True)
    )
    ids = draw(st.lists(st.integers(0, 65535), min_size=len(names) + 2, max_size=len(names) + 2, unique=True))
    colours = draw(st.lists(colour, min_size=len(names) + 2, max_size=len(names) + 2, unique=True))
    count = len(names)
    by_colour = draw(st.booleans())
    return LabelSet(
        "drawn",
        tuple(names),
        None if by_colour else tuple(ids[:count]),
        tuple(colours[:count]),
        () if by_colour else tuple(ids[count:]),
        tuple(colours[count:]),
    )


@settings(max_examples=50)
@given(label_sets())
def test_json_round_trip(label_set: LabelSet) -> None:
    back = LabelSet.from_json(json.loads(json.dumps(label_set.to_json())))
    assert back == label_set
    assert back.content_hash() == label_set.content_hash()


def test_hash_depends_on_meaning_not_on_the_sets_name() -> None:
    first = LabelSet("x", ("a", "b"), (1, 2))
    assert first.content_hash() == LabelSet("y", ("a", "b"), (1, 2)).content_hash()
    assert first.content_hash() != LabelSet("x", ("b", "a"), (1, 2)).content_hash()
    assert first.content_hash() != LabelSet("x", ("a", "b"), (2, 1)).content_hash()
    assert first.content_hash() != LabelSet("x", ("a", "b"), (1, 2), ignore_ids=(0,)).content_hash()


@settings(max_examples=50)
@given(colour)
def test_colour_spelling(value: tuple[int, int, int]) -> None:
    assert read_colour(spell_colour(value)) == value
    assert read_colour(list(value)) == value


def test_a_file_of_one_class_has_a_rest(tmp_path: Path) -> None:
    file = tmp_path / "buildings.toml"
    file.write_text('classes = [{ name = "building", id = 255 }]')
    found = load_label_set(file)
    assert (found.names, found.ids, found.rest) == (("building", "other"), (255,), True)
    assert (found.listed, found.otherwise) == (("building",), 1)
    assert len(set(found.colours)) == 2
    assert LabelSet.from_json(json.loads(json.dumps(found.to_json()))) == found
    file.write_text('rest = "background"\nclasses = [{ name = "building", colour = "#FFFFFF" }]')
    named = load_label_set(file)
    assert (named.names, named.ids, named.colours[0]) == (("building", "background"), None, (255, 255, 255))
    # What was written before there was a rest, a run that learned one tag for example, stays what it was.
    single = LabelSet("tags", ("dock",), (0,))
    assert LabelSet.from_json(single.to_json()) == single
    with pytest.raises(InputError, match="class name building occurs twice"):
        LabelSet("x", ("building", "building"), (1,), rest=True)
