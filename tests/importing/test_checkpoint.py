"""A released checkpoint gives its authors' scores through the command line; what cannot is refused in a sentence."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lgsf
from baselines.hrem import HREM
from baselines.vse_inf import VSEInfinity
from lgsf.cli import main
from lgsf.config.experiment import Experiment, MethodEntry
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.importing.scores import import_scores
from lgsf.models.base import DataSpec, Method
from lgsf.models.pretrained import Pretrained
from lgsf.models.scoring import encode_split
from lgsf.pretrained.bert import read_bert
from lgsf.report.page import write_report
from lgsf.report.sections.methods import method_cards
from lgsf.runs.facts import read_facts
from lgsf.runs.ranks import read_ranks
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays, write_json
from tests.support.golden import Golden
from tests.support.properties import scatter_statistics
from tests.support.released_files import CASES, SPECIAL, Files, make_files, write_vocabulary
from tests.support.synthetic import write_tables_and_verdicts
from tests.support.world import flip

pytestmark = pytest.mark.seconds


def imported(files: Files, **changes: Any) -> Path:
    main(files.arguments(**changes))
    main(["evaluate", "--run", str(files.out), "--dataset", str(files.dataset)])
    return files.out


def scores(run: Path) -> np.ndarray:
    """(6, 6) scores as the run's best candidates hold them, the same in both directions."""
    top = read_arrays(run / "test" / "top.npz", hint="")
    both = np.full((2, 6, 6), np.nan)
    np.put_along_axis(both[0], top["i2t"].astype(int), top["i2t_score"], 1)
    np.put_along_axis(both[1].T, top["t2i"].astype(int), top["t2i_score"], 1)
    np.testing.assert_array_equal(both[0], both[1])
    return both[0]


@pytest.mark.parametrize("name", CASES)
def test_the_authors_scores_come_out(tmp_path: Path, name: str) -> None:
    run = imported(make_files(tmp_path, name))
    expected = Golden(name)["sims"].numpy()
    np.testing.assert_allclose(scores(run), expected, atol=1e-5)
    true = expected.diagonal()
    ranks = read_arrays(run / "test" / "ranks.npz", hint="")
    np.testing.assert_array_equal(ranks["i2t"], (expected > true[:, None]).sum(1))
    np.testing.assert_array_equal(ranks["t2i"], (expected > true).sum(0))


@pytest.mark.parametrize("name", ["scan_t2i_lse", "vsrn_f30k"])
def test_old_files_of_several_gpus_without_batch_counts(tmp_path: Path, name: str) -> None:
    files = make_files(tmp_path, name, wrapped=True)
    for state in files.content["model"]:
        for key in [key for key in state if key.endswith("num_batches_tracked")]:
            del state[key]
    files.save(_use_new_zipfile_serialization=False)
    np.testing.assert_allclose(scores(imported(files)), Golden(name)["sims"].numpy(), atol=1e-5)


# our names -> those of the authors' code with a BERT
REGION_MLP = {"fc.": "fc.", "first.": "mlp.layers.0.", "second.": "mlp.layers.1.", "norm.": "mlp.bns.0."}
BERT_FORMS: dict[str, tuple[type[Method], dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "vse_inf": (
        VSEInfinity, {}, {"precomp_enc_type": "basic"},
        {**{f"region_encoder.{ours}": f"img_enc.{theirs}" for ours, theirs in REGION_MLP.items()},
         "region_pooling.": "img_enc.gpool.", "text_pooling.": "txt_enc.gpool.", "text_encoder.": "txt_enc."},
    ),
    "hrem": (
        HREM, {"heads": 2, "residual_weight": 0.7}, {"nhead": 2, "dropout": 0.1, "residual_weight": 0.7},
        {**{f"region_encoder.{ours}": f"img_enc.fc.{theirs}" for ours, theirs in REGION_MLP.items()},
         "region_relations.layer.": "img_enc.aggr.layers.0.", "word_relations.layer.": "txt_enc.aggr.layers.0.",
         "text_encoder.": "txt_enc."},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BERT_FORMS)
def test_a_checkpoint_with_a_bert(
    tmp_path: Path, tiny_dataset: Path, tiny_bert: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No golden case has a BERT; tests/models/test_bert.py compares the encoder with transformers' own."""
    kind, parameters, options, names = BERT_FORMS[name]
    torch.manual_seed(0)
    method = kind(
        kind.Parameters.model_validate(
            {"embedding_dim": 12, "text": {"kind": "bert", "path": str(tiny_bert)}, **parameters}
        ),
        DataSpec(region_dim=10, vocabulary_size=2, pretrained=Pretrained(bert=read_bert(tiny_bert))),
    )
    scatter_statistics(method)
    parts: dict[str, dict[str, torch.Tensor]] = {"img_enc": {}, "txt_enc": {}}
    for ours, tensor in method.state_dict().items():
        if not ours.startswith("sample_relations."):  # which the authors do not save
            prefix = next(prefix for prefix in names if ours.startswith(prefix))
            part, _, theirs = (names[prefix] + ours.removeprefix(prefix)).partition(".")
            parts[part][theirs] = tensor
    parts["txt_enc"]["bert.pooler.dense.weight"] = torch.ones(2)
    parts["txt_enc"]["bert.embeddings.position_ids"] = torch.arange(64)
    given = {"margin": 0.2, "embed_size": 12, "img_dim": 10, "no_imgnorm": False, "no_txtnorm": False, **options}
    content = {"model": list(parts.values()), "opt": argparse.Namespace(**given), "epoch": 3}
    out = tmp_path / "tiny" / "authors" / "seed0"
    files = Files(name, content, tmp_path / "model_best.pth", tmp_path / "none.json", tiny_dataset, out)
    files.save()
    arguments = [word for word in files.arguments() if word not in ("--vocab", str(files.vocab))]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "give --bert" in capsys.readouterr().err
    main([*arguments, "--bert", str(tiny_bert)])
    main(["evaluate", "--run", str(out), "--dataset", str(tiny_dataset)])

    split = open_dataset(tiny_dataset).split("test")
    words = Vocabulary.load(tiny_dataset / "vocabulary.json")
    images, texts = encode_split(method, split, words, device=torch.device("cpu"))
    with torch.inference_mode():
        expected = method.eval().similarity(images, texts).numpy()
    top = read_arrays(out / "test" / "top.npz", hint="")
    np.testing.assert_allclose(top["t2i_score"], -np.sort(-expected.T, axis=1), atol=1e-5)
    facts = read_facts(out)
    assert facts.inputs["text"] == "BERT"
    assert facts.checkpoint is not None
    assert ("chosen on TEST" in facts.checkpoint.note) == (name == "hrem")
    assert not (out / "vocabulary.json").exists()


def test_what_the_record_says(tmp_path: Path) -> None:
    files = make_files(tmp_path, "scan_t2i_lse")
    run = imported(files, title="SCAN of its authors")
    facts = read_facts(run)
    assert (facts.kind, facts.method, facts.seed, facts.title) == ("imported", "authors", 0, "SCAN of its authors")
    assert facts.inputs == {"text": "BiGRU", "visual": "unknown", "ensemble": "no"}
    assert facts.checkpoint is not None
    assert (facts.checkpoint.epoch, facts.checkpoint.best_score) == (17, 507.9)
    assert "Imported, not trained here" in facts.checkpoint.note
    assert "chosen on dev" in facts.checkpoint.note
    assert facts.parameters == sum(v.numel() for v in Golden("scan_t2i_lse").weights.values())
    assert (facts.steps, facts.best_epoch, facts.dev) == (None, None, None)
    text = (run / "run.json").read_text()
    assert "/home/" not in text
    record = json.loads(text)
    assert record["checkpoint"]["options"]["learning_rate"] == 0.0005
    own = Vocabulary.load(run / "vocabulary.json")
    assert record["data"]["vocabulary"] == {"size": 60, "hash": own.hash, "min_count": None}
    assert own.encode("w59 w4 quokka") == [1, 59, 4, 3, 2]
    assert not (run / "training_only.safetensors").exists()
    # From Python: the words are the authors'.
    texts = lgsf.load_run(run, files.dataset).encode_texts(["w44 w25"])
    assert texts.mask is not None
    assert texts.mask.sum() == 4


def test_every_table_says_that_it_was_imported(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    files = make_files(tmp_path / "results", "scan_t2i_lse")
    run = imported(files)
    experiment = Experiment.parse(
        json.dumps(
            {"experiment": "e", "datasets": ["golden"], "methods": [{"name": "authors", "title": "SCAN"}],
             "seeds": [0], "reference": "authors"}
        )
    )  # fmt: skip
    write_tables_and_verdicts(experiment, results=tmp_path / "results", out=tmp_path / "tables")
    for file, words in (
        ("summary.md", "SCAN (imported)"),
        ("summary.tex", r"SCAN \emph{(imported)}"),
        ("runs.csv", "imported"),
    ):
        assert words in (tmp_path / "tables" / file).read_text(), file
    page = write_report(experiment, results=tmp_path / "results", tables=tmp_path / "tables", out=tmp_path / "report")
    html = page.read_text()
    assert "imported" in html
    assert "Imported, not trained here: model_best.pth.tar" in html
    facts = read_facts(run)
    (card,) = method_cards([facts], [MethodEntry(name=facts.method, title=facts.title)], subject="lgsf")
    assert "Imported, not trained here" in card.sentence
    assert not any(p.name.startswith("training.") for p in card.parameters)
    assert any(p.name == "lambda_softmax" for p in card.parameters)


def _option(name: str, value: Any) -> Callable[[Files], None]:
    return lambda files: setattr(files.content["opt"], name, value)


def _without(name: str) -> Callable[[Files], None]:
    return lambda files: delattr(files.content["opt"], name)


def _weight(part: int, name: str, value: torch.Tensor) -> Callable[[Files], None]:
    return lambda files: files.content["model"][part].update({name: value})


REFUSED: dict[str, tuple[str, Callable[[Files], None], str]] = {
    "order embeddings": ("vsepp_max", _option("measure", "order"), "trained with measure = 'order'"),
    "absolute values": ("vsepp_max", _option("use_abs", True), "trained with use_abs = True"),
    "a CNN": ("vsepp_max", _weight(0, "cnn.module.conv1.weight", torch.ones(2)), "a CNN that reads pictures"),
    "two layers": ("vsepp_max", _option("num_layers", 2), "trained with num_layers = 2"),
    "no norm": ("scan_t2i_lse", _option("no_imgnorm", True), "trained with no_imgnorm = True"),
    "another norm": ("scan_t2i_lse", _option("raw_feature_norm", "softmax"), "raw_feature_norm = 'softmax'"),
    "another sum": ("scan_i2t_avg", _option("agg_func", "Max"), "knows 'LogSumExp' or 'Mean' alone"),
    "one direction": ("scan_t2i_lse", _option("bi_gru", False), "trained with bi_gru = False"),
    "another width": ("scan_t2i_lse", _option("embed_size", 64), "embed_size = 64 and its weights 32"),
    "another file": ("vsepp_max", _without("measure"), "does not say 'measure'"),
    "BERT": ("vse_inf_bigru", _weight(1, "bert.pooler.bias", torch.ones(2)), "with a BERT: give --bert"),
    "a backbone": ("vse_inf_bigru", _weight(0, "backbone.conv1.weight", torch.ones(2)), "a CNN that reads pictures"),
    "a stranger": ("vsrn_coco", _weight(0, "extra.weight", torch.ones(2)), "model_best.pth.tar: the checkpoint holds"),
    "one missing": ("vsrn_coco", lambda f: f.content["model"][0].pop("fc.bias"), "same weights.*fc.bias"),
    "another shape": ("vsrn_coco", _weight(0, "fc.bias", torch.ones(7)), r"has shape \(7,\), not \(32,\)"),
    "not finite": ("vsepp_max", _weight(0, "fc.bias", torch.full((32,), torch.nan)), "'fc.bias' holds a value that is not"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_our_rebuild_does_not_have_is_refused(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, change, said = REFUSED[what]
    files = make_files(tmp_path, name)
    change(files)
    files.save()
    refuses(files, capsys, said)


def refuses(files: Files, capsys: pytest.CaptureFixture[str], said: str, **changes: Any) -> None:
    capsys.readouterr()  # what preparing the data has told
    with pytest.raises(SystemExit, match="2"):
        main(files.arguments(**changes))
    (sentence,) = capsys.readouterr().err.splitlines()
    assert re.search(said, sentence), sentence
    assert not files.out.exists()


def test_wrong_arguments_are_refused(tmp_path: Path, tiny_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = make_files(tmp_path, "scan_t2i_lse")
    refuses(files, capsys, "known are vsepp, scan", method="gsmn")
    refuses(files, capsys, "does not say 'measure'.*check --method", method="vsepp")
    refuses(files, capsys, "does not say 'module_name'", method="sgraf")
    refuses(files, capsys, "with a GRU: give --vocab.* and no --bert", bert="bert-base-uncased")
    refuses(files, capsys, "missing: check its name", checkpoint=tmp_path / "absent")
    refuses(files, capsys, "reads regions of 48 numbers and .* has 10", dataset=tiny_dataset)
    refuses(files, capsys, "must end in <name>/seed<k>", out=tmp_path / "somewhere")
    refuses(files, capsys, "--seed 3 contradicts", seed=3)
    refuses(files, capsys, "the folder of 'SCAN' is called scan", name="SCAN")
    (tmp_path / "vocab.pkl").write_bytes(b"")
    refuses(files, capsys, "is a pickle, which is never opened", vocab=tmp_path / "vocab.pkl")
    write_vocabulary(tmp_path / "short.json", [*SPECIAL, "a"])
    refuses(files, capsys, "has 5 words and the checkpoint 60", vocab=tmp_path / "short.json")


def test_too_many_regions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = make_files(tmp_path, "sgraf_sgr")
    sim = files.content["model"][2]
    for key in [key for key in sim if ".embedding_local.1." in key and sim[key].ndim]:
        sim[key] = sim[key][:6]
    files.save()
    refuses(files, capsys, "knows 6 regions per image and .* has up to 7")


def test_importing_again_replaces_the_import_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = make_files(tmp_path, "vsepp_max")
    imported(files, title="authors")
    files.content["epoch"] = 18
    files.save()
    facts = read_facts(imported(files, title="authors"))
    assert facts.checkpoint is not None
    assert facts.checkpoint.epoch == 18
    record = json.loads((files.out / "run.json").read_text())
    np.save(tmp_path / "scores.npy", np.eye(6))
    with pytest.raises(LgsfError, match="holds the run"):
        import_scores(
            dataset=files.dataset, split="test", name=record["title"], seed=0, results=tmp_path,
            scores=tmp_path / "scores.npy",
        )  # fmt: skip
    del record["checkpoint"]
    write_json(files.out / "run.json", record)
    before = (files.out / "run.json").read_bytes()
    with pytest.raises(SystemExit, match="2"):
        main(files.arguments())
    assert "holds another run" in capsys.readouterr().err
    assert (files.out / "run.json").read_bytes() == before


def test_a_stopped_import_is_taken_up_by_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_files(tmp_path, "vsepp_max")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lgsf.importing.checkpoint.write_record", killed)
        with pytest.raises(SystemExit):
            main(files.arguments())
    assert (files.out / "model.safetensors").is_file() and not (files.out / "run.json").exists()
    imported(files)
    assert read_ranks(files.out).metrics()
    flip(files.out / "model.safetensors", 8 * 2000)
    with pytest.raises(LgsfError, match=r"model.safetensors is not the file that run.json"):
        lgsf.load_run(files.out, files.dataset)


def test_a_foreign_vocabulary_of_the_same_size_is_warned_of_with_its_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = make_files(tmp_path, "vsepp_max")
    run = imported(files)
    assert "check that it is the file" not in capsys.readouterr().err
    right = read_facts(run).data["unknown_words"]
    assert right == {"dev": 0.0, "test": 0.0}
    content = json.loads(files.vocab.read_text())
    words = [content["idx2word"][str(k)] for k in range(len(content["idx2word"]))]
    write_vocabulary(files.vocab, [*words[:4], *(f"x{word}" if k % 2 else word for k, word in enumerate(words[4:]))])
    wrong = read_facts(imported(files)).data["unknown_words"]
    assert 0.2 < wrong["test"] < 0.8
    assert (
        f"{files.vocab}: {100 * wrong['test']:.1f} % of the words of split test are unknown to it, 0.0 % to the dataset's "
        "own vocabulary; check that it is the file that came with this checkpoint"
    ) in capsys.readouterr().err
