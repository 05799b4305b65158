"""What a URL's server says of a file before GDAL reads it: whether it is there, its version, whether parts are sent."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache

from rsir_tf.errors import InputError
from rsir_tf.rasters.source import MISSING, Fingerprint

UNKNOWN = Fingerprint(0, 0)
"""The fingerprint of a URL whose server does not answer: the file may be there, so that it is not `MISSING`."""

_SECONDS = 10  # a server's time to answer
_KEPT_SECONDS = 60  # how long an answer counts
_GONE, _DENIED = (404, 410), (401, 403)


@dataclass(frozen=True, slots=True)
class Remote:
    """A server's answer about a file.

    Attributes:
        size: Bytes; −1 where it is not said.
        version: ETag, or time of change, as the server gives it; empty where it gives neither.
        ranges: Whether it sends parts of files.
        failure: Why it gives nothing, in words; empty where it does.
        gone: Whether it says that there is no such file.
        denied: Whether it says that we may not read it.
    """

    size: int = -1
    version: str = ""
    ranges: bool = True
    failure: str = ""
    gone: bool = False
    denied: bool = False

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's size and its version as a number."""
        if self.failure:
            return MISSING if self.gone else UNKNOWN
        digest = hashlib.blake2b(self.version.encode(), digest_size=7)  # Below 2⁶³, which tables hold.
        return Fingerprint(self.size, int.from_bytes(digest.digest(), "big"))


def ask(url: str) -> Remote:
    """Ask the server about a file; the answer counts for a minute."""
    return _ask(url, int(time.monotonic() // _KEPT_SECONDS))


def forget() -> None:
    """Forget all answers, after something has failed."""
    _ask.cache_clear()


def refuse_remote(url: str) -> None:
    """Refuse a URL that cannot be read in parts.

    Raises:
        InputError: There is no such file, or the server sends whole files alone.
    """
    answer = ask(url)
    if answer.gone:
        raise InputError(f"{url}: {answer.failure}", cure="check the URL")
    if not answer.failure and not answer.ranges:
        raise InputError(
            f"{url}: its server does not send parts of files (it ignores range requests)",
            wanted="a server that answers range requests",
            cure="download the file first",
        )


@lru_cache(maxsize=4096)
def _ask(url: str, minute: int) -> Remote:
    return _ask_bucket(url) if url.startswith("s3://") else _ask_server(url)


def _ask_server(url: str) -> Remote:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    # A request for the first byte: servers and signed URLs that refuse HEAD answer it, and it shows whether parts come.
    request = Request(url, headers={"Range": "bytes=0-0", "User-Agent": "rsir_tf"})
    try:
        with urlopen(request, timeout=_SECONDS) as answer:
            headers = answer.headers
            ranges = answer.status == 206
            length = (
                headers.get("Content-Range", "").rpartition("/")[2] if ranges else headers.get("Content-Length", "")
            )
            version = headers.get("ETag") or headers.get("Last-Modified") or ""
            return Remote(int(length) if length.isdigit() else -1, version, ranges)
    except HTTPError as error:
        if error.code == 416:  # An empty file has no first byte.
            return Remote(0, error.headers.get("ETag") or "")
        failure = f"the server answers {error.code} ({error.reason})"
        return Remote(failure=failure, gone=error.code in _GONE, denied=error.code in _DENIED)
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return Remote(failure=f"the server cannot be reached ({reason})")


def _ask_bucket(url: str) -> Remote:
    import os

    from pyarrow import fs

    options: dict[str, object] = {}
    if endpoint := os.environ.get("AWS_S3_ENDPOINT"):  # GDAL's names of these variables
        secure = os.environ.get("AWS_HTTPS", "YES").upper() not in ("NO", "FALSE", "OFF")
        options |= {"endpoint_override": endpoint, "scheme": "https" if secure else "http"}
        options["force_virtual_addressing"] = False
    if os.environ.get("AWS_NO_SIGN_REQUEST", "NO").upper() in ("YES", "TRUE", "ON"):
        options["anonymous"] = True
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        options["region"] = region
    try:
        found = fs.S3FileSystem(connect_timeout=_SECONDS, request_timeout=_SECONDS, **options).get_file_info(url[5:])
    except OSError as error:
        if "ACCESS_DENIED" in str(error):
            return Remote(failure="the store does not give it to us (access denied)", denied=True)
        return Remote(failure=f"the store cannot be asked ({' '.join(str(error).split())[:200]})")
    if found.type != fs.FileType.File:
        return Remote(failure="the store has no such object", gone=True)
    return Remote(found.size, str(found.mtime_ns))
