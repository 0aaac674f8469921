"""The launcher of several processes: all end when one ends, and one sentence says why."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lgsf.system.errors import LgsfError
from lgsf.system.failures import Told
from lgsf.system.interrupts import Interrupted, Interrupts
from lgsf.training import launch as launching
from lgsf.training.ranks import SOCKET
from lgsf.training.told import Failure, heard, telling
from lgsf.training.trainer import NotFiniteError

# In the place of `lgsf train`: does what the configuration says of its rank, and writes down the signals that come.
ACTOR = """
import json, os, signal, socket, sys, time
rank, plan = os.environ["RANK"], json.load(open(sys.argv[3]))[int(os.environ["RANK"])]
note = open(sys.argv[3] + "." + rank, "a", buffering=1)
note.write(" ".join(sys.argv[1:]) + " " + os.environ["WORLD_SIZE"] + " " + os.environ["MASTER_ADDR"] + "\\n")
def heed(number, frame):
    note.write(f"signal {number}\\n")
    if not plan.get("stubborn"):
        say({"kind": "stopped", "signal_number": number})
        sys.exit(128 + number)
def say(words):
    socket.socket(fileno=int(os.environ["LGSF_LAUNCHER"])).sendall(json.dumps(words).encode())
signal.signal(signal.SIGTERM, heed)
signal.signal(signal.SIGINT, heed)
note.write("ready\\n")
others = [f"{sys.argv[3]}.{other}" for other in range(int(os.environ["WORLD_SIZE"]))]
while not all(os.path.exists(other) and "ready" in open(other).read() for other in others):
    time.sleep(0.01)
if "say" in plan:
    time.sleep(plan.get("after", 0))
    say(plan["say"])
    sys.exit(2)
if "kill" in plan:
    os.kill(os.getpid(), plan["kill"])
if plan.get("forever"):
    while True:
        time.sleep(0.02)
sys.exit(plan.get("status", 0))
"""
FOREVER = {"forever": True}
PEER = {"say": {"kind": "peer", "text": "the other one ended"}}


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    (tmp_path / "actor.py").write_text(ACTOR)
    monkeypatch.setattr(launching, "PACKAGE", tmp_path / "actor.py")
    monkeypatch.setattr(launching, "PEERS", 0.5)
    monkeypatch.setattr(launching, "GRACE", 1.0)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # a verb of another test may have left its log

    def run(*plans: dict[str, Any], stop: signal.Signals | None = None) -> list[list[str]]:
        """What each rank wrote down."""
        config = tmp_path / "config.json"
        config.write_text(json.dumps(plans))
        notes = [Path(f"{config}.{rank}") for rank in range(len(plans))]

        def ask() -> None:
            while not all(note.exists() and "ready" in note.read_text() for note in notes):
                time.sleep(0.02)
            os.kill(os.getpid(), int(stop or 0))

        with Interrupts() as interrupts:
            if stop is not None:
                threading.Thread(target=ask, daemon=True).start()
            try:
                launching.launch(
                    len(plans), config=config, dataset=tmp_path / "d", seed=4, out=tmp_path / "o", interrupts=interrupts
                )
            finally:
                run.notes = [note.read_text().splitlines() for note in notes]  # type: ignore[attr-defined]
        return run.notes  # type: ignore[attr-defined, no-any-return]

    return run


def test_each_process_is_told_what_torchrun_would_tell_it(act, tmp_path) -> None:
    notes = act({}, {}, {})
    for lines in notes:
        assert lines[0] == (
            f"train --config {tmp_path}/config.json --dataset {tmp_path}/d --seed 4 --out {tmp_path}/o 3 127.0.0.1"
        )


def test_a_killed_process_ends_the_others_with_one_sentence(act) -> None:
    with pytest.raises(LgsfError, match=r"process 1 of the 2 that train this run was ended by SIGKILL, and so the "):
        act(FOREVER, {"kill": int(signal.SIGKILL)})
    assert act.notes[0][-1] == f"signal {int(signal.SIGTERM)}"


def test_one_that_does_not_listen_is_ended_all_the_same(act) -> None:
    start = time.monotonic()
    with pytest.raises(LgsfError, match="process 0 of the 2 that train this run was ended by SIGSEGV"):
        act({"kill": int(signal.SIGSEGV)}, {**FOREVER, "stubborn": True})
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_reason_is_that_of_the_process_that_had_one(act, order) -> None:
    """Also where the others' complaint that one has gone comes first."""
    plans = [{"say": {"kind": "sentence", "text": "the disk is full."}, "after": 0.2}, PEER]
    with pytest.raises(LgsfError, match=r"^the disk is full\.$"):
        act(*(plans[place] for place in order))
    with pytest.raises(RuntimeError, match="process 1 of 2 failed: ValueError: x"):
        act(PEER, {"say": {"kind": "bug", "text": "ValueError: x"}})
    with pytest.raises(RuntimeError, match="process 1 of 2 failed: it ended with status 7 and without a word"):
        act(PEER, {"status": 7})


def test_a_loss_that_is_not_finite_is_raised_as_by_one_process(act, tmp_path) -> None:
    said = NotFiniteError("the loss", 12, 2, tmp_path / "state.pt")
    facts = {"kind": "not finite", "what": "the loss", "step": 12, "epoch": 2, "kept": str(tmp_path / "state.pt")}
    with pytest.raises(NotFiniteError) as raised:
        act({"say": facts}, {"say": facts})
    assert str(raised.value) == str(said) and raised.value.epoch == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_reaches_all_once(act, number) -> None:
    with pytest.raises(Interrupted) as raised:
        act(FOREVER, FOREVER, stop=number)
    assert raised.value.signal_number == number
    assert [lines[2:] for lines in act.notes] == [[f"signal {int(number)}"]] * 2


def test_a_finished_run_is_finished_though_another_process_was_stopped(act) -> None:
    act({}, {"say": {"kind": "stopped", "signal_number": 15}})


def in_a_rank(work: Callable[[], None]) -> tuple[int, socket.socket]:
    """A fork that does `work` as a launched process, and the launcher's end of its socket."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = os.fork()
        if child == 0:
            os.environ[SOCKET] = str(theirs.fileno())
            ours.close()
            try:
                with telling():
                    work()
            except Told as told:
                os._exit(10 + told.status)
            finally:
                os._exit(0)
    return child, ours


def test_a_failure_is_told_and_not_said_twice() -> None:
    def fail() -> None:
        raise LgsfError("the sentence.")

    child, ours = in_a_rank(fail)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 12
    assert heard(ours, 3, 2) == Failure(kind="sentence", text="the sentence.", rank=3)


def test_a_process_ends_when_its_launcher_has_gone() -> None:
    child, ours = in_a_rank(lambda: time.sleep(60))
    time.sleep(0.2)
    start = time.monotonic()
    ours.close()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1 and time.monotonic() - start < 20
