"""More than 150 bad configurations: each ends in one sentence that names the place, and says nothing of Python.

They go the ways that a configuration can go: text through the strict loader, values through `Config`, parameters
through a method's own class, and JSON through the command line.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lgsf.cli import main
from lgsf.config.experiment import Experiment
from lgsf.config.file import Config
from lgsf.models.sizing import configured
from lgsf.system.errors import LgsfError
from lgsf.system.settings import deep_merge

GOOD: dict[str, Any] = {
    "experiment": "x",
    "run": {"datasets": ["scenes"], "methods": ["a"], "seeds": [0], "reference": "a"},
    "datasets": {"scenes": {"source": "scenes"}, "pack": {"source": "precomp", "path": "p"}},
    "methods": {
        "a": {"model": "baselines.vsepp:VSEPP", "parameters": {"embedding_dim": 16, "word_dim": 8}},
        "b": {"extends": "a", "training": {"epochs": 2}},
    },
    "ensembles": {"two": {"members": ["a", "b"]}},
}
# Words that speak of how we read a configuration and not of what stands in it.
FOREIGN = re.compile(
    r"Traceback|pydantic|discriminator|[Tt]uple|valid dictionary|instance of|NoneType|KeyError|ValueError|TypeError|"
    r"object at 0x|<lambda|errors\.pydantic"
)


def one_sentence(error: LgsfError | str) -> str:
    text = str(error)
    assert "\n" not in text
    assert text.endswith("."), text
    assert len(text) < 700, text
    assert not FOREIGN.search(text), text
    return text


LARGE = 10**12
VALUES: list[tuple[str, Any, str]] = [
    # dotted path, value, what the sentence says
    ("experiment", "", "experiment: a name has only small letters"),
    ("experiment", "../../escaped", "experiment: a name has only small letters"),
    ("experiment", "a" * 101, "at most 100 characters"),
    ("experiment", "Große", "experiment: a name"),
    ("experiment", 3, "experiment: text is needed, not 3"),
    ("experiment", None, "experiment: text is needed"),
    ("title", " ", "title: a title needs at least one letter"),
    ("title", "two\nlines", "title: a title stands on one line"),
    ("title", "\x1b[31mred", "title: a title stands on one line"),
    ("title", "x" * 201, "title: .*at most 200"),
    ("title", ["x"], "title: text is needed"),
    ("run", [], "run: keys and values are needed, not \\[\\]"),
    ("run", "scenes", "run: keys and values are needed"),
    ("run.datasets", "scenes", "run.datasets: a list is needed"),
    ("run.datasets", [], "run.datasets: .*at least 1"),
    ("run.datasets", ["scenes", "scenes"], "run.datasets: 'scenes' is listed twice"),
    ("run.datasets", ["moon"], "run.datasets names 'moon'"),
    ("run.datasets", [["scenes"]], "run.datasets.0: text is needed"),
    ("run.datasets", {"scenes": 1}, "run.datasets: a list is needed"),
    ("run.methods", "a", "run.methods: a list is needed"),
    ("run.methods", ["a", "a"], "run.methods: 'a' is listed twice"),
    ("run.methods", ["a", "random"], "run.methods names 'random'"),
    ("run.methods", [None], "run.methods.0: text is needed"),
    ("run.controls", ["chance"], "run.controls.0: .*'random', 'oracle' or 'truth'"),
    ("run.controls", ["random", "random"], "run.controls: 'random' is listed twice"),
    ("run.seeds", 0, "run.seeds: a list is needed, such as \\[0, 1\\], not 0"),
    ("run.seeds", [0, 0], "run.seeds: 0 is listed twice"),
    ("run.seeds", [], "run.seeds: .*at least 1"),
    ("run.seeds", [-1], "run.seeds.0: .*greater than or equal to 0"),
    ("run.seeds", [2**31], "run.seeds.0: .*less than or equal to 2147483647"),
    ("run.seeds", [2**64], "run.seeds.0: .*less than or equal to 2147483647"),
    ("run.seeds", [1.0], "run.seeds.0: .*integer"),
    ("run.seeds", [True], "run.seeds.0: .*integer"),
    ("run.seeds", ["0"], "run.seeds.0: .*integer, not '0'"),
    ("run.reference", "b", "run.reference names 'b', which is not among run.methods"),
    ("run.reference", "", "run.reference: a name"),
    ("run.extra", 1, "unknown key 'run.extra'"),
    ("device", "gpu", "device: .*'cpu' or 'cuda'"),
    ("device", None, "device: "),
    ("threads", 0, "threads: .*greater than or equal to 1"),
    ("threads", 1000, "threads: .*less than or equal to 256"),
    ("threads", "2", "threads: .*integer"),
    ("threads", 1.5, "threads: .*integer"),
    ("threads", True, "threads: .*integer"),
    ("processes", 0, "processes: .*greater than or equal to 1"),
    ("processes", 2000, "processes: .*less than or equal to 1024"),
    ("processes", 3, "methods.a: training.batch_size 128 is not a multiple of processes 3, and each process takes an"),
    ("memory_mb", 1, "memory_mb: .*16"),
    ("memory_mb", LARGE, "memory_mb: .*less than"),
    ("replace_runs", "yes", "replace_runs: .*boolean"),
    ("pathvars", "results", "pathvars: keys and values are needed"),
    ("pathvars.result", "x", "pathvars.result"),
    ("pathvars.results", "", "pathvars.results: a path is needed"),
    ("pathvars.results", "out/{dataset}", "pathvars.results: the path holds { and }"),
    ("pathvars.results", "<home>/x", "pathvars.results: the path holds < and >"),
    ("pathvars.results", "a\0b", "pathvars.results: a path is needed"),
    ("pathvars.logs", 3, "pathvars.logs: text is needed"),
    ("datasets", [], "datasets: keys and values are needed"),
    ("datasets", {}, "run.datasets names 'scenes'"),
    ("datasets.scenes", None, "datasets.scenes: keys and values are needed"),
    ("datasets.scenes", "scenes", "datasets.scenes: keys and values are needed"),
    ("datasets.scenes", {}, "key 'datasets.scenes.source' is missing; add it"),
    ("datasets.mine", {"path": "x"}, "key 'datasets.mine.source' is missing; add it"),
    ("datasets.scenes.source", "moon", "datasets.scenes.source: must be one of 'scenes', 'precomp'.*'moon'"),
    ("datasets.scenes.source", ["scenes"], "datasets.scenes.source: must be one of"),
    ("datasets.scenes.train", 7, "datasets.scenes.train: "),
    ("datasets.scenes.train", 11, "datasets.scenes.train: .*multiple of 2"),
    ("datasets.scenes.size", LARGE, "datasets.scenes.size: .*256"),
    ("datasets.scenes.position", "no", "datasets.scenes.position: .*boolean"),
    ("datasets.scenes.trian", 8, "unknown key 'datasets.scenes.trian'"),
    ("datasets.pack.path", 3, "datasets.pack.path: text is needed"),
    ("datasets.pack.path", "data/{braces}", "datasets.pack.path: the path holds { and }.*Snakemake"),
    ("datasets.pack.path", "data/<angles>", "datasets.pack.path: the path holds < and >.*Snakemake"),
    ("datasets.pack.train", "tr{a}in", "datasets.pack: the path holds"),
    ("datasets.pack.captions_per_image", 0, "datasets.pack.captions_per_image"),
    ("datasets.pack.folds", 0, "datasets.pack.folds"),
    ("datasets.pack.limit_train", 1, "datasets.pack.limit_train"),
    ("datasets.tables", {"source": "scenes"}, "datasets.tables: a folder of this name"),
    ("datasets.tuned", {"source": "scenes"}, "datasets.tuned: a folder of this name"),
    ("datasets.Big", {"source": "scenes"}, "small letters"),
    ("methods", {}, "run.methods names 'a'"),
    ("methods", ["a"], "methods: keys and values are needed"),
    ("methods.a", None, "methods.a: keys and values are needed"),
    ("methods.a.title", "", "methods.a.title: a title needs"),
    ("methods.a.title", "\t", "methods.a.title: a title needs"),
    ("methods.a.title", 8, "methods.a.title: text is needed"),
    ("methods.a.model", "baselines.vsepp", "methods.a.model"),
    ("methods.a.model", "", "methods.a.model"),
    ("methods.a.model", "../x:Y", "methods.a.model"),
    ("methods.a.model", 1, "methods.a.model: text is needed"),
    ("methods.a.extends", "nobody", "methods.a.extends names 'nobody'"),
    ("methods.a.extends", "a", "'extends' goes round in a circle"),
    ("methods.b.extends", None, "methods.b: 'model' is missing"),
    ("methods.a.parameters", [], "methods.a.parameters: keys and values are needed"),
    ("methods.a.parameters.word_vectors", "v{x}.txt", "methods.a.parameters.word_vectors: the path holds"),
    ("methods.a.choices", {"margin": 3}, "methods.a.choices.margin: text is needed"),
    ("methods.a.training", [], "methods.a.training: keys and values are needed"),
    ("methods.a.training.epoch", 1, "methods.a.training: unknown key 'epoch'"),
    ("methods.a.training.epochs", "many", "methods.a.training: epochs: .*integer"),
    ("methods.a.training.decay_epochs", [4, 2], "methods.a.training: decay_epochs: epochs from 1 up, each later"),
    ("methods.oracle", {"model": "a:B"}, "methods.oracle: this name belongs to a control"),
    ("methods.a b", {"model": "a:B"}, "small letters"),
    ("methods.a.published", "Not A Name", "methods.a.published: a name"),
    ("ensembles.two.members", ["a"], "ensembles.two.members: .*at least 2"),
    ("ensembles.two.members", "ab", "ensembles.two.members: a list is needed"),
    ("ensembles.two.members", ["a", "c"], "ensembles.two.members names 'c'"),
    ("ensembles.two.members", ["a", "two"], "which is itself an ensemble"),
    ("ensembles.two.title", "", "ensembles.two.title: a title needs"),
    ("ensembles", {"a": {"members": ["a", "b"]}}, "ensembles.a: this name belongs to a method"),
    ("training", None, "training: keys and values are needed"),
    ("training.batch_size", 1, "training.batch_size: .*2"),
    ("training.batch_size", LARGE, "training.batch_size: .*less than"),
    ("training.epochs", 0, "training.epochs"),
    ("training.epochs", LARGE, "training.epochs: .*less than"),
    ("training.epochs", 1.0, "training.epochs: .*integer"),
    ("training.optimizer", "sgd", "training.optimizer: .*'adamw' or 'adam'"),
    ("training.learning_rate", 0, "training.learning_rate: .*greater than 0"),
    ("training.learning_rate", "5e-4", "training.learning_rate: .*number, not '5e-4'"),
    ("training.learning_rate", float("inf"), "training.learning_rate: a finite number is needed"),
    ("training.learning_rate", float("nan"), "training.learning_rate: "),
    ("training.learning_rate", True, "training.learning_rate: .*number"),
    ("training.weight_decay", -1.0, "training.weight_decay"),
    ("training.warmup_steps", LARGE, "training.warmup_steps: .*less than"),
    ("training.warmup_steps", -1, "training.warmup_steps"),
    ("training.decay_epochs", 4, "training.decay_epochs: a list is needed"),
    ("training.decay_epochs", [4, 2], "training.decay_epochs: epochs from 1 up, each later .*\\[4, 2\\]"),
    ("training.decay_epochs", [4, 4], "training.decay_epochs: epochs from 1 up, each later"),
    ("training.decay_epochs", [0], "training.decay_epochs: epochs from 1 up"),
    ("training.decay_factor", 0.0, "training.decay_factor"),
    ("training.decay_factor", 1.5, "training.decay_factor"),
    ("training.clip_norm", 0.0, "training.clip_norm"),
    ("training.clip_norm", float("inf"), "training.clip_norm: a finite number is needed"),
    ("training.sum_steps", LARGE, "training.sum_steps: .*less than"),
    ("training.region_drop", 1.0, "training.region_drop"),
    ("training.word_drop", -0.1, "training.word_drop"),
    ("training.length_buckets", LARGE, "training.length_buckets"),
    ("training.group", "", "training.group"),
    ("training.group", 3, "training.group"),
    ("training.precision", "float16", "training.precision"),
    ("tuning.trials", 0, "tuning.trials"),
    ("tuning.trials", LARGE, "tuning.trials"),
    ("tuning.seed", 2**64, "tuning.seed: .*less than"),
    ("tuning.epochs", 0, "tuning.epochs"),
    ("tuning.sampler", "grid", "tuning.sampler"),
    ("tuning.ranges", {}, "tuning.ranges"),
    ("tuning.ranges", {"training.learning_rate": {"low": 1}}, "both low and high"),
    ("transductive.batch_size", 0, "transductive.batch_size"),
    ("transductive.batch_size", LARGE, "transductive.batch_size"),
    ("factorial", {"factors": {"g": "G"}, "cells": {}}, "factorial.factors: .*at least 2"),
    ("factorial", {"factors": 3, "cells": {}}, "factorial.factors: keys and values are needed"),
    ("training", {"group": "twin", "length_buckets": 4}, "training: group and length_buckets both decide"),
    ("datasets.scenes.named", ["size"], "named: captions cannot tell objects apart"),
    ("datasets.scenes.objects", 1, "objects: .*at least 2|objects: .*greater"),
    ("validity", {"finds": ["a"], "silent": ["unheard_of"]}, "validity names 'unheard_of', which is not defined"),
    ("nonsense", 1, "unknown key 'nonsense'"),
]


def changed(path: str, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(GOOD)
    *way, last = path.split(".")
    place = tree
    for key in way:
        place = place.setdefault(key, {})
    place[last] = value
    return tree


@pytest.mark.parametrize(("path", "value", "sentence"), VALUES, ids=lambda part: str(part)[:40])
def test_values(path: str, value: Any, sentence: str) -> None:
    Config.parse(GOOD)
    with pytest.raises(LgsfError) as caught:
        Config.parse(changed(path, value))
    assert re.search(sentence, one_sentence(caught.value)), str(caught.value)


TEXTS: list[tuple[str, str]] = [
    # what is laid over a good file, what the sentence says behind the file's name
    ("title: a\ntitle: b", "line 2: the key 'title' stands in line 1 already"),
    ("run: {seeds: [0], seeds: [1]}", "line 1: the key 'run.seeds' stands in line 1"),
    ("methods:\n  a: {model: 'x:Y'}\n  a: {model: 'x:Z'}", "line 3: the key 'methods.a' stands in line 2"),
    ("training: {clip_norm: yes}", "line 1: training.clip_norm: yes is a truth value to some readers"),
    ("methods: {no: {extends: a}}", "line 1: methods: no is a truth value"),
    ("threads: 010", "line 1: threads: 010 is a whole number in a notation"),
    ("memory_mb: 1_024", "line 1: memory_mb: 1_024 is a whole number in a notation"),
    ("training: {epochs: 1:30}", "1:30 is a whole number in a notation"),
    ("training: {learning_rate: 1e-4}", "1e-4 .*write 1.0e-4"),
    ("training: {learning_rate: 1.0e3}", "1.0e3 .*write 1.0e\\+3"),
    ("training: {learning_rate: .inf}", "line 1: .inf is no number"),
    ("training: {learning_rate: 1.0e+999}", "is no number"),
    ("title: 2026-01-01", "line 1: title: 2026-01-01 is a date"),
    ("1: x", "line 1: the key '1' is no text"),
    ("~: x", "line 1: the key '~' is no text"),
    ("training: &t {epochs: 1}\nmethods: {a: {training: *t}}", "line 1: anchors and aliases"),
    ("methods: {b: {<<: {title: x}}}", "<< is a merge key"),
    ("title: !!python/object/apply:os.system [ls]", "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
    ("title: x\n---\ntitle: y", "line 2: a second document begins"),
    ("run:\n\tseeds: [1]", "line 2: found character"),
    ("run: {seeds: [1}", "line 1: "),
    ("title: 'open", "line 1: "),
    ("- a\n- b", "keys and values are needed"),
    ("just words", "keys and values are needed, not 'just words'"),
    ("title: \x07", "line 1: an unprintable character"),
    ("? [a]\n: b", "line 1: a key must be a word"),
    ("title: " + "[" * 60 + "]" * 60, "nested more than 40 levels"),
    ("run: {seeds: [" + "9" * 5000 + "]}", "is larger than any setting"),
    ('{"title": "a", "title": "b"}', "the key 'title' stands there twice"),
    ('{"training": {"clip_norm": NaN}}', "NaN is no number"),
    ("training:\n  epochs: 0", "training.epochs: .*\\(.*over.yaml, line 2\\)"),
    ("run:\n  seeds: 0", "run.seeds: a list is needed.*\\(.*over.yaml, line 2\\)"),
    ("run:\n  datasets: [scenes]\n  methods: [q]", "run.methods names 'q'.*\\(.*over.yaml, line 3\\)"),
    ("datasets: {mine: {path: x}}", "key 'datasets.mine.source' is missing.*\\(.*over.yaml, line 1\\)"),
    ("\nmethods:\n  b:\n    parameters: {margn: 0.1}",
     "unknown key 'methods.b.parameters.margn': baselines.vsepp:VSEPP knows embedding_dim, margin.*over.yaml, line 4"),
    ("methods: {b: {model: 'lgsf.models.lgsf:LGSF', parameters: {graph: {head: 2}}}}", "'methods.b.parameters.graph.head'"),
    ("methods: {b: {model: 'baselines.hrem:HREM', parameters: {text: {knd: bert}}}}", "'methods.b.parameters.text.knd'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), TEXTS, ids=lambda part: part[:30])
def test_texts(tmp_path: Path, text: str, sentence: str) -> None:
    good, over = tmp_path / "good.yaml", tmp_path / "over.yaml"
    good.write_text(json.dumps(GOOD))
    over.write_text(text, encoding="utf-8")
    Config.read([good])
    with pytest.raises(LgsfError) as caught:
        Config.read([good, over])
    said = one_sentence(caught.value)
    assert "over.yaml" in said
    assert re.search(sentence, said), said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("title: Größe\n".encode("latin-1"), "line 1: byte 0xf6 is not UTF-8"),
        ("a: 1\ntitle: 中文\n".encode("gb18030"), "line 2: byte .* is not UTF-8"),
        ("title: x".encode("utf-16"), "is not UTF-8"),
        (b"\x80\x04\x95", "is not UTF-8"),
        (None, "is missing"),
        ("folder", "is a folder"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes | str | None, sentence: str) -> None:
    path = tmp_path / "c.yaml"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(LgsfError, match=sentence) as caught:
        Config.read([path])
    assert "c.yaml" in one_sentence(caught.value)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("run={seeds: [0, 0]}", "0 is listed twice"),
        ("run={seeds: [zero]}", "run.seeds.0: .*integer, not 'zero'.*\\(--config run, line 1\\)"),
        ("threads=no", "--config threads, line 1: no is a truth value"),
        ("run={seeds: [0]", "--config run, line 1"),
        ("threads", "give key=value"),
        ("=1", "give key=value"),
    ],
)
def test_arguments(tmp_path: Path, argument: str, sentence: str) -> None:
    (tmp_path / "good.yaml").write_text(json.dumps(GOOD))
    with pytest.raises(LgsfError, match=sentence) as caught:
        Config.read([tmp_path / "good.yaml"], [argument])
    one_sentence(caught.value)


LGSF = "lgsf.models.lgsf:LGSF"
PARAMETERS: list[tuple[str, dict[str, Any], str]] = [
    (LGSF, {"embedding_dim": LARGE}, "embedding_dim is larger than 131072"),
    (LGSF, {"embedding_dim": 131072, "graph": {"heads": 8, "ff": 131072}}, "weights, and more than 1e\\+10 are not"),
    (LGSF, {"embedding_dim": 0}, "embedding_dim"),
    (LGSF, {"embedding_dim": "wide"}, "embedding_dim: .*integer"),
    (LGSF, {"word_dim": 2**64}, "word_dim is larger than"),
    (LGSF, {"margin": float("inf")}, "margin: a finite number is needed"),
    (LGSF, {"margin": float("nan")}, "margin"),
    (LGSF, {"margin": 0}, "margin"),
    (LGSF, {"margn": 0.2}, "unknown key 'margn'"),
    (LGSF, {"graph": {"heads": 7}}, "heads.*7 does not divide"),
    (LGSF, {"graph": {"layers": 10**6}}, "layers is larger than 100"),
    (LGSF, {"graph": {"head": 7}}, "unknown key 'graph.head'"),
    (LGSF, {"graph": []}, "graph: keys and values are needed"),
    (LGSF, {"interaction": {"heads": 3}}, "interaction.heads: 3 does not divide"),
    (LGSF, {"interaction": {"start": 2.0}}, "interaction.start"),
    (LGSF, {"triangle": {"angle_degrees": 90.0}}, "triangle.angle_degrees"),
    (LGSF, {"text": {"kind": "bert"}}, "kind bert needs a path"),
    ("baselines.hrem:HREM", {"embedding_dim": 1024, "heads": 7}, "heads: 7 does not divide embedding_dim 1024"),
    ("baselines.hrem:HREM", {"start_step": LARGE}, "start_step is larger than"),
    ("baselines.sgraf:SGRAF", {"steps": 10**9}, "steps is larger than 100"),
    ("baselines.vsrn:VSRN", {"caption_dim": LARGE}, "caption_dim is larger than"),
    ("baselines.scan:SCAN", {"lambda_softmax": float("inf")}, "lambda_softmax: a finite number"),
    ("baselines.vsep:VSEPP", {}, "cannot be imported.*check its spelling"),
    ("baselines.vsepp:VSE", {}, "has no class 'VSE'"),
    ("json:JSONDecoder", {}, "is not a subclass of lgsf.models.base.Method"),
    ("lgsf.models.base:Parameters", {}, "is not a subclass"),
]


@pytest.mark.parametrize(("model", "parameters", "sentence"), PARAMETERS)
def test_parameters_are_refused_when_they_are_configured(model: str, parameters: dict[str, Any], sentence: str) -> None:
    raw = Config.parse(changed("methods.a", {"model": model})).run_settings("scenes", "a").plain()
    with pytest.raises(LgsfError) as caught:
        configured({**raw, "parameters": parameters}, source="the configuration")
    assert re.search(sentence, one_sentence(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("class Mine(:\n", r"SyntaxError in .*mine_broken_\d+.py, line 1"),
        ("import torch\nvalue = undefined_name\n", r"NameError in .*mine_broken_\d+.py, line 2: name 'undefined_name'"),
        ("from math import nothing_of_this_name\n", "ImportError in"),
        ("raise SystemExit(3)\n", "SystemExit in"),
        ("1 / 0\n", "ZeroDivisionError in .*line 1"),
        ("import no_such_package_at_all\n", "cannot be imported .No module named 'no_such_package_at_all'"),
    ],
)
def test_a_model_file_with_a_fault_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str, sentence: str
) -> None:
    name = f"mine_broken_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    raw = Config.parse(GOOD).run_settings("scenes", "a").plain() | {"model": f"{name}:Mine"}
    said = refused(capsys, "configure", "--settings", json.dumps(raw), "--out", tmp_path / "out.json")
    assert re.search(sentence, said), said
    assert not (tmp_path / "out.json").exists()


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command line says of arguments that end it with status 2."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr().err
    assert stopped.value.code == 2, said
    (line,) = said.splitlines()
    assert line.startswith("lgsf: error: ")
    return one_sentence(line)


EXPERIMENT: dict[str, Any] = {
    "experiment": "e",
    "datasets": ["d"],
    "methods": [{"name": "a", "title": "A"}, {"name": "b", "title": "B"}],
    "controls": ["random"],
    "seeds": [0, 1],
    "reference": "a",
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seeds": [0, 0]}, "seeds: 0 is listed twice"),
        ({"seeds": 0}, "seeds: a list is needed"),
        ({"seeds": [2**64]}, "seeds.0: .*less than"),
        ({"seeds": []}, "seeds: .*at least 1"),
        ({"methods": [{"name": "a", "title": "A"}, {"name": "a", "title": "B"}]}, "methods: 'a' is listed twice"),
        ({"methods": [{"name": "random", "title": "A"}]}, "methods: 'random' is the name of a control"),
        ({"methods": [{"name": "a", "title": ""}]}, "methods.0.title: a title needs"),
        ({"methods": [{"name": "a"}]}, "key 'methods.0.title' is missing"),
        ({"methods": ["a"]}, "methods.0: keys and values are needed"),
        ({"datasets": ["d", "d"]}, "datasets: 'd' is listed twice"),
        ({"datasets": ["../../escaped"]}, "datasets.0: a name has only"),
        ({"datasets": ["tables"]}, "datasets: 'tables' is a folder"),
        ({"controls": ["random", "random"]}, "controls: 'random' is listed twice"),
        ({"experiment": "a/b"}, "experiment: a name has only"),
        ({"reference": ""}, "reference: a name"),
    ],
)
def test_the_list_of_runs_has_the_rules_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], sentence: str
) -> None:
    """Through `lgsf tables`: a run that is listed twice would count as two replicates."""
    Experiment.parse(json.dumps(EXPERIMENT))
    text = json.dumps(deep_merge(EXPERIMENT, change))
    said = refused(capsys, "tables", "--experiment", text, "--results", tmp_path, "--out", tmp_path / "out")
    assert re.search(f"--experiment: {sentence}", said), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, '{"a": 1, "a": 2}', '{"a": Infinity}', "9" * 5000, "", "null", "3"]
)
@pytest.mark.parametrize(
    ("verb", "option"), [("configure", "--settings"), ("ranges", "--settings"), ("tables", "--experiment")]
)
def test_json_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, option: str, text: str
) -> None:
    results = ["--results", tmp_path] if verb == "tables" else []
    refused(capsys, verb, option, text, *results, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
