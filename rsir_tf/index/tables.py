"""A table of a segment: a Parquet file in groups of rows, so that a few of them are read without decoding the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ArtifactError


class Table:
    """A Parquet file in memory, of which only what is asked for is decoded.

    Args:
        buffer: The file's bytes, usually memory-mapped (pyarrow.Buffer).
        rows: How many rows it should have.
        damaged: Makes the error to raise where the file has changed since it was written.
        frugal: Keep decoded only the groups of rows that were needed last; otherwise all that were ever needed.

    Raises:
        ArtifactError: From `damaged`, here and from each method: it is no table, or has another number of rows.
    """

    def __init__(self, buffer: Any, rows: int, damaged: Callable[[str], ArtifactError], *, frugal: bool) -> None:
        self._buffer, self._rows, self._damaged, self._frugal = buffer, rows, damaged, frugal
        self._decoded: dict[int, Any] = {}

    @property
    def schema(self) -> Any:
        """Names and types of its columns (pyarrow.Schema); older segments lack some."""
        return self._metadata.schema.to_arrow_schema()

    def read(self, columns: Sequence[str]) -> Any:
        """Decode some columns of all rows; those that the table lacks are left out (pyarrow.Table)."""
        known = set(self.schema.names)
        wanted = [name for name in columns if name in known]
        return self._decode(lambda file: file.read(wanted, use_threads=False), self._metadata)

    def rows(self, first: int, last: int) -> Any:
        """Decode the rows from `first` up to `last`, which does not belong to them (pyarrow.Table)."""
        import pyarrow as pa

        if first == last:
            return self.schema.empty_table()
        begin, end = (np.searchsorted(self._starts, (first, last - 1), side="right") - 1).tolist()
        known = self._decoded
        needed = {at: known[at] if at in known else self._group(at) for at in range(begin, end + 1)}
        self._decoded = needed if self._frugal else {**known, **needed}
        return pa.concat_tables(needed.values()).slice(first - int(self._starts[begin]), last - first)

    def parts(self, kept: NDArray[np.bool_]) -> Iterator[Any]:
        """Decode the rows that are kept, bool [rows], one group after another (pyarrow.Table)."""
        import pyarrow as pa

        for number, (first, last) in enumerate(zip(self._starts[:-1], self._starts[1:], strict=True)):
            yield self._group(number).filter(pa.array(kept[first:last]))

    @cached_property
    def _metadata(self) -> Any:
        metadata = self._decode(lambda file: file.metadata, None)
        if metadata.num_rows != self._rows:
            raise self._damaged(f"has {metadata.num_rows} rows, the manifest says {self._rows}")
        return metadata

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """int64 [groups + 1], the first row of each group, and the number of rows."""
        counts = [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]
        return np.cumsum([0, *counts], dtype=np.int64)

    def _group(self, number: int) -> Any:
        return self._decode(lambda file: file.read_row_group(number, use_threads=False), self._metadata)

    def _decode(self, read: Callable[[Any], Any], metadata: Any) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        source = pa.BufferReader(self._buffer)
        try:
            # A reader of its own each time: several threads may read.
            return read(parquet.ParquetFile(source, metadata=metadata, page_checksum_verification=True))
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(f"is not a readable table ({error})") from error


def write_table(parts: Iterable[Any], schema: Any, file: Path, rows: int) -> None:
    """Write a Parquet file whose bytes depend only on its rows and on the library's version.

    Args:
        parts: Tables (pyarrow), which follow each other; columns of the schema that one lacks are null there.
        schema: Names and types of the columns (pyarrow).
        file: A new file.
        rows: In a group; the last one has fewer.
    """
    import pyarrow as pa
    from pyarrow import parquet

    # Without Arrow's schema in the metadata; and with page checksums, so that reading finds a flipped bit in a table.
    with parquet.ParquetWriter(
        file, schema, compression="zstd", store_schema=False, write_page_checksum=True
    ) as writer:
        waiting = schema.empty_table()
        for part in parts:
            waiting = pa.concat_tables([waiting, part], promote_options="default")
            while waiting.num_rows >= rows:
                writer.write_table(waiting.slice(0, rows).combine_chunks(), row_group_size=rows)
                waiting = waiting.slice(rows)
        if waiting.num_rows:
            writer.write_table(waiting.combine_chunks(), row_group_size=rows)
