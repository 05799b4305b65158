"""Numbers in sentences, and URLs without their keys."""

from __future__ import annotations

import re

_KEYS = re.compile(
    r"(?i)([?&](?:sig|signature|(?:x-amz|x-goog)-(?:signature|credential|security-token)|awsaccesskeyid|googleaccessid"
    r"|(?:\w+[_-])?(?:token|key|secret|password)|apikey|accesskey)=)[\w%/+=.~!*-]+"
)
_PASSWORD = re.compile(r"(?i)(https?://)[^/\s@?]+@")


def without_keys(text: str) -> str:
    """Text in which URLs keep their secrets: signatures, tokens, keys and passwords are written as ***.

    Args:
        text: Words, a URL, or the address of a source.
    """
    return _PASSWORD.sub(r"\1***@", _KEYS.sub(r"\1***", text)) if "://" in text else text


def counted(count: int, one: str, several: str | None = None) -> str:
    """Say how many there are: "1 window is left out", "1,204 windows are left out".

    Args:
        count: How many.
        one: What follows 1.
        several: What follows any other number; None is `one` with an s.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
