"""A real HTTP server on 127.0.0.1 that serves files, and misbehaves as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Behaviour:
    """How one request is answered; the default is well."""

    status: int = 200  # anything else: an error with this status
    retry_after: str | None = None
    drop_after: int | None = None  # bytes of the body before the connection is closed
    declared: int = 0  # added to the true Content-Length
    bytes_per_second: float | None = None
    ranges: bool = True  # whether Range is honoured
    range_shift: int = 0  # what a wrong server adds to the first byte
    redirect: str | None = None
    encoding: str | None = None
    silent: float = 0.0  # seconds before anything is said
    content: bytes | None = None  # another file than that of the server
    chunked: bool = False  # no Content-Length, the connection ends with the body


WELL = Behaviour()


@dataclass
class Server:
    """`content` at any path; request k is answered as `script[k]`, those behind its end as its last."""

    content: bytes
    script: Sequence[Behaviour] = (WELL,)
    url: str = ""
    seen: list[str | None] = field(default_factory=list)  # the Range of every request


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        told: Server = self.server.told
        with self.server.lock:
            told.seen.append(self.headers.get("Range"))
            how = told.script[min(len(told.seen), len(told.script)) - 1]
        time.sleep(how.silent)
        if how.redirect or how.status >= 300:
            self.send_response(302 if how.redirect else how.status)
            if how.redirect:
                self.send_header("Location", how.redirect)
            if how.retry_after:
                self.send_header("Retry-After", how.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = told.content if how.content is None else how.content
        wanted, first = self.headers.get("Range"), 0
        if wanted and how.ranges:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first + how.range_shift}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(how.status)
        body = content[first:]
        if not how.chunked:
            self.send_header("Content-Length", str(len(body) + how.declared))
        if how.encoding:
            self.send_header("Content-Encoding", how.encoding)
        self.end_headers()
        self._send(body, how)

    def _send(self, body: bytes, how: Behaviour) -> None:
        body = body if how.drop_after is None else body[: how.drop_after]
        try:
            if how.bytes_per_second is None:
                self.wfile.write(body)
            else:
                piece = max(1, int(how.bytes_per_second / 50))
                for start in range(0, len(body), piece):
                    self.wfile.write(body[start : start + piece])
                    self.wfile.flush()
                    time.sleep(piece / how.bytes_per_second)
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has gone
        self.close_connection = True


@contextmanager
def serving(content: bytes, *script: Behaviour) -> Iterator[Server]:
    """A server of its own port for the time of the context."""
    told = Server(content, script or (WELL,))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    httpd.told, httpd.lock = told, threading.Lock()  # type: ignore[attr-defined]
    told.url = f"http://127.0.0.1:{httpd.server_port}/file.bin"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
