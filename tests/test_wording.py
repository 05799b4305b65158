"""Words: keys in URLs are not among them."""

from __future__ import annotations

import pytest

from rsir_tf.errors import InputError
from rsir_tf.wording import without_keys


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://a.org/b.tif?se=2027&sig=aB%2F9+x=", "https://a.org/b.tif?se=2027&sig=***"),
        ("https://a.org/b.tif?sig=aB9: cannot be read", "https://a.org/b.tif?sig=***: cannot be read"),
        (
            "https://s3.org/b.tif?X-Amz-Credential=AK%2F1&X-Amz-Expires=9&X-Amz-Signature=0f",
            "https://s3.org/b.tif?X-Amz-Credential=***&X-Amz-Expires=9&X-Amz-Signature=***",
        ),
        ("http://me:word@a.org/b.tif?access_token=x.y-z", "http://***@a.org/b.tif?access_token=***"),
        ('scene:{"path":"http://a.org/b.tif?key=k1","window":[0]}', 'scene:{"path":"http://a.org/b.tif?key=***","window":[0]}'),
        ("https://a.org/b.tif?version=3&monkey=2", "https://a.org/b.tif?version=3&monkey=2"),
        ("/data/odd?token=1.tif", "/data/odd?token=1.tif"),
    ],
)  # fmt: skip
def test_keys_are_left_out_of_urls(given: str, shown: str) -> None:
    assert without_keys(given) == shown
    assert without_keys(shown) == shown
    error = InputError(given, cure=f"look at {given}")
    assert str(error) == f"{shown}; look at {shown}"
