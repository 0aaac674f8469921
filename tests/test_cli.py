"""The command line: one sentence and a status for every mistake, a log for everything."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lgsf.cli import main


def run(*arguments: object) -> None:
    main([str(a) for a in arguments])


def settings(config: Path) -> str:
    return config.read_text()


def test_configure_fills_in_every_parameter(tmp_path: Path, tiny_config) -> None:
    run("configure", "--settings", settings(tiny_config(parameters={})), "--out", tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert {"embedding_dim", "word_dim", "margin"} <= set(written["parameters"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["configure", "--settings", "{", "--out", "x"], "--settings is not valid JSON"),
        (["configure", "--settings", "{}", "--out", "x"], "key 'dataset' is missing; add it (and 6 more)"),
        (
            ["prepare", "--name", "d", "--settings", '{"source": "precomp"}', "--out", "x"],
            "datasets.d: key 'path' is missing",
        ),
        (["prepare", "--name", "d", "--settings", '{"source": "precomp", "path": "no/pack"}', "--out", "x"], "no/pack"),
        (["train", "--config", "no.json", "--dataset", "d", "--seed", "0", "--out", "x"], "no.json is missing"),
        (["evaluate", "--run", "no", "--dataset", "d"], "run.json is missing"),
        (["control", "--kind", "random", "--dataset", "no", "--seed", "0", "--out", "x"], "dataset.json is missing"),
    ],
)
def test_mistakes_end_with_a_sentence_and_leave_nothing(
    tmp_path: Path, capsys, monkeypatch, arguments, sentence
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
    assert not list(tmp_path.rglob("*.*"))


def test_a_whole_run_through_the_verbs(tmp_path: Path, tiny_dataset: Path, tiny_config, capsys) -> None:
    out, log = tmp_path / "seed0", tmp_path / "logs" / "train.log"
    run("configure", "--settings", settings(tiny_config()), "--out", tmp_path / "c.json")
    run("train", "--config", tmp_path / "c.json", "--dataset", tiny_dataset, "--seed", 0, "--out", out, "--log", log)
    seen = capsys.readouterr().err
    assert "tiny/tried seed 0: done in" in seen
    assert "epoch 1/4" not in seen  # the details are in the log
    assert "epoch 1/4" in log.read_text()
    run("evaluate", "--run", out, "--dataset", tiny_dataset, "--log", log)
    assert (out / "test" / "ranks.npz").is_file()


def test_an_unexpected_failure_keeps_its_traceback_in_the_log(tmp_path: Path, monkeypatch) -> None:
    import lgsf.cli

    def broken(_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setitem(lgsf.cli.VERBS, "schema", replace(lgsf.cli.VERBS["schema"], function=broken))
    with pytest.raises(SystemExit) as stopped:
        run("schema", "--out", "x", "--log", tmp_path / "log")
    assert stopped.value.code == 1
    assert "RuntimeError: boom" in (tmp_path / "log").read_text()


def test_help_and_configuration_need_no_torch(repository: Path) -> None:
    code = "import sys, lgsf.cli, lgsf.config.file, lgsf.system.closure; lgsf.cli.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository).returncode == 0
