"""A file by its checksum: from where it lies already, or from mirrors, in as few requests as it takes."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

import filelock

from lgsf.fetch.http import Failed, Patience, Requests
from lgsf.fetch.settings import Download
from lgsf.system.errors import LgsfError
from lgsf.system.faults import reason
from lgsf.system.hashes import sha256
from lgsf.system.logs import PROGRESS

logger = logging.getLogger(__name__)
MARGIN = 1 << 26  # bytes that the disk must have beyond the file


def download(wanted: Download, *, offline: bool = False, patience: Patience | None = None) -> str | None:
    """Have the file of `wanted` at its path, byte for byte; the mirror it came from, None where it was there.

    A kill at any moment leaves a `.part` beside it, which the next call continues.

    Raises LgsfError, which says what to put where by hand: with `offline` when the file is not there, when no
    mirror has it, when another file is in its place, and when the disk is too small.
    """
    path = Path(wanted.path)
    if path.exists():
        _check_present(path, wanted)
        return None
    if offline:
        raise LgsfError(f"{path} is missing and downloads are off (offline): {by_hand(wanted)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            if path.exists():  # another process was faster
                _check_present(path, wanted)
                return None
            return _from_mirrors(wanted, path, Requests(patience or Patience()))
    except filelock.Timeout:
        raise LgsfError(f"{path} is being fetched by another process: wait for it, then run again.") from None
    except OSError as error:  # of the disk: those of the network have become Failed
        raise LgsfError(
            f"{path} could not be written ({reason(error)}): free space or mend the permissions and run "
            "again; what came so far is kept."
        ) from None


def by_hand(wanted: Download) -> str:
    """What a person must do where no network helps: one clause."""
    addresses = " or ".join(wanted.urls)
    return (
        f"fetch {addresses} on any machine ({wanted.bytes} bytes, sha256 {wanted.sha256}), "
        f"put it at {Path(wanted.path).absolute()} and run again"
    )


def _check_present(path: Path, wanted: Download) -> None:
    if not path.is_file():
        raise LgsfError(f"{path} is not a file: move it away, or name another path for this download.")
    if path.stat().st_size != wanted.bytes or sha256(path) != wanted.sha256:
        raise LgsfError(
            f"{path} is another file than the one wanted ({wanted.bytes} bytes, sha256 {wanted.sha256}): move it "
            "away and run again, or mend the checksum in the configuration."
        )


def _from_mirrors(wanted: Download, path: Path, requests: Requests) -> str:
    """Ask mirror after mirror, in rounds, until the file is whole; its address."""
    partial = path.with_name(f"{path.name}.part")
    fruitless = dict.fromkeys(wanted.urls, 0)
    reasons: dict[str, str] = {}
    pause = requests.patience.pause
    while fruitless:
        asked_to_wait = 0.0
        for url in list(fruitless):
            if requests.spent:
                fruitless.clear()
                break
            before = _size(partial)
            try:
                _one_try(url, wanted, partial, requests)
                os.replace(partial, path)
                logger.log(PROGRESS, "%s: fetched from %s (%s)", path, url, wanted.licence)
                return url
            except Failed as failure:
                logger.warning("%s %s", url, failure.reason)
                reasons[url] = failure.reason
                fruitless[url] = 0 if _size(partial) > before else fruitless[url] + 1
                asked_to_wait = max(asked_to_wait, failure.wait)
                if failure.final or fruitless[url] == requests.patience.fruitless:
                    del fruitless[url]
        if fruitless:
            time.sleep(min(max(pause, asked_to_wait), requests.patience.longest_pause))
            pause *= 2
    said = "; ".join(f"{url} {reason}" for url, reason in reasons.items())
    raise LgsfError(f"{path} could not be fetched in {requests.sent} requests ({said}): {by_hand(wanted)}.")


def _one_try(url: str, wanted: Download, partial: Path, requests: Requests) -> None:
    """Complete `partial` from one mirror and compare its checksum; Failed unless it is the file."""
    resumed = _size(partial)
    if resumed > wanted.bytes:
        partial.unlink()
        resumed = 0
    free = shutil.disk_usage(partial.parent).free
    needed = wanted.bytes - resumed + MARGIN
    if free < needed:
        raise LgsfError(
            f"{partial.parent} has {free >> 20} MiB free and {wanted.path} needs {-(-needed >> 20)} MiB, "
            f"{MARGIN >> 20} of them to spare: free space and run again, what came so far is kept."
        )
    if resumed < wanted.bytes:
        requests.append_rest(url, partial, wanted.bytes)
    if (found := sha256(partial)) != wanted.sha256:
        partial.unlink()
        # An old beginning may be the culprit: only a file that came from this mirror alone speaks against it.
        raise Failed(f"gave a file of sha256 {found}", final=resumed == 0)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
