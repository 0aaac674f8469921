"""A run goes to the hub and comes back the same; what is damaged, foreign or dangerous does not come in."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml

import lgsf
from lgsf.cli import main
from lgsf.evaluation.evaluate import evaluate
from lgsf.importing.checkpoint import import_checkpoint
from lgsf.runs.ranks import read_ranks
from lgsf.sharing.files import PUBLISHED
from lgsf.sharing.push import push_to_hub
from lgsf.system.files import write_json
from lgsf.system.hashes import sha256
from lgsf.training.train import train
from tests.conftest import write_config
from tests.support.hub import LocalHub
from tests.support.released_files import make_files

pytestmark = pytest.mark.seconds
REPO = "somebody/tiny-vsepp"
CAPTIONS = ["a red circle", "a tall star and a quokka"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    out = tmp_path_factory.mktemp("trained") / "tiny/tried/seed1"
    config = write_config(out.parents[2] / "config.json", epochs=1)
    train(config=config, dataset=tiny_dataset, seed=1, out=out)
    evaluate(run=out, dataset=tiny_dataset, memory_mb=64)
    return out


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    return LocalHub(tmp_path / "hub").put_in_place(monkeypatch)


@pytest.fixture
def published(hub: LocalHub, run: Path, tiny_dataset: Path) -> LocalHub:
    push_to_hub(run=run, dataset=tiny_dataset, repo=REPO, private=True, licence="cc0-1.0")
    return hub


def test_a_run_goes_there_and_back(published: LocalHub, run: Path, tiny_dataset: Path) -> None:
    assert published.private == {REPO: True} and published.messages == ["tried, seed 1"]
    assert set(published.list_repo_files(REPO)) == {*PUBLISHED} - {"bert/config.json", "bert/tokenizer.json"}
    there, here = lgsf.load_run(f"hub:{REPO}"), lgsf.load_run(run, tiny_dataset)
    assert torch.equal(there.encode_texts(CAPTIONS).vector, here.encode_texts(CAPTIONS).vector)  # type: ignore[arg-type]
    assert there.record == here.record and repr(there) == repr(here)
    test = lgsf.open_dataset(tiny_dataset).split("test")
    assert lgsf.rank(there.scores(test), test).metrics() == read_ranks(there.folder).metrics()
    assert lgsf.load_run(f"hub:{REPO}", tiny_dataset).weights == here.weights
    assert lgsf.compare([there]).summary["runs"].tolist() == [1]


def test_nothing_of_the_data_but_words_and_checksums_is_sent(published: LocalHub) -> None:
    for name in published.list_repo_files(REPO):
        assert not name.endswith((".npy", ".parquet", ".pt", ".pkl", ".bin"))
    assert (published.folder(REPO) / "run.json").is_file() and not list(published.root.rglob("training_only*"))


def test_the_card_says_what_the_ranks_say(published: LocalHub, run: Path) -> None:
    card = huggingface_hub.ModelCard((published.folder(REPO) / "README.md").read_text())
    values = read_ranks(run).metrics()
    results = {(r.dataset_name, r.metric_type): r.metric_value for r in card.data.eval_results or []}
    assert results["tiny (whole test split as gallery)", "rsum"] == pytest.approx(values["full"]["rsum"], abs=1e-4)
    assert results["tiny (mean over folds, each its own gallery)", "i2t_r1"] == pytest.approx(values["folds"]["i2t_r1"], abs=1e-4)  # fmt: skip
    head = card.data.to_dict()
    assert (head["license"], head["library_name"]) == ("cc0-1.0", "lgsf-benchmark")
    assert f'lgsf.load_run("hub:{REPO}")' in card.text and "10 numbers per region" in card.text
    assert f"| {values['full']['i2t_r1']:.1f} |" in card.text


def test_a_card_is_written_without_the_hub(run: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    card = tmp_path / "card.md"
    main(["push-to-hub", str(run), "--dataset", str(tiny_dataset), "--repo", REPO, "--card", str(card)])
    front = yaml.safe_load(card.read_text().split("---")[1])
    assert "license" not in front and front["model-index"][0]["name"] == "tried"


def test_a_second_commit_takes_the_place_of_the_first(
    published: LocalHub, run: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    unranked = tmp_path / "seed2"
    shutil.copytree(run, unranked)
    shutil.rmtree(unranked / "test")
    (published.folder(REPO) / "notes.txt").write_text("the owner's own")
    push_to_hub(run=unranked, dataset=tiny_dataset, repo=REPO, private=True, licence=None)
    assert "test/ranks.npz" not in published.list_repo_files(REPO)
    assert "notes.txt" in published.list_repo_files(REPO)
    assert "was not evaluated" in (published.folder(REPO) / "README.md").read_text()
    assert lgsf.load_run(f"hub:{REPO}@v1").record == lgsf.load_run(f"hub:{REPO}").record  # the first commit is there
    assert (lgsf.load_run(f"hub:{REPO}@v1").folder / "test/ranks.npz").is_file()


def test_what_does_not_belong_together_is_not_sent(
    hub: LocalHub, run: Path, tiny_dataset: Path, tmp_path: Path, capsys
) -> None:
    hurt = tmp_path / "seed1"
    shutil.copytree(run, hurt)
    weights = bytearray((hurt / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (hurt / "model.safetensors").write_bytes(weights)
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other)
    write_json(other / "dataset.json", {**json.loads((other / "dataset.json").read_text()), "note": 1})
    cases = [
        (hurt, tiny_dataset, "model.safetensors is not the file that run.json beside it names"),
        (run, other, "was trained on another version of"),
        (tmp_path, tiny_dataset, "run.json is missing"),
    ]
    for folder, dataset, said in cases:
        with pytest.raises(SystemExit) as stopped:
            main(["push-to-hub", str(folder), "--dataset", str(dataset), "--repo", REPO])
        assert stopped.value.code == 2 and said in capsys.readouterr().err
    assert not hub.root.exists()
    hub.refuses = PermissionError("403 Forbidden\nlog in")
    with pytest.raises(
        lgsf.LgsfError, match=r"did not take somebody/tiny-vsepp \(403 Forbidden log in\): .*hf auth login"
    ):
        push_to_hub(run=run, dataset=tiny_dataset, repo=REPO, private=True, licence=None)


@pytest.mark.parametrize("name", sorted({*PUBLISHED} - {"bert/config.json", "bert/tokenizer.json", "README.md"}))
def test_a_changed_file_does_not_come_in(published: LocalHub, name: str) -> None:
    path = published.folder(REPO) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(lgsf.LgsfError, match=Path(name).name.replace(".", r"\.")):
        read_ranks(lgsf.load_run(f"hub:{REPO}").folder)


@pytest.mark.parametrize("name", ["run.json", "model.safetensors", "vocabulary.json", "dataset.json"])
def test_what_is_needed_and_absent_is_named(published: LocalHub, name: str) -> None:
    (published.folder(REPO) / name).unlink()
    with pytest.raises(lgsf.LgsfError, match=f"has no {name}: it is no run that `lgsf push-to-hub` published"):
        lgsf.load_run(f"hub:{REPO}")


def test_a_record_cannot_name_code_that_nobody_imported(published: LocalHub, tmp_path: Path, monkeypatch) -> None:
    """A class is named in the record; a stranger's record must not make Python import what it likes."""
    (tmp_path / "trap.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    path = published.folder(REPO) / "run.json"
    record = json.loads(path.read_text())
    record["config"]["model"] = "trap:Model"
    write_json(path, record)
    with pytest.raises(lgsf.LgsfError, match="of the module 'trap', which is no part of this project"):
        lgsf.load_run(f"hub:{REPO}")
    assert not (tmp_path / "sprung").exists()
    record["config"]["model"] = "baselines.vsepp:VSEPP"
    record["files"]["model.safetensors"] = sha256(path)  # of another file
    write_json(path, record)
    with pytest.raises(lgsf.LgsfError, match=r"model\.safetensors is not the file"):
        lgsf.load_run(f"hub:{REPO}")


def test_names_that_are_none_and_a_client_that_is_absent(hub: LocalHub, monkeypatch) -> None:
    for name in ("hub:", "hub:alone", "hub:a/b/c", "hub:../x", "hub:a/b@"):
        with pytest.raises(lgsf.LgsfError, match="write hub:owner/name"):
            lgsf.load_run(name)
    with pytest.raises(lgsf.LgsfError, match=r"hub did not give no/body \(404: no repository no/body\)"):
        lgsf.load_run("hub:no/body")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(lgsf.LgsfError, match="install the extra `hub`"):
        lgsf.load_run(f"hub:{REPO}")


def test_a_run_with_bert_comes_back_without_the_model_it_started_from(
    hub: LocalHub, tiny_dataset: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(tiny_bert, tmp_path / "source"))
    parameters = {"embedding_dim": 12, "text": {"kind": "bert", "path": str(source)}}
    config = write_config(tmp_path / "c.json", model="baselines.vse_inf:VSEInfinity", parameters=parameters, epochs=1)
    run = tmp_path / "seed0"
    train(config=config, dataset=tiny_dataset, seed=0, out=run)
    shutil.rmtree(source)
    push_to_hub(run=run, dataset=tiny_dataset, repo=REPO, private=False, licence=None)
    assert {"bert/config.json", "bert/tokenizer.json"} <= set(hub.list_repo_files(REPO))
    there, here = lgsf.load_run(f"hub:{REPO}"), lgsf.load_run(run, tiny_dataset)
    assert torch.equal(there.encode_texts(CAPTIONS).vector, here.encode_texts(CAPTIONS).vector)  # type: ignore[arg-type]
    (hub.folder(REPO) / "bert/tokenizer.json").write_text("{}")
    with pytest.raises(lgsf.LgsfError, match=r"tokenizer\.json is not the file"):
        lgsf.load_run(f"hub:{REPO}")


def test_a_released_checkpoint_says_so_on_its_card(hub: LocalHub, tmp_path: Path) -> None:
    """Its words are the authors', and the card tells on which split they chose it."""
    files = make_files(tmp_path, "scan_t2i_lse")
    import_checkpoint(
        method="scan", checkpoint=files.checkpoint, vocab=files.vocab, bert=None, dataset=files.dataset, out=files.out,
        name=None, title="SCAN of its authors", seed=None, device="cpu", threads=1,
    )  # fmt: skip
    push_to_hub(run=files.out, dataset=files.dataset, repo=REPO, private=True, licence=None)
    there, here = lgsf.load_run(f"hub:{REPO}"), lgsf.load_run(files.out, files.dataset)
    assert there.vocabulary.words == here.vocabulary.words
    card = (hub.folder(REPO) / "README.md").read_text()
    assert "SCAN of its authors" in card and "chosen on dev" in card and "was not evaluated" in card
