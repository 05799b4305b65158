"""Collections of Qdrant, over its REST interface."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from rsir_tf.databases.collection import Point, VectorKind
from rsir_tf.errors import DatabaseError, InputError
from rsir_tf.progress import Progress

KEY = "QDRANT_API_KEY"
"""The environment variable that holds the server's API key, if it wants one."""

PORT = 6333
SECONDS = 120
"""How long a request may take: an upsert waits until the server has written it."""

_OURS = "rsir_tf"
"""Where the collection's metadata has our facts."""

_VECTORS = "vectors"
"""The name of a point's vectors. Only where they have a name can a point be without any."""

_IDS = uuid.UUID("7f1c0c0e-6c0b-5f0e-9a52-0c6f1f1d1c3a")
"""The namespace in which an image's id gives its point's id."""

_POINTS_AT_ONCE = 4096
_SECONDS_BETWEEN_LOOKS = 0.5


class QdrantCollection:
    """See `Collection`.

    Args:
        address: qdrant://HOST:PORT/COLLECTION; with qdrant+https:// the connection is encrypted.
        client: A `qdrant_client.QdrantClient`; None connects to the address.

    Raises:
        InputError: This is no such address.
        DatabaseError: qdrant-client is not installed.
    """

    most_numbers = (1 << 20) - 1
    """Qdrant refuses points whose vectors have 1,048,576 numbers or more together."""

    def __init__(self, address: str, client: Any = None) -> None:
        self.address = address
        host, port, encrypted, self._name = _parts(address)
        try:
            import qdrant_client
        except ModuleNotFoundError as error:
            raise DatabaseError("qdrant-client is not installed", cure="pip install 'rsir_tf[qdrant]'") from error
        self._models = qdrant_client.models
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A key over plain HTTP is right within a trusted network.
            self._client = client or qdrant_client.QdrantClient(
                url=f"{'https' if encrypted else 'http'}://{host}:{port}",
                api_key=os.environ.get(KEY) or None,
                timeout=SECONDS,
                check_compatibility=False,  # It would ask the server at once, and only warn.
            )

    def facts(self) -> dict[str, Any] | None:
        """See `Collection.facts`."""
        with self._asking():
            if not self._client.collection_exists(self._name):
                return None
            metadata = self._client.get_collection(self._name).config.metadata or {}
        if _OURS not in metadata:
            raise DatabaseError(
                f"{self.address}: was not made by rsir-tf publish",
                cure="name another collection; rsir-tf publish makes it",
            )
        facts: dict[str, Any] = metadata[_OURS]
        return facts

    def create(self, kind: VectorKind, facts: dict[str, Any]) -> None:
        """See `Collection.create`."""
        with self._asking():
            self._client.create_collection(
                self._name, vectors_config={_VECTORS: self._config(kind)}, metadata={_OURS: facts}
            )
            kept = self._client.get_collection(self._name).config.metadata
        if not kept:
            raise DatabaseError(
                f"{self.address}: the server keeps no metadata of collections", wanted="Qdrant 1.16 or newer"
            )

    def require(self, kind: VectorKind) -> None:
        """See `Collection.require`."""
        with self._asking():
            every = self._client.get_collection(self._name).config.params.vectors
        found, wanted = every.get(_VECTORS) if isinstance(every, dict) else every, self._config(kind)
        if found is None or _described(found) != _described(wanted):
            held = "no vectors" if found is None else _described(found)
            raise DatabaseError(
                f"{self.address}: holds {held}",
                wanted=_described(wanted),
                cure="publish the index into another collection",
            )

    def note(self, facts: dict[str, Any]) -> None:
        """See `Collection.note`."""
        with self._asking():
            self._client.update_collection(self._name, metadata={_OURS: facts})

    def stored(self) -> Iterator[tuple[str, str]]:
        """See `Collection.stored`."""
        offset = None
        while True:
            with self._asking():
                points, offset = self._client.scroll(
                    self._name, limit=_POINTS_AT_ONCE, offset=offset, with_payload=True, with_vectors=False
                )
            for point in points:
                payload = point.payload or {}
                yield str(payload.get("image")), str(payload.get("digest"))
            if offset is None:
                return

    def put(self, points: Sequence[Point]) -> None:
        """See `Collection.put`."""
        of_regions = self._of_regions
        sent = [
            self._models.PointStruct(
                id=_point_id(point.image),
                vector={_VECTORS: _lists(point.vectors, of_regions)} if len(point.vectors) else {},
                payload={"image": point.image, "digest": point.digest},
            )
            for point in points
        ]
        with self._asking():
            self._client.upsert(self._name, points=sent, wait=True)

    def remove(self, images: Sequence[str]) -> None:
        """See `Collection.remove`."""
        for first in range(0, len(images), _POINTS_AT_ONCE):
            ids = [_point_id(image) for image in images[first : first + _POINTS_AT_ONCE]]
            with self._asking():
                self._client.delete(self._name, points_selector=self._models.PointIdsList(points=ids), wait=True)

    def settle(self, progress: Progress) -> None:
        """See `Collection.settle`."""
        while True:
            with self._asking():
                info = self._client.get_collection(self._name)
            status = getattr(info.status, "value", info.status)
            if status == "green":
                return
            if status == "red":
                raise DatabaseError(f"{self.address}: Qdrant reports that building its index failed")
            progress(info.indexed_vectors_count or 0, info.points_count or 0, "Qdrant builds its index")
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def nearest(self, vectors: NDArray[np.float32], top: int, among: Sequence[str] | None = None) -> list[str]:
        """See `Collection.nearest`."""
        models = self._models
        limit = None
        if among is not None:
            limit = models.Filter(must=[models.HasIdCondition(has_id=[_point_id(image) for image in among])])
        with self._asking():
            answer = self._client.query_points(
                self._name,
                query=_lists(vectors, self._of_regions),
                using=_VECTORS,
                limit=top,
                query_filter=limit,
                with_payload=["image"],
            )
        return [str((point.payload or {}).get("image")) for point in answer.points]

    @cached_property
    def _of_regions(self) -> bool:
        with self._asking():
            vectors = self._client.get_collection(self._name).config.params.vectors
        return vectors[_VECTORS].multivector_config is not None

    def _config(self, kind: VectorKind) -> Any:
        models = self._models
        distances = {
            "l1": models.Distance.MANHATTAN,
            "l2": models.Distance.EUCLID,
            "cosine": models.Distance.COSINE,
        }
        several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        return models.VectorParams(
            size=kind.channels,
            distance=distances[kind.metric],
            multivector_config=several if kind.of_regions else None,
        )

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn what goes wrong in this block into this package's error."""
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        try:
            yield
        except UnexpectedResponse as error:
            code = error.status_code
            if code in (401, 403):
                raise DatabaseError(
                    f"{self.address}: the server refuses the API key"
                    if os.environ.get(KEY)
                    else f"{self.address}: the server wants an API key",
                    wanted=f"its key in the environment variable {KEY}",
                ) from error
            said = re.sub(r"\s+", " ", error.content.decode("utf-8", "replace"))[:300]
            if code == 404 and "t exist" in said:
                raise _gone(self.address) from error
            raise DatabaseError(f"{self.address}: the server answers with status {code}: {said}") from error
        except (ApiException, json.JSONDecodeError) as error:
            why = " ".join(str(getattr(error, "source", error)).split())[:300]
            raise DatabaseError(
                f"{self.address}: no Qdrant server answers there ({why})",
                wanted="a running server; its REST interface has port 6333 by default",
            ) from error
        except ValueError as error:  # As the client says it without a server.
            if re.search("collection .* not found", str(error), re.IGNORECASE):
                raise _gone(self.address) from error
            raise DatabaseError(f"{self.address}: {error}") from error


def _parts(address: str) -> tuple[str, int, bool, str]:
    """Host, port, whether the connection is encrypted, and the collection's name."""
    parts = urlsplit(address)
    name = parts.path.removeprefix("/")
    try:
        port = parts.port or PORT
    except ValueError:
        port = 0
    plain = parts.username is None and not parts.query and not parts.fragment
    if not parts.hostname or not port or not plain or not re.fullmatch(r"[\w.-]{1,200}", name):
        raise InputError(
            f"{address!r}: is no address of a collection",
            wanted=f"{parts.scheme}://HOST:PORT/COLLECTION, the API key in {KEY}",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host, port, parts.scheme == "qdrant+https", name


def _point_id(image: str) -> str:
    return str(uuid.uuid5(_IDS, image))


def _lists(vectors: NDArray[np.float32], of_regions: bool) -> list[Any]:
    values: list[Any] = vectors.tolist() if of_regions else vectors[0].tolist()
    return values


def _described(config: Any) -> str:
    several = ", several to a point" if config.multivector_config is not None else ""
    distance = getattr(config.distance, "value", config.distance)
    return f"vectors of {config.size} numbers, compared by {distance}{several}"


def _gone(address: str) -> DatabaseError:
    return DatabaseError(f"{address}: there is no such collection", cure="rsir-tf publish INDEX --to makes it")
