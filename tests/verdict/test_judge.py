"""`lgsf compare` and `lgsf published`: verdicts on planted runs of COCO's shape, and one sentence for every mistake."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgsf.tables.tests
from lgsf.cli import main
from lgsf.config.experiment import Experiment
from lgsf.runs.ranks import read_ranks
from lgsf.statistics import method_tests
from lgsf.tables.collect import collect
from lgsf.tables.finished import Finished
from lgsf.verdict.compare import published_keys
from lgsf.verdict.files import read_table
from lgsf.verdict.judge import claims, judge
from lgsf.verdict.section import verdict_parts
from tests.support.coco_runs import SHIFT, Recalls, write_coco_run
from tests.verdict.test_published import PLANTED, planted

# (i2t R@1, R@5, R@10, t2i R@1, R@5, R@10) of the folds, the key of the published rows, the text encoder
SGR: Recalls = (78.0, 95.8, 98.2, 61.4, 89.3, 95.4)  # as published
METHODS: dict[str, tuple[Recalls, str | None, str]] = {
    "lgsf": ((73.55, 95.0, 98.0, 60.22, 89.0, 95.0), None, "BiGRU"),
    "weak": ((72.6, 94.0, 98.0, 56.6, 88.0, 94.0), None, "BiGRU"),
    "sgr": (SGR, "sgr", "BiGRU"),
    "vse_inf": ((73.5, 91.0, 93.7, 56.7, 85.3, 90.6), "vseinf", "BiGRU"),  # five points below in every recall
    "hrem": ((81.9, 96.9, 98.0, 65.9, 91.4, 96.0), "hrem", "BiGRU"),  # published with BERT
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("coco")
    for method, (recalls, _, text) in METHODS.items():
        for seed in range(len(SHIFT)):
            write_coco_run(root, method, recalls, seed=seed, text=text)
    return root


@pytest.fixture(scope="module")
def config(repository: Path) -> Path:
    return repository / "config"


def experiment(names: tuple[str, ...] = tuple(METHODS), **changes: Any) -> Experiment:
    raw = {
        "experiment": "planted",
        "datasets": ["coco"],
        "methods": [{"name": name, "title": name.upper(), "published": METHODS[name][1]} for name in names],
        "seeds": [0, 1, 2],
        "reference": "weak",
    }
    return Experiment.parse(json.dumps(raw | changes))


@pytest.fixture(scope="module")
def runs(results: Path) -> pd.DataFrame:
    return collect(experiment(), Finished(results))


@pytest.fixture(scope="module")
def verdicts(runs: pd.DataFrame, config: Path) -> pd.DataFrame:
    return judge(experiment(), runs, *read_table(config / "published.csv"))


def run(config: Path, *arguments: object) -> None:
    shared = ["--configuration", config / "config.yaml", "--table", config / "published.csv"]
    main([str(a) for a in ["compare", *arguments, *shared]])


def refused(capsys: pytest.CaptureFixture[str], config: Path, *arguments: object) -> str:
    """The one sentence with which the verb ends."""
    with pytest.raises(SystemExit) as stopped:
        run(config, *arguments)
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_planted_recalls_are_what_the_folds_say(results: Path) -> None:
    ranks = read_ranks(results / "coco/sgr/seed0")
    folds = [100 * np.mean(ranks.i2t_fold[ranks.image_fold == k] == 0) for k in range(5)]
    assert np.mean(folds) == pytest.approx(78.0 + SHIFT[0], abs=1e-9)


def test_verdicts_by_hand(verdicts: pd.DataFrame) -> None:
    rows = verdicts.drop_duplicates(["method", "line"]).set_index(["method", "published", "protocol", "text"])
    words = rows["verdict"].to_dict()
    assert words["sgr", "SGR", "coco1k_5fold", "BiGRU"] == "reproduced"
    assert words["vse_inf", "VSE∞ region", "coco1k_5fold", "BiGRU"] == "below"
    assert words["vse_inf", "VSE∞ region", "coco1k_5fold", "BERT"] == "not comparable"
    assert words["hrem", "HREM*", "coco1k_5fold", "BERT"] == "not comparable"
    assert rows.loc[("hrem", "HREM*", "coco1k_5fold", "BERT"), "reason"] == (
        "text encoder: published with BERT, ours with BiGRU; "
        "ensemble: published is an average of several models, ours a single model"
    )
    # nobody is held against another dataset, and LGSF, whose numbers are not public, against nothing
    assert {protocol for _, _, protocol, _ in words} == {"coco1k_5fold", "coco5k"}
    assert "lgsf" not in set(verdicts["method"])


def test_numbers_and_tolerance_by_hand(verdicts: pd.DataFrame) -> None:
    chosen = (verdicts["published"] == "SGR") & (verdicts["protocol"] == "coco1k_5fold")
    found = verdicts[chosen & (verdicts["metric"] == "t2i_r1")].iloc[0]
    assert found[["own", "published_value", "seeds"]].tolist() == pytest.approx([61.4, 61.4, 3])
    assert found["own_sd"] == pytest.approx(0.2)
    assert found["tolerance"] == pytest.approx(2 * (0.2**2 / 3 + 1.24**2) ** 0.5)  # 1.24: nine runs of Rao et al.


def test_both_galleries_have_their_own_rows(verdicts: pd.DataFrame) -> None:
    own = verdicts[(verdicts["method"] == "vse_inf") & (verdicts["metric"] == "i2t_r1")]
    found = own.groupby("protocol")["own"].first()
    assert found["coco1k_5fold"] == pytest.approx(73.5)
    assert found["coco5k"] == pytest.approx(73.5)  # planted: rank 0 stays rank 0
    rsum = verdicts[(verdicts["method"] == "vse_inf") & (verdicts["metric"] == "rsum")].groupby("protocol")["own"]
    assert rsum.first()["coco5k"] < rsum.first()["coco1k_5fold"]


def test_the_claim_against_a_named_reference(
    results: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """60.22 over 56.6 is +6.4 %, or +3.6 points; 73.55 over 72.6 is +1.3 %, or +0.95 points."""
    # fewer draws for speed: they serve the claim about checkpoints, which is not read here
    monkeypatch.setattr(lgsf.tables.tests, "method_tests", partial(method_tests, resamples=100))
    run(config, "--results", results, "--dataset-name", "coco", "--reference", "weak", "--out", tmp_path)
    assert capsys.readouterr().out == f"{tmp_path / 'verdicts.md'}\n"
    found = pd.read_csv(tmp_path / "claims.csv").set_index(["metric", "reading"])
    measured = {key: row["measured"] for key, row in found.to_dict("index").items()}
    assert measured["t2i_r1", "relative"] == pytest.approx(100 * (60.22 / 56.6 - 1), abs=0.02)
    assert measured["t2i_r1", "absolute"] == pytest.approx(60.22 - 56.6, abs=0.01)
    assert measured["i2t_r1", "relative"] == pytest.approx(100 * (73.55 / 72.6 - 1), abs=0.02)
    assert found.loc[("t2i_r1", "relative"), "verdict"] == "agrees with the claim"
    assert found.loc[("t2i_r1", "absolute"), "verdict"] == "smaller than claimed"
    assert (found["reference"] == "weak").all()
    assert (found["low"] < found["measured"]).all()
    assert (found["measured"] < found["high"]).all()
    for name in ("verdicts", "claims"):
        parquet, text = pd.read_parquet(tmp_path / f"{name}.parquet"), pd.read_csv(tmp_path / f"{name}.csv")
        assert len(parquet) == len(text) > 0
    markdown = (tmp_path / "verdicts.md").read_text()
    assert "| image retrieval | relative | WEAK | +6.4 % | +6.4 % |" in markdown
    assert "| SGR | SGR (1K, five folds; BiGRU, BUTD, single) | reproduced (spread: 9 runs of SGR" in markdown


def test_one_method_and_its_key_by_hand(results: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(config, "--results", results, "--dataset-name", "coco", "--method-name", "weak", "--published", "scan_t2i_avg")
    printed = capsys.readouterr().out
    assert re.search(
        r"\| WEAK \| SCAN t-i AVG \(1K, five folds; BiGRU, BUTD, single\) \| reproduced \(spread: ", printed
    )
    assert "SGR" not in printed
    assert "lgsf is not among the methods" in printed


def test_a_published_row_beside_both_protocols_of_a_method_stands_twice(runs: pd.DataFrame, config: Path) -> None:
    """SCAN t-i AVG has no numbers for 5K: beside our 5K stand its other rows, with the reason why not."""
    own = experiment(("weak",), methods=[{"name": "weak", "title": "WEAK", "published": "scan_t2i_avg"}])
    found = judge(own, runs, *read_table(config / "published.csv"))
    block = verdict_parts(own, runs, found, claims(own, runs, None))[0].published
    assert block is not None
    words = [(row[1].minor.partition(";")[0], row[2].text) for row in block.rows]
    assert words == [
        ("(1K, five folds", "reproduced"),
        ("(1K, five folds", "not comparable"),
        ("(1K", "not comparable"),
    ]
    assert [row[3].text for row in block.rows] == ["72.6 / 70.9", "72.6 / 70.9", "72.6 / 61.8"]


def test_without_a_reference_the_claim_has_no_number(results: Path, runs: pd.DataFrame) -> None:
    table = claims(experiment(), runs, None)
    assert set(table["verdict"]) == {"n/a"}
    assert set(table["reason"]) == {"name the method that the gains are over with --reference"}
    assert table[["measured", "low", "high"]].isna().all(axis=None)


def test_off_coco_nothing_is_compared_and_one_sentence_says_why(tmp_path: Path, config: Path) -> None:
    for method in ("lgsf", "sgr"):
        write_coco_run(tmp_path, method, SGR, seed=0, dataset="flickr8k", images=1000, folds=1)
    own = experiment(("lgsf", "sgr"), datasets=["flickr8k"], reference="sgr", seeds=[0])
    found = collect(own, Finished(tmp_path))
    rows, spread = read_table(config / "published.csv")
    part = verdict_parts(own, found, judge(own, found, rows, spread), claims(own, found, None))[0]
    assert part.published is None
    assert part.sentence == (
        "Nothing is compared with published numbers: "
        "the table of published numbers has MS-COCO and Flickr30K, not flickr8k."
    )
    assert part.reason == "the claim is about MS-COCO, and flickr8k is not"
    assert {cell.text for row in part.claim.rows for cell in row[4:]} == {"n/a"}


@pytest.mark.parametrize(
    ("dataset", "images", "protocol", "word", "reason"),
    [
        ("flickr30k", 1000, "f30k_1k", "reproduced", ""),
        ("coco", 1000, "coco1k_5fold", "not comparable", "protocol: published is MS-COCO, mean of five folds"),
    ],
)
def test_other_test_splits(
    tmp_path: Path, config: Path, dataset: str, images: int, protocol: str, word: str, reason: str
) -> None:
    published: Recalls = (75.2, 93.3, 96.6, 56.2, 81.0, 86.5)  # SGR on Flickr30K
    write_coco_run(tmp_path, "sgr", published, seed=1, dataset=dataset, images=images, folds=1)
    own = experiment(("sgr",), datasets=[dataset], reference="sgr", seeds=[1])
    found = judge(own, collect(own, Finished(tmp_path)), *read_table(config / "published.csv"))
    first = found[found["protocol"] == protocol].iloc[0]
    assert first["verdict"] == word
    assert first["reason"].startswith(reason)
    assert word != "reproduced" or first["notes"].startswith("single seed")


def test_imported_scores_are_judged_by_what_is_said_of_them(tmp_path: Path, config: Path) -> None:
    words = {}
    for name, record in {
        "silent": {"text_encoder": None},
        "said": {"text_encoder": "BiGRU", "ensemble": False},
        "averaged": {"text_encoder": "BiGRU", "ensemble": True},
        "grid": {"text_encoder": "BiGRU", "ensemble": False, "features": "BUTD-grid"},
    }.items():
        write_coco_run(tmp_path, name, SGR, seed=1, kind="imported", record=record)
        own = experiment(("sgr",), methods=[{"name": name, "title": name, "published": "sgr"}], seeds=[1])
        found = judge(own, collect(own, Finished(tmp_path)), *read_table(config / "published.csv"))
        words[name] = found[found["protocol"] == "coco1k_5fold"].iloc[0][["verdict", "reason"]].tolist()
    assert words["said"] == ["reproduced", ""]
    assert words["silent"][1].startswith("text encoder: our record does not say which; ensemble: our record")
    assert words["averaged"][1] == "ensemble: published is a single model, ours an average of several models"
    assert words["grid"][1] == "features: published with BUTD, ours with BUTD-grid"


def test_an_ensemble_meets_published_ensembles(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published: Recalls = (79.6, 96.2, 98.5, 63.2, 90.7, 96.1)  # SGRAF*, the mean of SGR and SAF
    write_coco_run(tmp_path, "sgraf", published, seed=1, kind="ensemble", record={"title": "SGRAF (ensemble)"})
    run(config, "--results", tmp_path, "--dataset-name", "coco")
    printed = capsys.readouterr().out
    assert "| SGRAF (ensemble) | SGRAF\\* (1K, five folds; BiGRU, BUTD, ensemble) | reproduced (single seed" in printed


def test_keys_stand_in_the_configuration(config: Path) -> None:
    keys = published_keys(config / "config.yaml")
    assert keys["scan_t2i"] == "scan_t2i_lse"
    assert keys["vse_inf"] == "vseinf"
    assert keys["sgraf"] == "sgraf"  # an ensemble
    assert not {"lgsf", "base", "vsepp_warm"} & set(keys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--results", "r"], "give either --experiment or --dataset-name"),
        (["--dataset-name", "coco"], "give either --tables or --results"),
        (
            ["--dataset-name", "coco", "--results", "r", "--method-name", "x"],
            "give --method-name and --published together",
        ),
        (["--dataset-name", "coco", "--tables", "t"], "--dataset-name needs --results"),
        (["--dataset-name", "coco", "--results", "nowhere"], "nowhere/coco holds no evaluated run"),
        (["--experiment", "{}", "--results", "r"], "--experiment: key 'datasets' is missing"),
    ],
)
def test_mistakes_are_one_sentence(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(capsys, config, *arguments)


def test_unknown_names_are_one_sentence(results: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--results", results, "--dataset-name", "coco"]
    message = refused(capsys, config, *here, "--method-name", "sgr", "--published", "srg")
    assert "--published: published of 'sgr' names 'srg'" in message
    assert "known are hrem, saf, scan" in message
    assert "no evaluated run of 'scan'" in refused(
        capsys, config, *here, "--method-name", "scan", "--published", "scan"
    )
    assert "no evaluated run of 'vsepp'" in refused(capsys, config, *here, "--reference", "vsepp")
    given = ["--experiment", experiment().model_dump_json(), "--results", results, "--reference", "weak"]
    assert "an experiment has its own" in refused(capsys, config, *given)


def test_the_committed_table_is_sound(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["published", "--table", str(config / "published.csv")])
    assert "111 published rows, 12 keys and 6 spreads over seeds, all sound." in capsys.readouterr().out


@pytest.mark.parametrize("mistake", PLANTED)
def test_planted_mistakes_end_the_verb_with_one_sentence(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    old, new, message = PLANTED[mistake]
    for name in ("published_sources.csv", "published_spread.csv"):
        (tmp_path / name).write_bytes((config / name).read_bytes())
    path = planted(config, tmp_path, old, new)
    with pytest.raises(SystemExit) as stopped:
        main(["published", "--table", str(path)])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert message.replace(f"{config}", f"{tmp_path}") in printed
    assert re.search(rf"{re.escape(str(path))}, line \d+:", printed)
