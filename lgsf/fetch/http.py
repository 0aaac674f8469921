"""One request: the missing end of a file from one server, appended to what is there already."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from lgsf.system.project.version import __version__

CHUNK = 1 << 18
RETRIED = (408, 425, 429, 500, 502, 503, 504)  # what may go by; any other refusal is final


@dataclass(frozen=True)
class Patience:
    """How long to wait for servers, in seconds, and how often to ask them."""

    timeout: float = 30.0  # without a single byte
    slow_after: float = 60.0  # a connection that old must have brought `slowest` bytes per second since the last look
    slowest: float = 1024.0
    pause: float = 2.0  # before the second round of mirrors; twice as long before each further one
    longest_pause: float = 60.0  # also of what a server asks for
    fruitless: int = 5  # requests in a row that bring nothing new before a mirror is given up
    requests: int = 60  # for one file, all mirrors and redirections together


class Response(Protocol):
    """What is needed of urllib's answer."""

    status: int
    headers: http.client.HTTPMessage

    def read1(self, n: int = -1, /) -> bytes: ...


class Failed(Exception):
    """A request that did not bring the file to its end; `final` when this server need not be asked again."""

    def __init__(self, reason: str, *, final: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.final, self.wait = reason, final, wait


class Requests:
    """Sends requests and counts every one of them, redirections included."""

    def __init__(self, patience: Patience) -> None:
        self.patience, self.sent = patience, 0
        opener = urllib.request.OpenerDirector()  # of the web alone: build_opener would also open file: and ftp:
        for handler in (
            urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(), urllib.request.HTTPDefaultErrorHandler(), _Redirections(self),
            urllib.request.HTTPErrorProcessor(),
        ):  # fmt: skip
            opener.add_handler(handler)
        self._opener = opener

    @property
    def spent(self) -> bool:
        """Whether no more may be sent for this file."""
        return self.sent >= self.patience.requests

    def append_rest(self, url: str, partial: Path, size: int) -> None:
        """Append to `partial` what it lacks of a file of `size` bytes.

        Raises Failed where the server refuses, is slow, stops early or has a file of another size; what came until
        then stays. Raises OSError of the disk.
        """
        with partial.open("ab") as file:
            have = file.tell()
            response = self._open(url, have)
            skip = have - _first_byte(response, have, size)
            try:
                self._copy(response, file, skip, size - have)
            finally:
                getattr(response, "close", lambda: None)()
                file.flush()
                os.fsync(file.fileno())

    def _open(self, url: str, have: int) -> Response:
        headers = {"User-Agent": f"lgsf/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        self.sent += 1
        try:
            request = urllib.request.Request(url, headers=headers)
            response: Response = self._opener.open(request, timeout=self.patience.timeout)
            return response
        except urllib.error.HTTPError as error:
            with error:
                wait = _seconds(error.headers.get("Retry-After", ""))
            raise Failed(f"answered {error.code}", final=error.code not in RETRIED, wait=wait) from None
        except (OSError, http.client.HTTPException, ValueError) as error:  # URLError is an OSError
            raise Failed(f"could not be reached ({getattr(error, 'reason', None) or error})") from None

    def _copy(self, response: Response, file: BinaryIO, skip: int, missing: int) -> None:
        looked, since = time.monotonic(), 0
        while missing:
            try:
                chunk = response.read1(min(CHUNK, skip or missing))  # one answer of the socket: the clock is looked at
            except (OSError, http.client.HTTPException) as error:
                raise Failed(f"broke off ({error or type(error).__name__})") from None
            if not chunk:
                raise Failed(f"stopped {missing} bytes before the end")
            if skip:
                skip -= len(chunk)
            else:
                file.write(chunk)
                missing -= len(chunk)
            since += len(chunk)
            if (age := time.monotonic() - looked) > self.patience.slow_after:
                if since / age < self.patience.slowest:
                    raise Failed(f"is too slow ({since / age:.0f} bytes per second)")
                looked, since = time.monotonic(), 0


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections to the web, counted."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def redirect_request(
        self, req: urllib.request.Request, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("https://", "http://")):
            raise Failed(f"redirects to {newurl.split(':')[0]}:, which is no web address", final=True)
        if self._requests.spent:
            raise Failed("redirects once more when all requests are spent", final=True)
        self._requests.sent += 1
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _first_byte(response: Response, have: int, size: int) -> int:
    """Which byte of the file the answer begins with: `have` or 0. Failed where it is another file."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Failed("sends the file compressed although it was asked not to", final=True)
    length = response.headers.get("Content-Length")
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            raise Failed("sends another part of the file than was asked for", final=True)
        total = found[3]
    elif response.status == 200:
        have, total = 0, "*" if length is None else length
    else:
        raise Failed(f"answered {response.status}", final=True)
    if total != "*" and total != str(size):
        raise Failed(f"has a file of {total} bytes, not of {size}", final=True)
    return have


def _seconds(text: str) -> float:
    """Of a Retry-After header; its other form, a date, counts as nothing."""
    return float(text) if re.fullmatch(r"\d{1,6}", text) else 0.0
