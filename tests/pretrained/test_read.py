"""A BERT's folder: what is read, what is refused in one sentence, and names that are no folders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch

from lgsf.data.text import SPECIAL_WORDS, Vocabulary
from lgsf.pretrained.bert import bert_folder, read_bert
from lgsf.pretrained.files import local_files, locate
from lgsf.pretrained.read import keep_bert, read_pretrained, run_pretrained
from lgsf.system.errors import LgsfError

WORDS = Vocabulary([*SPECIAL_WORDS, "a"], 1)


def parameters(path: Path | str) -> dict[str, object]:
    return {"text": {"kind": "bert", "path": str(path)}, "word_vectors": None, "word_dim": 8}


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the tiny BERT that a test may break."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def save(folder: Path, state: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(state, folder / "model.safetensors")


def test_weights_of_the_pretraining_model_with_older_names_are_the_same(folder: Path) -> None:
    """As bert-base-uncased is stored: a prefix, heads, LayerNorm.gamma and .beta, half precision elsewhere."""
    plain = read_bert(folder)
    assert plain.read_weights is not None
    expected = plain.read_weights()
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): t.half()
        for name, t in weights(folder).items()
    }
    save(folder, old | {"cls.predictions.bias": torch.zeros(3), "bert.embeddings.position_ids": torch.zeros(3)})
    found = read_bert(folder).read_weights()  # type: ignore[misc]
    assert found.keys() == expected.keys()
    assert not any(name.startswith("pooler") for name in found)
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[name], atol=1e-3, rtol=1e-3)


def test_weights_may_lie_in_several_files(folder: Path) -> None:
    state = weights(folder)
    expected = read_bert(folder).read_weights()  # type: ignore[misc]
    names = sorted(state)
    (folder / "model.safetensors").unlink()
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in parts.items():
        safetensors.torch.save_file({name: state[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = read_bert(folder).read_weights()  # type: ignore[misc]
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert len(read_pretrained(parameters(folder), WORDS).record["bert"]["sha256"]) == 5


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "config.json").unlink(), r"config\.json is missing: name the folder"),
    (edit("config.json", model_type="roberta"), "model_type is 'roberta' and must be 'bert'"),
    (edit("config.json", position_embedding_type="relative_key"), "position_embedding_type"),
    (edit("config.json", vocab_size=7), "the tokenizer has 20 pieces and the model 7"),
    (edit("config.json", num_hidden_layers=3), r"weight 'encoder\.layer\.2.*does not fit"),
    (edit("config.json", intermediate_size=47), "does not fit"),
    (lambda f: (f / "vocab.txt").unlink(), r"neither tokenizer\.json nor vocab\.txt"),
    (lambda f: (f / "tokenizer.json").write_text("{}"), "its tokenizer cannot be read"),
    (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        r"no model\.safetensors, and weights of other",
    ),
    (lambda f: (f / "model.safetensors").write_bytes(b"half"), "not a readable weight file"),
    (lambda f: save(f, {"strange": torch.zeros(2)} | weights(f)), "weight 'strange' does not fit"),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_a_folder_that_does_not_fit_is_one_sentence(
    folder: Path, change: Callable[[Path], object], sentence: str
) -> None:
    change(folder)
    with pytest.raises(LgsfError, match=sentence) as caught:
        read_bert(folder).read_weights()  # type: ignore[misc]
    assert "\n" not in str(caught.value)


def test_a_changed_folder_has_another_record(folder: Path) -> None:
    before = read_pretrained(parameters(folder), WORDS).record
    assert before["bert"]["sha256"].keys() == {"config.json", "model.safetensors", "vocab.txt"}
    state = weights(folder)
    state["embeddings.word_embeddings.weight"][3, 3] += 1
    save(folder, state)
    assert read_pretrained(parameters(folder), WORDS).record != before


def test_a_run_keeps_what_it_needs(tiny_bert: Path, tmp_path: Path) -> None:
    bert = read_bert(tiny_bert)
    keep_bert(tmp_path, bert)
    kept = run_pretrained(tmp_path, parameters("gone")).bert
    assert kept is not None
    assert kept.config == bert.config
    assert json.loads(kept.tokenizer) == json.loads(bert.tokenizer)
    assert kept.read_weights is None
    keep_bert(tmp_path, None)
    assert run_pretrained(tmp_path, {"text": {"kind": "bigru"}}).bert is None
    with pytest.raises(LgsfError, match="train this run again"):
        run_pretrained(tmp_path, parameters("gone"))


def test_names_on_the_hub(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetched(name: str, **_: object) -> str:
        asked.append(name)
        return str(tiny_bert)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    assert bert_folder(str(tiny_bert)) == tiny_bert
    assert not asked
    assert bert_folder("google-bert/bert-base-uncased") == tiny_bert
    assert asked == ["google-bert/bert-base-uncased"]

    def offline(*_: object, **__: object) -> str:
        raise OSError("cannot reach it,\n offline mode")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(LgsfError, match=r"no folder, and the .* hub did not give it \(cannot reach it, offline mode\)"):
        bert_folder("bert-base-uncased")
    with pytest.raises(LgsfError, match=r"is no folder: give the folder of a BERT"):
        bert_folder("/no/such/folder")


def test_folders_in_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bert: Path) -> None:
    package = tmp_path / "some_model"
    shutil.copytree(tiny_bert, package / "files")
    (package / "__init__.py").write_text("raise RuntimeError('it is not imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert locate("package:some_model/files") == package / "files"
    assert bert_folder("package:some_model/files") == package / "files"
    assert "some_model" not in sys.modules
    for name in ("package:no_such_package/files", "package:", "package:a b"):
        with pytest.raises(LgsfError, match="a package that is not installed"):
            locate(name)
    with pytest.raises(LgsfError, match="is no folder"):
        bert_folder("package:some_model/nothing")


def test_files_for_the_workflow_to_watch(tiny_bert: Path, tmp_path: Path) -> None:
    names = {path.name for path in local_files(parameters(tiny_bert))}
    assert names == {"config.json", "model.safetensors", "vocab.txt"}
    vectors = tmp_path / "v.txt"
    assert local_files({"word_vectors": str(vectors)}) == []
    vectors.write_text("a 1\n")
    assert local_files({"word_vectors": str(vectors), "text": {"kind": "bigru"}}) == [vectors]
    assert local_files(parameters("package:no_such_package")) == local_files({"text": "own meaning"}) == []
