"""Overall progress of a workflow's trainings, from what they log."""

from __future__ import annotations

import itertools
import logging
import os
import time
from pathlib import Path

import pytest

from lgsf.system.logs import setup
from lgsf.training.progress import Watch, report
from lgsf.training.train import train


def logged(root: Path, method: str, seed: int, *lines: str) -> Path:
    log = root / "scenes" / method / f"seed{seed}" / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.writelines(f"2026-01-01 10:00:00,000 INFO scenes/{method} seed {seed}: {line}\n" for line in lines)
    return log


def test_time_left_follows_from_epochs(tmp_path: Path) -> None:
    names = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    logs = [tmp_path / "scenes" / method / f"seed{seed}" / "train.log" for method, seed in names]
    logged(tmp_path, "a", 0, "done in 9000 s, best epoch 1, dev rSum 1.0")  # of an earlier run
    watch = Watch(logs)
    assert watch.line() == "Trainings: 0 of 4 done."
    logged(tmp_path, "a", 0, "epoch 1/4, loss 3.00, dev rSum 20.0 (best), 300 s left")
    line = watch.line()  # 300 of a/0; a/1 and both b as long as it, 400 each
    assert line == "Trainings: 0 of 4 done, at work scenes/a seed 0 (epoch 1 of 4); about 25 min left for trainings."
    logged(
        tmp_path, "a", 0, "epoch 4/4, loss 3.00, dev rSum 20.0, 0 s left", "done in 440 s, best epoch 1, dev rSum 20.0"
    )
    logged(tmp_path, "b", 0, "epoch 2/4, loss 3.00, dev rSum 20.0, 100 s left")
    logged(tmp_path, "a", 1, "epoch 2/4, loss 3.00, dev rSum 20.0, 220 s left")
    line = watch.line()  # b/1 as long as b/0 in all, 200: (100 + 220 + 200) / 2 side by side
    assert line.startswith("Trainings: 1 of 4 done, at work scenes/a seed 1 (epoch 2 of 4), scenes/b seed 0")
    assert line.endswith("about 4 min left for trainings.")
    os.utime(logs[1], (time.time() - 200,) * 2)  # 200 seconds ago 220 were left
    assert watch.look(logs[1]).left == pytest.approx(20, abs=5)
    for method, seed in names[1:]:
        logged(tmp_path, method, seed, "done in 100 s, best epoch 1, dev rSum 20.0")
    assert watch.line() == "Trainings: 4 of 4 done."


@pytest.mark.seconds
def test_the_lines_are_those_that_trainings_write(tmp_path: Path, tiny_dataset: Path, tiny_config) -> None:
    log = tmp_path / "tiny" / "tried" / "seed0" / "train.log"
    watch = Watch([log])
    setup(log)
    try:
        train(config=tiny_config(), dataset=tiny_dataset, seed=0, out=tmp_path / "seed0")
    finally:
        logging.basicConfig(handlers=[], force=True)
    assert watch.line() == "Trainings: 1 of 1 done."
    whole = log.read_text()
    log.write_text(whole[: whole.index("epoch 3/4")])  # as after two epochs of four
    watch = Watch([tmp_path / "absent" / "x" / "y" / "z.log"])
    watch._from = {log: 0}
    assert (watch.look(log).epoch, watch.look(log).epochs) == (2, 4)


def test_a_line_is_said_when_it_changes(tmp_path: Path) -> None:
    said: list[str] = []
    log = logged(tmp_path, "a", 0)
    report([log], said.append, every=0.01)
    for count, line in enumerate(("epoch 1/2, loss 1.00, dev rSum 1.0, 50 s left", "done in 100 s, best"), 2):
        end = time.monotonic() + 10
        while len(said) < count - 1 and time.monotonic() < end:
            time.sleep(0.01)
        logged(tmp_path, "a", 0, line)
    end = time.monotonic() + 10
    while (not said or said[-1] != "Trainings: 1 of 1 done.") and time.monotonic() < end:
        time.sleep(0.01)
    assert said[0] == "Trainings: 0 of 1 done." and said[-1] == "Trainings: 1 of 1 done."
    assert all(a != b for a, b in itertools.pairwise(said))
