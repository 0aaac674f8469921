"""Killed at any moment, or on a disk that is full at any byte: one sentence, and the same command again ends the same.

Every verb runs in a process of its own (tests/support/verbs.py). What it leaves after the fault and a second try is
compared with what an undisturbed verb leaves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lgsf.system.project.verbs import VERBS
from tests.support.other_verbs import archive, import_others, write_other_sources
from tests.support.server import serving
from tests.support.verbs import Outcome, contents, copy_into, import_all, in_a_process, no_file_above
from tests.support.whole_chain import ONCE, PAGE, Whole, build

pytestmark = pytest.mark.seconds

SAMPLE = ("train", "import-checkpoint", "prepare")  # of the fast test
EACH = 5  # faults of each of the three kinds for each of 36 command lines in the slow test: 540 in all
ROOM = "192m"  # a download wants 64 MiB to spare


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a file system of its own whose size can be set (that needs root)."""
    import_all()
    work = tmp_path_factory.mktemp("work")
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    mounted = mounted and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(work)], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    yield work, mounted
    if mounted:
        subprocess.run(["umount", "-l", str(work)], check=True)


def resize(work: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(work)], check=True, capture_output=True)


def used(folder: Path) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def hurt(whole: Whole, verb: str, kind: str, share: float) -> Outcome:
    """Run a verb with a fault; `share` in 0..1 says how late it comes."""
    arguments = whole.commands[verb]
    if kind == "kill":
        return in_a_process(arguments, kill_after=share * 1.1 * whole.seconds[verb])
    if kind == "file":
        return in_a_process(arguments, before=no_file_above(int(share * whole.largest[verb])))
    before = used(whole.work)
    resize(whole.work, str(before + int(share * whole.written[verb]) // PAGE * PAGE))
    try:
        return in_a_process(arguments)
    finally:
        resize(whole.work, ROOM)


def survive(whole: Whole, verb: str, kind: str, share: float) -> str:
    """One fault, one second try; what came of the fault."""
    copy_into(whole.before[verb], whole.work)
    first = hurt(whole, verb, kind, share)
    told = (verb, kind, share, first.status, first.said)
    assert "Traceback" not in first.said and "please report" not in first.said, told
    assert first.status in ((0, -9) if kind == "kill" else (0, 2)), told
    if first.status == 2:
        errors = [line for line in first.said.splitlines() if line.startswith("lgsf: error:")]
        assert len(errors) == 1 and errors[0].endswith("."), told
    finished = contents(whole.work) == whole.after[verb]
    again = in_a_process(whole.commands[verb])
    assert "Traceback" not in again.said, (told, again.said)
    if verb in ONCE and finished:
        assert again.status == 2 and "exists and is not an empty folder" in again.said, (told, again.said)
    else:
        assert again.status == 0, (told, again.said)
    found, expected = contents(whole.work), whole.after[verb]
    assert found == expected, (told, sorted(k for k in {**found, **expected} if found.get(k) != expected.get(k)))
    return {0: "ended", 2: "one sentence"}.get(first.status, "killed")


def kinds(whole: Whole) -> tuple[str, ...]:
    return ("kill", "file", "disk") if whole.own_disk else ("kill", "file", "file")


def test_some_verbs_survive_some_faults(disk: tuple[Path, bool], tmp_path: Path) -> None:
    work, own_disk = disk
    whole = build(tmp_path, work, own_disk, last="train")
    for verb in ("prepare", "train"):
        for kind in dict.fromkeys(kinds(whole)):
            survive(whole, verb, kind, 0.4)


@pytest.mark.slow
def test_every_verb_survives_every_fault(disk: tuple[Path, bool], tmp_path: Path) -> None:
    work, own_disk = disk
    copy_into(tmp_path, work)
    import_others()
    rng, counts, failed = np.random.default_rng(0), dict[tuple[str, str, str], int](), list[str]()
    with serving(archive()) as server:
        write_other_sources(work, server.url)
        whole = build(tmp_path, work, own_disk, last="")
        assert {arguments[0] for arguments in whole.commands.values()} == set(VERBS)
        for verb in whole.before:
            for kind in kinds(whole):
                for _ in range(EACH):
                    try:
                        what = survive(whole, verb, kind, float(rng.random()))
                    except AssertionError as error:  # the other faults are looked at all the same
                        what = "failed"
                        failed.append(str(error))
                    counts[verb, kind, what] = counts.get((verb, kind, what), 0) + 1
                    print(f"{sum(counts.values())}: {verb}, {kind}, {what}", flush=True)
    for (verb, kind, what), count in counts.items():
        print(f"{verb}, {kind}: {count} {what}")
    print(f"{sum(counts.values())} faults")
    assert not failed, "\n".join(failed)
    assert sum(counts.values()) >= 500
