"""Whether what lies behind a URL may have changed."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request

from rsir_tf.rasters.source import MISSING, Fingerprint

_SECONDS = 20.0
_GONE = (404, 410)
UNKNOWN = Fingerprint(0, 0)
"""Of what is behind a URL that tells nothing: it counts as unchanged."""


def remote_fingerprint(url: str) -> Fingerprint:
    """Ask a server for the size of a file and for what it marks its version with (ETag, or the time of change).

    Args:
        url: http:// or https://; of other URLs nothing is known.

    Returns:
        The fingerprint; `MISSING` where the server says that there is no such file, and `UNKNOWN` where it says nothing
        or does not answer.
    """
    if not url.startswith(("http://", "https://")):
        return UNKNOWN
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    except urllib.error.HTTPError as error:
        return MISSING if error.code in _GONE else UNKNOWN
    except (OSError, ValueError):
        return UNKNOWN
    digest = hashlib.blake2b(version.encode(), digest_size=7).digest()
    return Fingerprint(size, int.from_bytes(digest, "big"))
