"""One process per run, whatever happens to the folder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.locks import rows_lock, run_lock


def test_the_lock_does_not_go_with_the_folder(tmp_path: Path) -> None:
    run = tmp_path / "method" / "seed0"
    with run_lock(run) as held:
        held.check()
        shutil.rmtree(run)
        run.mkdir()
        with pytest.raises(LgsfError, match="is being trained by process"), run_lock(run):
            pass
        with pytest.raises(LgsfError, match="was deleted or replaced while it was being made"):
            held.check()
    with run_lock(run) as again:
        again.check()


def test_whoever_lost_lock_and_folder_does_not_publish(tmp_path: Path) -> None:
    run = tmp_path / "method" / "seed0"
    with run_lock(run) as first:
        shutil.rmtree(run.parent)
        with run_lock(run) as second:  # nothing on the disk says that there is a first one
            second.check()
            with pytest.raises(LgsfError, match="was deleted or replaced"):
                first.check()


def test_the_lock_is_one_however_the_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "method" / "seed0"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "method")
    with run_lock(run):
        for name in (Path("method/seed0"), tmp_path / "link" / "seed0"):
            with pytest.raises(LgsfError, match="is being trained by"), run_lock(name):
                pass


def test_a_place_that_cannot_be_locked_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for run in (tmp_path / "file" / "seed0", Path("/proc/self/lgsf/seed0")):
        with pytest.raises(LgsfError, match="could not be made or locked"), run_lock(run):
            pass


@contextmanager
def holder_of(path: Path, rows: range) -> Iterator[Callable[[], None]]:
    """A process that holds a lock and has started another; gives what kills it and leaves the other alive."""
    ready, gone, holder = os.pipe(), os.pipe(), os.fork()
    if holder == 0:
        with rows_lock(path, rows, what="rows"):
            child = os.fork()
            if child:
                os.write(ready[1], f"{child:08d}".encode())
            else:
                os.close(gone[1])
                os.read(gone[0], 1)
                os._exit(0)
            time.sleep(600)

    def kill() -> None:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)

    try:
        child = int(os.read(ready[0], 8))
        yield kill
        os.kill(child, 0)  # it still lives
    finally:
        with suppress(ProcessLookupError):
            os.kill(holder, signal.SIGKILL)
        for end in (*ready, *gone):
            os.close(end)


def test_rows_are_locked_apart_and_freed_with_their_process(tmp_path: Path) -> None:
    path = tmp_path / "shards" / ".lock"
    with holder_of(path, range(5, 10)) as kill:
        for rows in (range(5, 10), range(0, 6), range(9, 20), range(0, 100)):
            with (
                pytest.raises(LgsfError, match=r"^Shard 1 is being made by another process: wait for it or stop it"),
                rows_lock(path, rows, what="Shard 1"),
            ):
                pass
        for rows in (range(0, 5), range(10, 100)):
            with rows_lock(path, rows, what="own"):
                pass
        kill()
        with rows_lock(path, range(0, 100), what="own"):
            pass


def test_a_lock_of_rows_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / ".lock", Path("/proc/self/lgsf/.lock")):
        with pytest.raises(LgsfError, match="could not be made"), rows_lock(path, range(1), what="own"):
            pass
