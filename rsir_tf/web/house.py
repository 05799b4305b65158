"""One index, one model and what is remembered of them: everything that visitors ask goes through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError
from rsir_tf.processors import usable_cores
from rsir_tf.web.question import PAGE, Question
from rsir_tf.web.uploads import Uploads
from rsir_tf.web.work import Work
from rsir_tf.workflows.browsing import Browsed, Wanted, WatchedIndex
from rsir_tf.workflows.given_images import UPLOAD_PIXELS, own_file, read_upload
from rsir_tf.workflows.query_windows import QueryWindow
from rsir_tf.workflows.remembered_answers import RememberingModel

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.ranking import Candidates
    from rsir_tf.rasters import Source
    from rsir_tf.workflows.query_results import RankedHits
    from rsir_tf.workflows.shown_regions import ShownRegion
    from rsir_tf.workflows.thumbnails import ThumbnailCache

UPLOAD_BYTES = 32_000_000
"""Of an uploaded file at most."""


class NotFoundError(InputError):
    """There is no such image, or no such upload any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a question found.

    Attributes:
        question: That was asked.
        browsed: The state of the index that was searched.
        result: The hits; a `QueryResult` where an image asked.
        name: What the query is called.
        scheme: The scheme in use.
    """

    question: Question
    browsed: Browsed
    result: RankedHits
    name: str
    scheme: str


class House:
    """What all visitors share. Methods take time and run in threads, by `asking` or `pictures`.

    Args:
        index: That is shown.
        model: The one that made it.
        thumbnails: Where small pictures are kept.
        upload_bytes: Of an uploaded file at most.
        upload_pixels: Of an uploaded image at most.
    """

    def __init__(
        self,
        index: WatchedIndex,
        model: Model,
        thumbnails: ThumbnailCache,
        *,
        upload_bytes: int = UPLOAD_BYTES,
        upload_pixels: int = UPLOAD_PIXELS,
    ) -> None:
        self.index, self.thumbnails = index, thumbnails
        self.model = RememberingModel(model)
        self.upload_bytes, self._upload_pixels = upload_bytes, upload_pixels
        self.uploads = Uploads()
        threads = max(2, usable_cores())
        self.asking = Work("questions", threads, 64)
        self.pictures = Work("pictures", threads, 1000)

    def close(self) -> None:
        """Begin nothing any more."""
        self.asking.close()
        self.pictures.close()
        self.model.close()
        self.thumbnails.close()

    def images(self, question: Question) -> tuple[Browsed, Any]:
        """The index, and the rows of the images that the question's conditions leave, int64 [k]."""
        browsed = self.index.current()
        limits = self.candidates(question, browsed)
        return browsed, browsed.select(Wanted()) if limits is None else limits.rows

    def page(self, question: Question) -> tuple[Browsed, list[int], int]:
        """The index, the rows of one page of images, and the number of images on all pages."""
        browsed, rows = self.images(question)
        first = (question.page - 1) * PAGE
        return browsed, rows[first : first + PAGE].tolist(), len(rows)

    def ask(self, question: Question) -> Found:
        """Search: with one image, with further ones as examples, or with examples alone.

        Raises:
            NotFoundError: There is no such image.
            InputError: It cannot be asked with, or the question contradicts itself.
            MismatchError: The model is not the index's.
            ModelError: The model does not answer.
        """
        from rsir_tf.ranking import DEFAULT_REGION_SCHEME, DEFAULT_SCHEME
        from rsir_tf.workflows import query_image, query_together, refine

        browsed = self.index.current()
        one_region = question.region is not None or question.at is not None
        scheme = question.scheme or (DEFAULT_REGION_SCHEME if one_region else DEFAULT_SCHEME)
        options: dict[str, Any] = {
            "scheme": scheme,
            "metric": question.metric,
            "direction": question.direction,
            "vectors": question.vectors,
            "method": question.method or "rocchio",
            "top": question.top,
            "unlikes": question.unlike,
            "among": self.candidates(question, browsed),
        }
        for image in (*question.id[1:], *question.like, *question.unlike):
            self.row_of(browsed, image)
        if not (question.id or question.upload or question.path):
            return Found(question, browsed, refine(browsed.index, question.like, **options), "examples", scheme)
        sources, names, further, part = self.sources(question, browsed)
        options |= {"likes": (*further, *question.like), "tags_overlap": question.overlap, "part": part}
        result: RankedHits
        if len(sources) == 1:
            options |= {"region": question.region, "at": question.at}
            result = query_image(sources[0], browsed.index, self.model, **options)
        elif one_region:
            raise InputError(f"a region is picked, and {len(sources)} images ask", wanted="one image")
        else:
            result = query_together(sources, browsed.index, self.model, **options)
        return Found(question, browsed, result, ", ".join(names), scheme)

    def candidates(self, question: Question, browsed: Browsed) -> Candidates | None:
        """The images that may be hits; None for all."""
        from rsir_tf.ranking import Candidates

        wanted = Wanted(question.scene, question.tag, question.shows, question.text or "")
        if not wanted and not question.area:
            return None
        rows = browsed.select(wanted)
        if question.area:
            rows = browsed.within(question.area, rows)
        return Candidates(rows, complete=True)

    def sources(
        self, question: Question, browsed: Browsed
    ) -> tuple[list[Source | str], list[str], tuple[str, ...], QueryWindow | None]:
        """The images that are shown to the model, and which part of them asks.

        Returns:
            The images; what all that ask are called; the ids of further ones, which the index describes; and the part.

        Raises:
            NotFoundError: There is no such image, or its picture is not what was indexed.
            InputError: Nothing is asked with.
        """
        from rsir_tf.rasters import open_source

        found: list[tuple[Source | str, str]] = []
        part = None
        if question.path:
            part = QueryWindow(question.window, question.lonlat, question.bbox) or None
            found.append((own_file(question.path, browsed), question.path))
        for name in question.upload:
            held = self.uploads.get(name)
            if held is None:
                raise NotFoundError("this upload is gone", cure="upload the image again")
            found.append((held, held.name))
        further = question.id
        if not found:
            if not further:
                raise InputError("no image is named to ask with", wanted="id, upload or path")
            row = self.row_of(browsed, further[0])
            problem = self._problem(browsed, row)
            if problem is not None:
                raise NotFoundError(f"{further[0]}: its picture {problem}, so that it cannot be asked with")
            found.append((open_source(browsed.index.address_of(row)), further[0]))
            further = further[1:]
        return [source for source, _ in found], [name for _, name in found] + list(further), further, part

    def row_of(self, browsed: Browsed, image: str) -> int:
        """The row of an image.

        Raises:
            NotFoundError: There is no such image.
        """
        try:
            return browsed.index.row_of(image)
        except InputError as error:
            raise NotFoundError(f"the index holds no image {image!r}", cure="check the id") from error

    def thumbnail(self, image: str) -> bytes:
        """The thumbnail of an image, JPEG."""
        browsed = self.index.current()
        return self.thumbnails.of(browsed.index, self.row_of(browsed, image))

    def picture(self, question: Question) -> bytes:
        """The picture that asks, or of an image of the archive, as it is or smaller, JPEG."""
        from rsir_tf.rasters import read_pixels
        from rsir_tf.workflows.query_windows import query_reading, query_source
        from rsir_tf.workflows.thumbnails import LARGEST_SIDE, indexed_pixels, jpeg

        browsed = self.index.current()
        if len(question.id) == 1:
            return jpeg(indexed_pixels(browsed.index, self.row_of(browsed, question.id[0])), LARGEST_SIDE)
        sources, _, _, part = self.sources(question, browsed)
        pixels = read_pixels(query_source(sources[0], query_reading(browsed.index), part))
        return jpeg(pixels.values, LARGEST_SIDE)

    def regions(self, image: str) -> tuple[tuple[int, int], list[ShownRegion]]:
        """(height, width) of an image of the archive as the model sees it, and its regions.

        Raises:
            NotFoundError: There is no such image, or its picture is not what was indexed.
        """
        from rsir_tf.workflows.hit_regions import look_at
        from rsir_tf.workflows.shown_regions import shown_regions

        browsed = self.index.current()
        (seen,) = look_at([self.row_of(browsed, image)], browsed.index, self.model)
        if isinstance(seen, str):
            raise NotFoundError(f"{image}: its picture {seen}")
        height, width = seen.image.shape[:2]
        return (height, width), shown_regions(seen.regions, browsed.index.settings.class_names)

    def keep(self, content: bytes, name: str) -> str:
        """Read an uploaded image and keep it for a while; its name in addresses is returned."""
        held = read_upload(content, name, self.index.current().index, most_pixels=self._upload_pixels)
        return self.uploads.add(held)

    @staticmethod
    def _problem(browsed: Browsed, row: int) -> str | None:
        from rsir_tf.workflows.hit_pictures import look_up

        return look_up(browsed.index, row).problem
