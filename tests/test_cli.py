"""The command line: one sentence and a status for every mistake, a log for everything."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lgsf.cli import main, parser
from lgsf.system.project.verbs import VERBS
from lgsf.system.project.version import __version__
from lgsf.verbs.options import MEANINGS


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
    code = "import sys, lgsf.cli, lgsf.config.file, lgsf.system.project.closure; lgsf.cli.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository).returncode == 0


FAULTS = [
    (
        OSError(28, "No space left on device", "results/x/run.json"),
        2,
        "results/x/run.json: the disk is full (No space left on device); free space",
    ),
    (OSError(30, "Read-only file system", "results"), 2, "results: the place is read-only"),
    (OSError(24, "Too many open files", "a.npy"), 2, "a.npy: too many files are open"),
    (PermissionError(13, "Permission denied", "a"), 2, "a: permission is denied"),
    (MemoryError(), 2, "the memory of this machine does not suffice"),
    (KeyboardInterrupt(), 130, "stopped by SIGINT; run the same command again"),
]


@pytest.mark.parametrize(("error", "status", "said"), FAULTS, ids=repr)
@pytest.mark.parametrize("verb", ["schema", "tables", "import-scores", "prepare"])
def test_faults_end_with_a_sentence_whatever_the_verb(
    tmp_path: Path, monkeypatch, capsys, verb: str, error: BaseException, status: int, said: str
) -> None:
    import lgsf.cli

    def broken(_: object) -> None:
        raise error

    arguments = {
        "schema": ["--out", "x"],
        "tables": ["--experiment", "{}", "--results", "r", "--out", "x"],
        "import-scores": ["--dataset", "d", "--split", "test", "--name", "n", "--results", "r"],
        "prepare": ["--name", "n", "--settings", "{}", "--out", "x"],
    }[verb]
    monkeypatch.setitem(lgsf.cli.VERBS, verb, replace(lgsf.cli.VERBS[verb], function=broken))
    with pytest.raises(SystemExit) as stopped:
        run(verb, *arguments, "--log", tmp_path / "log")
    assert stopped.value.code == status
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "Traceback" in (tmp_path / "log").read_text()  # where it happened, for who looks


def ended(repository: Path, *arguments: object, limits: str = "", code: str = "") -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, under limits of the shell, or after some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nfrom lgsf.cli import main\nmain(sys.argv[1:])"]
    shell = f'{limits}\nexec "$@"'
    return subprocess.run(
        ["bash", "-c", shell, "bash", *command, *map(str, arguments)],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_ctrl_c_while_a_verb_works(repository: Path, tmp_path: Path) -> None:
    """The signal comes from within, when the module of the verb is imported: there is no moment to wait for."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "class Press:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'lgsf.config.schema':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Press())"
    )
    done = ended(repository, "schema", "--out", tmp_path / "x", code=code)
    assert (done.returncode, done.stderr) == (130, "lgsf: stopped by SIGINT; run the same command again to go on.\n")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_no_more_and_files_that_are_too_many(repository: Path, tmp_path: Path) -> None:
    large = ended(repository, "schema", "--out", tmp_path / "x", limits="ulimit -f 1; trap '' XFSZ")
    assert large.returncode == 2 and large.stderr.count("\n") == 1
    assert "File too large" in large.stderr or "larger than the system allows" in large.stderr
    assert not list(tmp_path.iterdir())
    code = (
        "import os, resource, lgsf.cli\n"
        "lgsf.cli.parser()\n"  # argparse imports as it goes
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "files = []\n"
        "try:\n"
        "    while True:\n"
        "        files.append(os.open('/dev/null', 0))\n"
        "except OSError:\n"
        "    pass"
    )
    many = ended(repository, "schema", "--out", tmp_path / "x", code=code)
    assert many.returncode == 2 and "too many files are open" in many.stderr.lower(), many.stderr
    assert "Traceback" not in many.stderr


@pytest.mark.parametrize("log", ["folder", "file/log"])
def test_a_log_that_cannot_be_written(tmp_path: Path, capsys, log: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        run("schema", "--out", tmp_path / "x", "--log", tmp_path / log)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "lgsf: error: " in line and str(tmp_path) in line
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", str(2**64)),
        ("--seed", "-1"),
        ("--seed", "1.5"),
        ("--seed", "9" * 5000),
        ("--seed", ""),
        ("--seed", "٣"),
    ],
)
def test_numbers_that_no_option_takes(capsys, option: str, value: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("train", "--config", "c", "--dataset", "d", "--out", "o", f"{option}={value}")
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "argument --seed: a whole number from 0 to 2147483647 is needed" in said and len(said) < 300


def options_of(verb: str) -> list[argparse.Action]:
    """The options of a verb as the parser has them, without --help."""
    (verbs,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return [action for action in verbs.choices[verb]._actions if action.dest not in ("help", "verb")]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys, verb: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(verb, "--help")
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"example:\n  lgsf {VERBS[verb].example}\n" in said
    for action in options_of(verb):
        assert action.help and len(action.help) > 5, action.dest
        assert action.help.endswith("(required)") == (action.required and bool(action.option_strings)), action.dest
        if action.default not in (None, "", "{}", []):
            assert action.help.endswith(f"(default: {action.default})"), action.dest
    arguments = parser().parse_args(shlex.split(VERBS[verb].example))
    assert arguments.verb == verb
    assert all(getattr(arguments, action.dest) is not None for action in options_of(verb) if action.required)


def test_an_option_means_the_same_in_every_verb() -> None:
    meanings: dict[str, set[tuple[str, object]]] = {}
    for verb in VERBS:
        for action in options_of(verb):
            words = (action.help or "").replace(" (required)", "").partition(" (default: ")[0]
            kind = getattr(action.type, "__name__", None)
            meanings.setdefault(action.dest, set()).add((words, kind))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}
    assert set(meanings) == set(MEANINGS)  # none is explained that is not there


def test_the_version(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("--version")
    assert stopped.value.code == 0 and capsys.readouterr().out == f"lgsf {__version__}\n"


def test_options_are_written_out(capsys) -> None:
    with pytest.raises(SystemExit):
        run("compare", "--config", "x")  # the beginning of --configuration, and another verb's option
    assert "unrecognized arguments: --config x" in capsys.readouterr().err
