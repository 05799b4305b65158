"""The archive over HTTP, for programs and for the page itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from rsir_tf import __version__
from rsir_tf.errors import (
    ArtifactError,
    ClusterError,
    InputError,
    MismatchError,
    ModelError,
    RsirError,
    ServerUnavailableError,
)
from rsir_tf.web import fragments
from rsir_tf.web.answers import FORMATS, found_json, index_json, written
from rsir_tf.web.guard import TooLargeError
from rsir_tf.web.house import NotFoundError
from rsir_tf.web.question import PARAMETERS, Question
from rsir_tf.web.uploads import Receiving
from rsir_tf.web.work import BusyError
from rsir_tf.workflows.thumbnails import PictureMissingError

if TYPE_CHECKING:
    from rsir_tf.web.house import House

STATUS: dict[type[RsirError], int] = {
    NotFoundError: 404,
    PictureMissingError: 404,
    InputError: 400,
    MismatchError: 409,
    BusyError: 503,
    ServerUnavailableError: 503,
    ModelError: 502,
    ClusterError: 503,
    ArtifactError: 500,
    RsirError: 500,
}
"""The HTTP status of each kind of error; the first one that fits."""

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

LONG = {"Cache-Control": "private, max-age=86400, immutable"}
SHORT = {"Cache-Control": "private, max-age=60"}


def make_api(house: House) -> FastAPI:
    """Make the application; the page can be put below it.

    Args:
        house: That answers.
    """
    # The usual page for trying it out loads its program from elsewhere: it is off, and the description stays.
    app = FastAPI(
        title="rsir-tf web", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None
    )
    app.add_exception_handler(RsirError, _told(house))
    app.add_exception_handler(TooLargeError, _too_large(house))

    @app.get("/api", include_in_schema=False)
    async def routes() -> HTMLResponse:
        return HTMLResponse(fragments.routes(app.openapi()))

    @app.get("/api/index", summary="What the index holds", tags=["archive"])
    async def describe() -> dict[str, Any]:
        return await house.pictures.run(lambda: index_json(house.index.current()))

    @app.get("/api/images", summary="The images of the archive, page by page", tags=["archive"], openapi_extra=_EXTRA)
    async def images(request: Request) -> dict[str, Any]:
        browsed, rows, total = await house.pictures.run(house.page, _question(request))
        known = browsed.index.images
        shown = [{"id": known.ids[row], "scene": known.scenes[row], "tags": known.tags[row]} for row in rows]
        return {"total": total, "images": shown}

    @app.get("/api/thumbnail", summary="A small picture of an image, JPEG", tags=["archive"], response_class=Response)
    async def thumbnail(image: Annotated[str, Query(alias="id")], v: str | None = None) -> Response:
        content = await house.pictures.run(house.thumbnail, image)
        return Response(content, media_type="image/jpeg", headers=LONG if v else SHORT)

    @app.get(
        "/api/picture",
        summary="The picture of an image, JPEG",
        tags=["archive"],
        openapi_extra=_EXTRA,
        response_class=Response,
    )
    async def picture(request: Request) -> Response:
        content = await house.pictures.run(house.picture, _question(request))
        return Response(content, media_type="image/jpeg", headers=SHORT)

    @app.get("/api/regions", summary="The regions of an image, as the model sees them now", tags=["archive"])
    async def regions(image: Annotated[str, Query(alias="id")]) -> dict[str, Any]:
        (height, width), found = await house.asking.run(house.regions, image)
        return {"height": height, "width": width, "regions": [region.to_json() for region in found]}

    @app.get("/api/query", summary="What an image finds", tags=["search"], openapi_extra=_EXTRA)
    async def query(request: Request, form: Annotated[str, Query(alias="format")] = "json") -> Response:
        def work() -> bytes:
            return written(house.ask(_question(request)), form, house)

        content = await house.asking.run(work)
        name = f'attachment; filename="hits.{form}"'
        headers = {} if form == "json" else {"Content-Disposition": name}
        return Response(content, media_type=FORMATS[form], headers=headers)

    receiving = Receiving()
    body = {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}

    @app.post(
        "/api/query",
        summary="What the image in the body finds",
        tags=["search"],
        openapi_extra={**_EXTRA, "requestBody": body},
    )
    async def query_with(request: Request) -> dict[str, Any]:
        def work(content: bytes) -> dict[str, Any]:
            token = house.keep(content, _name(request))
            return found_json(house.ask(_question(request).asking(upload=(token,), **_part(request))))

        async with receiving.body(request) as content:
            return await house.asking.run(work, content)

    @app.post(
        "/api/uploads",
        summary="Bring an image, to ask with it several times",
        tags=["search"],
        openapi_extra={"requestBody": body},
    )
    async def upload(request: Request) -> dict[str, str]:
        async with receiving.body(request) as content:
            return {"upload": await house.asking.run(house.keep, content, _name(request))}

    return app


_EXTRA: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": f"{parameter.about} Wanted: {parameter.form}.",
            "schema": {"type": "array", "items": {"type": "string"}} if parameter.several else {"type": "string"},
        }
        for name, parameter in PARAMETERS.items()
    ]
}


def _question(request: Request) -> Question:
    return Question.parse(request.url.query)


def _part(request: Request) -> dict[str, Any]:
    """What of a question is about the image in the body."""
    asked = _question(request)
    return {"region": asked.region, "at": asked.at, "top": asked.top}


def _name(request: Request) -> str:
    """What an uploaded file is called: shown, and used for nothing else."""
    return unquote(request.headers.get("x-file-name", ""), errors="replace")[:200] or "the uploaded image"


def public_words(error: RsirError, house: House) -> dict[str, str | None]:
    """An error for visitors: without the folders of this machine."""

    def without_folders(text: str | None) -> str | None:
        if text is None:
            return None
        for folder in sorted({str(house.index.path), *house.index.last.index.roots.values()}, key=len)[::-1]:
            text = text.replace(f"{folder}/", "").replace(folder, "the index")
        return text

    return {
        "error": without_folders(error.found),
        "wanted": without_folders(error.wanted),
        "cure": without_folders(error.cure),
    }


def _told(house: House) -> Handler:
    async def tell(_: Request, error: RsirError) -> Response:
        status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
        headers = {"Retry-After": "2"} if status == 503 else None
        return JSONResponse(public_words(error, house), status, headers)

    return tell


def _too_large(house: House) -> Handler:
    async def tell(_: Request, error: TooLargeError) -> Response:
        return JSONResponse({"error": f"the body is larger than {house.upload_bytes:,} bytes"}, 413)

    return tell
