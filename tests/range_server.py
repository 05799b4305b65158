"""An HTTP server on loopback with range requests, which counts what it sends and can fail on request."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class RangeServer(ThreadingHTTPServer):
    """Serves the files of a folder.

    Attributes:
        sent: Bytes of contents so far, without HTTP's own lines.
        requests: Method, path and range of each request.
        ranges: Whether ranges are answered as such.
        breaking: Whether contents end halfway, as if the line were cut.
        refusing: The status that every request is answered with; None serves files.
        key: The access key with which requests must be signed, as those to S3 are; None asks for none.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.sent = 0
        self.requests: list[tuple[str, str, str | None]] = []
        self.ranges = True
        self.breaking = False
        self.refusing: int | None = None
        self.key: str | None = None
        self.lock = threading.Lock()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(content=False)

    def do_GET(self) -> None:
        self._answer(content=True)

    def _answer(self, content: bool) -> None:
        asked = self.headers.get("Range")
        with self.server.lock:
            self.server.requests.append((self.command, self.path, asked))
        file = self.server.folder / self.path.partition("?")[0].lstrip("/")
        status = self.server.refusing or (200 if file.is_file() else 404)
        signature = f"AWS4-HMAC-SHA256 Credential={self.server.key}/"
        if self.server.key and not self.headers.get("Authorization", "").startswith(signature):
            status = 403
        if status != 200:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes()
        total = len(data)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        if found and self.server.ranges:
            start, end = int(found[1]), min(int(found[2] or total - 1), total - 1)
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = data[start : end + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        status_of_file = file.stat()
        self.send_header("ETag", f'"{status_of_file.st_size:x}-{status_of_file.st_mtime_ns:x}"')
        self.end_headers()
        if not content:
            return
        if self.server.breaking:
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            self.connection.close()
            return
        with self.server.lock:
            self.server.sent += len(data)
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives
        """Nothing is printed."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[RangeServer]:
    server = RangeServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
