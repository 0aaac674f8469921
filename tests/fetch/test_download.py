"""Downloads from a real server on loopback that drops, lies, refuses and is slow; requests are counted."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lgsf.fetch.download import download
from lgsf.fetch.fetch import fetch
from lgsf.fetch.http import Patience
from lgsf.fetch.settings import Download
from lgsf.system.errors import LgsfError
from tests.support.server import WELL, Behaviour, Server, serving

CONTENT = np.random.default_rng(0).bytes(300_000)
QUICK = Patience(timeout=0.5, slow_after=0.3, slowest=50_000, pause=0.01, longest_pause=0.03, fruitless=3, requests=20)
DROP = Behaviour(drop_after=100_000)


def wanted(path: Path, *urls: str, content: bytes = CONTENT, **changes: Any) -> Download:
    given = {
        "urls": urls, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "licence": "CC0",
        "path": str(path), **changes,
    }  # fmt: skip
    return Download.model_validate(given)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "file.bin"


def get(path: Path, *servers: Server, patience: Patience = QUICK) -> str | None:
    return download(wanted(path, *(server.url for server in servers)), patience=patience)


def assert_whole(path: Path) -> None:
    assert path.read_bytes() == CONTENT
    assert {file.name for file in path.parent.iterdir()} <= {path.name, f".{path.name}.lock"}


def test_a_well_server_is_asked_once(path: Path) -> None:
    with serving(CONTENT) as server:
        assert get(path, server) == server.url
        assert_whole(path)
        assert get(path, server) is None  # it is there: nobody is asked
        assert server.seen == [None]


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ([DROP, DROP, WELL], [None, "bytes=100000-", "bytes=200000-"]),
        ([DROP, Behaviour(ranges=False)], [None, "bytes=100000-"]),
        ([Behaviour(status=503), WELL], [None, None]),
        ([Behaviour(status=429, retry_after="1"), WELL], [None, None]),
        ([Behaviour(silent=0.8), WELL], [None, None]),
        ([Behaviour(bytes_per_second=20_000), WELL], None),
        ([Behaviour(chunked=True)], [None]),
        ([Behaviour(chunked=True, drop_after=7), WELL], [None, "bytes=7-"]),
        ([Behaviour(drop_after=0), Behaviour(drop_after=0), WELL], [None] * 3),
    ],
    ids=["drops", "no ranges", "503", "429", "silent", "slow", "no length", "no length, drops", "nothing"],
)
def test_what_goes_by_is_waited_for_and_nothing_comes_twice(
    path: Path, script: list[Behaviour], seen: list[str | None] | None
) -> None:
    with serving(CONTENT, *script) as server:
        get(path, server)
        assert_whole(path)
        assert server.seen == seen if seen else len(server.seen) == 2


@pytest.mark.parametrize(
    ("behaviour", "said", "requests"),
    [
        (Behaviour(status=403), "answered 403", 1),
        (Behaviour(status=404), "answered 404", 1),
        (Behaviour(status=503), "answered 503", QUICK.fruitless),
        (Behaviour(content=CONTENT[:-1] + b"x"), "gave a file of sha256", 1),
        (Behaviour(declared=5), r"has a file of 300005 bytes, not of 300000", 1),
        (Behaviour(declared=-5), r"has a file of 299995 bytes", 1),
        (Behaviour(content=b"<html>please log in</html>"), "has a file of 26 bytes", 1),
        (Behaviour(encoding="gzip"), "compressed although", 1),
        (Behaviour(drop_after=0), "stopped 300000 bytes before the end", QUICK.fruitless),
        (Behaviour(redirect="file:///etc/passwd"), "answered 302", 1),
        (Behaviour(redirect="ftp://127.0.0.1/x"), "redirects to ftp:, which is no web address", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_server_that_never_has_the_file_is_given_up(
    path: Path, behaviour: Behaviour, said: str, requests: int
) -> None:
    with serving(CONTENT, behaviour) as server:
        with pytest.raises(LgsfError, match=rf"in \d+ requests \(http://127.0.0.1.* {said}") as error:
            get(path, server)
        assert len(server.seen) == requests
    by_hand = f"fetch {server.url} on any machine (300000 bytes, sha256 {hashlib.sha256(CONTENT).hexdigest()})"
    assert str(error.value).endswith(f"{by_hand}, put it at {path.absolute()} and run again.")
    assert not path.exists()


def test_a_trickle_stays_within_the_count(path: Path) -> None:
    """Each request brings a little: all of it is kept, and the count ends it."""
    with serving(CONTENT, Behaviour(drop_after=1000)) as server:
        with pytest.raises(LgsfError, match="could not be fetched in 20 requests"):
            get(path, server)
        assert len(server.seen) == QUICK.requests
        assert path.with_name("file.bin.part").read_bytes() == CONTENT[:20_000]
        server.script = (WELL,)
        get(path, server)
        assert server.seen[-1] == "bytes=20000-"
    assert_whole(path)


def test_redirections_are_followed_and_counted(path: Path) -> None:
    with serving(CONTENT) as target, serving(b"", Behaviour(redirect=target.url)) as server:
        get(path, server)
        assert_whole(path)
        path.unlink()
        server.script = (Behaviour(redirect=server.url),)
        server.seen.clear()
        with pytest.raises(LgsfError):
            get(path, server)
        assert len(server.seen) <= QUICK.requests + 1


def test_mirrors_take_over_where_another_stopped(path: Path) -> None:
    scripts = [[Behaviour(status=403)], [DROP, Behaviour(status=503)], [Behaviour(drop_after=50_000), WELL]]
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(CONTENT, *script)) for script in scripts]
        assert get(path, *servers) == servers[2].url
    assert_whole(path)
    assert [server.seen for server in servers] == [
        [None],
        [None, "bytes=150000-"],
        ["bytes=100000-", "bytes=150000-"],
    ]


def test_a_wrong_beginning_does_not_spoil_the_file(path: Path) -> None:
    """A mirror with other bytes of the same length stops early; the sum is wrong, and a fresh start is right."""
    with (
        serving(CONTENT, Behaviour(content=bytes(300_000), drop_after=10), Behaviour(status=404)) as liar,
        serving(CONTENT) as honest,
    ):
        assert get(path, liar, honest) == honest.url
        assert honest.seen == ["bytes=10-", None]
    assert_whole(path)


@pytest.mark.parametrize("left", [CONTENT[:77], CONTENT, CONTENT + b"more", b"\0" * 300_000])
def test_what_a_killed_download_left_is_continued_or_replaced(path: Path, left: bytes) -> None:
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(left)
    with serving(CONTENT) as server:
        get(path, server)
        assert server.seen == {77: ["bytes=77-"], 300_004: [None]}.get(len(left), [] if left == CONTENT else [None])
    assert_whole(path)


def test_a_range_that_is_not_the_one_asked_for_is_not_appended(path: Path) -> None:
    with serving(CONTENT, DROP, Behaviour(range_shift=-1)) as server:
        with pytest.raises(LgsfError, match="another part of the file"):
            get(path, server)
        assert path.with_name("file.bin.part").read_bytes() == CONTENT[:100_000]


def test_another_file_in_the_place_is_never_touched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"thesis")
    with serving(CONTENT) as server:
        with pytest.raises(LgsfError, match=r"file.bin is another file than the one wanted .*move it away"):
            get(path, server)
        assert server.seen == []
    assert path.read_bytes() == b"thesis"
    path.unlink()
    path.mkdir()
    with pytest.raises(LgsfError, match="is not a file"):
        get(path, server)


def test_offline_says_which_file_goes_where_and_asks_nobody(path: Path) -> None:
    with serving(CONTENT) as server:
        asked = wanted(path, server.url)
        with pytest.raises(LgsfError) as error:
            download(asked, offline=True)
        for part in (server.url, str(path.absolute()), asked.sha256, "300000 bytes"):
            assert part in str(error.value)
        path.parent.mkdir()
        path.write_bytes(CONTENT)
        assert download(asked, offline=True) is None
        assert server.seen == []


def test_a_server_that_is_not_there(path: Path) -> None:
    with serving(CONTENT) as server:
        pass
    with pytest.raises(LgsfError, match="could not be reached"):
        get(path, server)


def test_a_disk_that_is_too_small_is_said_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1 << 20}))
    with serving(CONTENT) as server:
        with pytest.raises(LgsfError, match=r"has 1 MiB free and .* needs 65 MiB, 64 of them to spare: free space"):
            get(path, server)
        assert server.seen == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"urls": ["file:///etc/passwd"]}, "an address begins with https"),
        ({"urls": []}, "urls: at least 1 entry is needed, not "),
        ({"sha256": "abc"}, "sha256"),
        ({"licence": ""}, "licence"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_wrong_settings_are_one_sentence(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    settings = wanted(tmp_path / "x", "http://127.0.0.1/x").model_dump(mode="json")
    with pytest.raises(LgsfError, match=f"downloads.mine: .*{said}"):
        fetch({**settings, **changes}, name="mine", out=tmp_path / "record.json")


def _verb(settings: dict[str, Any], out: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "lgsf", "fetch", "--name", "mine", "--settings", json.dumps(settings)]
    return [*command, "--out", str(out), *more]


def test_the_verb_writes_a_record_and_says_mistakes_in_a_sentence(path: Path, repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    with serving(CONTENT) as server:
        settings = wanted(path, server.url).model_dump(mode="json")
        offline = subprocess.run(
            _verb(settings, out, "--offline", "yes"), cwd=repository, capture_output=True, text=True
        )
        assert offline.returncode == 2
        assert "downloads are off (offline): fetch http" in offline.stderr and "Traceback" not in offline.stderr
        assert not out.exists()
        subprocess.run(_verb(settings, out), cwd=repository, check=True)
    assert_whole(path)
    record = json.loads(out.read_text())
    assert (record["sha256"], record["licence"], record["unpacked"]) == (settings["sha256"], "CC0", None)


def _kills(path: Path, settings: dict[str, Any], repository: Path, moments: Iterator[float]) -> int:
    """Number of kills until the verb ends by itself."""
    for kills, moment in enumerate(moments):
        process = subprocess.Popen(_verb(settings, path.parent / "record.json"), cwd=repository)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            continue
        assert process.returncode == 0
        return kills
    raise AssertionError("it never ended")


@pytest.mark.slow
def test_twenty_kills_at_any_moment_end_with_the_same_checksum(path: Path, repository: Path) -> None:
    """The server gives the file in about two seconds; what came before a kill does not come again."""
    path.parent.mkdir()
    random, kills, started = np.random.default_rng(0), 0, time.monotonic()
    with serving(CONTENT, Behaviour(bytes_per_second=150_000)) as server:
        settings = wanted(path, server.url).model_dump(mode="json")
        while kills < 20:
            kills += _kills(path, settings, repository, iter([*random.uniform(0.2, 2.0, 30), 60.0]))
            assert_whole_with_record(path)
            path.unlink()
            assert time.monotonic() - started < 300
        firsts = [int((seen or "bytes=0-")[6:-1]) for seen in server.seen]
    assert any(first > 0 for first in firsts)


def assert_whole_with_record(path: Path) -> None:
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
    assert {file.name for file in path.parent.iterdir()} == {path.name, f".{path.name}.lock", "record.json"}
