"""MLRSNet: 46 categories, 60 labels, 109,161 images, one CSV a category.

Source: Qi, Zhu, Wang and others, MLRSNet: a multi-label high spatial resolution remote sensing dataset for semantic
scene understanding, ISPRS Journal 169, 2020. The published CSVs are damaged: 3,471 rows carry 14 to 40 labels where the
data set says 1 to 13, no row of `stadium` has the label `stadium`, none of `storage_tank` has `tanks`. `repair` mends
what an independent copy of 9,816 rows confirms: in eight categories only labels that the category's published list has
are kept, and the two missing labels are added. Names are kept as published (`swimmimg_pool`, `habor`).
"""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from itertools import compress
from pathlib import Path, PurePosixPath
from typing import Any

from rsir_tf.archives.records import Archive
from rsir_tf.errors import InputError, why

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class MlrsnetLabels:
    """What the CSVs say.

    Attributes:
        folder: Where they lie.
        names: All labels, in the order of the columns of the first CSV that has what most have.
        rows: Image name → its labels, sorted.
        categories: Image name → its category, the CSV's name.
        repairs: What was repaired, one line each; empty where nothing was, or repair was not wanted.
        remarks: What is missing from all files, one line each.
    """

    folder: Path
    names: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]
    categories: dict[str, str]
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def find_mlrsnet(root: Path) -> Path | None:
    """Find the folder of MLRSNet's CSVs in an archive's folder: `labels`, in any case, with a category's CSV in it.

    Args:
        root: The archive's folder, or its folder `Images`.
    """
    known = {f"{category}.csv" for category in category_labels()}
    places = [root, root.resolve().parent] if root.resolve().name.lower() == "images" else [root]
    for place in places:
        for folder in sorted(place.iterdir()):
            if folder.name.lower() == "labels" and folder.is_dir() and any(f.name in known for f in folder.iterdir()):
                return folder
    return None


def category_labels() -> dict[str, tuple[str, ...]]:
    """The published list of labels that occur in each category, by category."""
    return {category: tuple(labels) for category, labels in _facts()["categories"].items()}


def repair_rules() -> tuple[tuple[str, ...], dict[str, str]]:
    """The categories whose rows keep listed labels alone, and the label that is added to each row of a category."""
    rules = _facts()["repair"]
    return tuple(rules["keep_listed"]), dict(rules["add"])


def _facts() -> dict[str, Any]:
    file = resources.files("rsir_tf.archives") / "label_sets" / "mlrsnet_categories.toml"
    facts: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    return facts


def read_mlrsnet_labels(folder: Path, *, repair: bool = True) -> MlrsnetLabels:
    """Read all CSVs of a folder; the images need not be there.

    Columns may stand in any order, but each CSV has the same: those that most have, of MLRSNet's 60 labels. A byte
    order mark, Windows line ends, blank lines and space around values do no harm.

    Args:
        folder: With `<category>.csv` files; other files are not looked at.
        repair: Mend the published damage; what was changed is counted in `repairs`. A label that no CSV has is told in
            `remarks`.

    Raises:
        InputError: There is no CSV, or one is no UTF-8 text, lacks a column, has a blank or double one, other values
            than 0 and 1, or names an image twice; file and line are named.
    """
    files = sorted(file for file in folder.glob("*.csv") if not file.name.startswith("."))
    if not files:
        raise InputError(f"{folder}: no CSV here", wanted="MLRSNet's, one a category", cure="check the path")
    tables = {file: _read_csv(file) for file in files}
    names = _common_columns({file: columns for file, (columns, _) in tables.items()})
    rows: dict[str, tuple[str, ...]] = {}
    categories: dict[str, str] = {}
    for file, (_, found) in tables.items():
        for image, own in found.items():
            if image in rows:
                raise InputError(
                    f"{file}: names {image}, which {categories[image]}.csv has", wanted="each image in one file"
                )
            rows[image], categories[image] = own, file.stem
    labels = MlrsnetLabels(folder, names, rows, categories, remarks=_lacking(names))
    return _repaired(labels) if repair else labels


def _common_columns(columns: dict[Path, tuple[str, ...]]) -> tuple[str, ...]:
    """The columns that most files have, in the order of the first of them; of as many, those with most known labels.

    Raises:
        InputError: A file has others; it and one of them are named.
    """
    files = Counter(map(frozenset, columns.values()))
    known = _known_labels()
    # Equal counts and labels: the first file's, for dictionaries and `max` keep to the order.
    wanted = max(files, key=lambda own: (files[own], len(own & known), -len(own - known)))
    first, *others = [file for file, own in columns.items() if set(own) == wanted]
    for file, own in columns.items():
        if set(own) != wanted:
            other = sorted(wanted.symmetric_difference(own))[0]
            verb = "lacks" if other in wanted else "has"
            more = f" and {len(others)} other files" if others else ""
            raise InputError(
                f"{file}: {verb} a column {other!r}", wanted=f"the columns of {first.name}{more}, in any order"
            )
    return columns[first]


def _lacking(names: tuple[str, ...]) -> tuple[str, ...]:
    """A line on MLRSNet's labels that no file has a column for."""
    lacking = sorted(_known_labels().difference(names))
    if not lacking:
        return ()
    words = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
    return (f"no CSV has a column for {len(lacking)} of MLRSNet's {len(_known_labels())} labels: {words}",)


def _known_labels() -> frozenset[str]:
    return frozenset(name for own in category_labels().values() for name in own)


def with_mlrsnet_labels(archive: Archive, labels: MlrsnetLabels) -> Archive:
    """Give an archive's records their labels as tags and their category as scene.

    Args:
        archive: Images without a row keep tags None; rows without an image become `orphan_tags`: an archive may hold a
            part of the images.
        labels: From `read_mlrsnet_labels`.

    Raises:
        InputError: No row names an image of the archive, or two images have one name.
    """
    seen: dict[str, str] = {}
    records = []
    for record in archive:
        name = PurePosixPath(record.id).name
        if name in labels.rows:
            if name in seen:
                raise InputError(
                    f"{archive.root}: {seen[name]} and {record.id} have one name", wanted="each image once"
                )
            seen[name] = record.id
            records.append(dataclasses.replace(record, tags=labels.rows[name], scene=labels.categories[name]))
        else:
            records.append(record)
    if not seen:
        raise InputError(
            f"{labels.folder}: no row names an image of {archive.root} (the first row is for "
            f"{next(iter(labels.rows), 'nothing')!r}, the first image is {archive.records[0].id})",
            cure="check that the labels belong to the archive",
        )
    return dataclasses.replace(
        archive,
        format="mlrsnet",
        records=tuple(records),
        tag_names=labels.names,
        orphan_tags=tuple(name for name in labels.rows if name not in seen),
        repairs=labels.repairs,
        remarks=(*archive.remarks, *labels.remarks),
    )


def _read_csv(file: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Columns, and the labels of each image."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {why(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not UTF-8 text ({error.reason})", cure="save it as UTF-8") from error
    lines = csv.reader(text.splitlines())
    header = [cell.strip() for cell in next((line for line in lines if any(map(str.strip, line))), [])]
    if "image" not in header:
        raise InputError(f"{file}: begins with {','.join(header)[:40]!r}", wanted="a header with a column 'image'")
    if "" in header or len(set(header)) < len(header):
        wrong = next(name for name in header if not name or header.count(name) > 1)
        what = f"names the column {wrong!r} twice" if wrong else f"has no name for column {header.index('') + 1}"
        raise InputError(f"{file}: the header {what}", wanted="each label once")
    place = header.index("image")
    names = tuple(name for name in header if name != "image")
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        where = f"{file}: line {lines.line_num}"
        if len(cells) != len(header):
            raise InputError(f"{where} has {len(cells)} values", wanted=f"{len(header)}, one a column")
        image = cells.pop(place)
        if set(cells) - {"0", "1"}:
            wrong = next(cell for cell in cells if cell not in {"0", "1"})
            raise InputError(f"{where} ({image}) has {wrong!r} for {names[cells.index(wrong)]}", wanted="0 or 1")
        if not image or image in found:
            raise InputError(
                f"{where} names the image {image!r} " + ("again" if image else ""), wanted="each image once"
            )
        found[image] = tuple(sorted(compress(names, map("1".__eq__, cells))))
    return names, found


def _repaired(labels: MlrsnetLabels) -> MlrsnetLabels:
    listed, (keep, add) = category_labels(), repair_rules()
    rows = dict(labels.rows)
    dropped: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    added: Counter[str] = Counter()
    for image, category in labels.categories.items():
        if category in keep:
            kept = tuple(name for name in rows[image] if name in listed[category])
            dropped[category] += len(rows[image]) - len(kept)
            cut[category] += len(kept) < len(rows[image])
            rows[image] = kept
        if category in add and add[category] in labels.names and add[category] not in rows[image]:
            rows[image] = tuple(sorted((*rows[image], add[category])))
            added[category] += 1
    lines = [
        f"{category}: {count:,} labels that its list lacks removed from {cut[category]:,} rows"
        for category, count in _some(dropped)
    ]
    lines += [f"{category}: label {add[category]!r} added to {count:,} rows" for category, count in _some(added)]
    return dataclasses.replace(labels, rows=rows, repairs=tuple(lines))


def _some(counts: Counter[str]) -> Iterable[tuple[str, int]]:
    return [(category, count) for category, count in sorted(counts.items()) if count]
