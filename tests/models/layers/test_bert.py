"""BERT as a text encoder: transformers' own output, and what every method promises."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from baselines.hrem import HREM
from baselines.hrem import from_published as hrem_from_published
from baselines.vse_inf import VSEInfinity
from baselines.vse_inf import from_published as vse_inf_from_published
from lgsf.models.base import DataSpec, Method
from lgsf.models.layers.bert import BertEncoder
from lgsf.models.lgsf import LGSF
from lgsf.models.pretrained import Pretrained
from lgsf.pretrained.bert import read_bert
from lgsf.system.errors import LgsfError
from tests.support.properties import REGION_DIM, check_evaluation, check_training, close

METHODS: dict[str, tuple[type[Method], dict[str, Any]]] = {
    "lgsf": (LGSF, {"graph": {"heads": 3, "ff": 16}, "interaction": {"heads": 3, "ff": 16}}),
    "vse_inf": (VSEInfinity, {}),
    "hrem": (HREM, {"heads": 2, "top_k": 3, "start_step": 0, "loss": "hinge"}),
}


def build(name: str, folder: Path) -> Any:
    kind, parameters = METHODS[name]
    options = kind.Parameters.model_validate(
        {"embedding_dim": 12, "text": {"kind": "bert", "path": str(folder)}, **parameters}
    )
    # The pieces of tests/support/berts.py are fewer than the words of tests/support/properties.py.
    torch.manual_seed(0)
    return kind(options, spec(folder))


def spec(folder: Path) -> DataSpec:
    return DataSpec(region_dim=REGION_DIM, vocabulary_size=30, pretrained=Pretrained(bert=read_bert(folder)))


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of the shared properties with numbers below 20, the pieces of the tiny BERT."""
    monkeypatch.setattr("tests.support.properties.VOCABULARY", 20)


@pytest.mark.usefixtures("few_words")
@pytest.mark.parametrize("name", METHODS)
def test_promises(name: str, tiny_bert: Path) -> None:
    """Padding and the batch change nothing, one caption and one word pass, gradients are finite."""
    check_evaluation(build(name, tiny_bert))
    check_training(build(name, tiny_bert), same_image_is_no_negative=name != "hrem")  # its sample relations know none


def test_states_are_those_of_transformers(tiny_bert: Path) -> None:
    from transformers import BertModel

    theirs = BertModel.from_pretrained(str(tiny_bert), local_files_only=True).eval()
    ours = BertEncoder(read_bert(tiny_bert), dim=7).eval()
    tokens = torch.tensor([[2, 5, 7, 10, 11, 3], [2, 14, 3, 0, 0, 0], [2, 3, 0, 0, 0, 0]])
    mask = torch.arange(6) < torch.tensor([[6], [3], [2]])
    with torch.inference_mode():
        hidden = theirs(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        expected = hidden @ ours.linear.weight.T + ours.linear.bias
        out = ours(tokens, mask)
    close(out[mask], expected[mask])
    assert (out[~mask] == 0).all()
    assert hidden[mask].std() > 0.1


def test_vse_infinity_pools_the_linear_layer_by_gpo(tiny_bert: Path) -> None:
    from transformers import BertModel

    method = build("vse_inf", tiny_bert).eval()
    pieces = method.tokenizer(None)
    captions = ["a red circle", "star", "a green square and a small star"]
    bert = BertModel.from_pretrained(str(tiny_bert), local_files_only=True).eval()
    encoder = method.text_encoder
    with torch.inference_mode():
        for caption in captions:
            tokens = torch.tensor([pieces.pieces(caption)[0]])
            fragments = encoder.linear(bert(input_ids=tokens).last_hidden_state)[0]
            weights = method.text_pooling.weights(tokens.shape[1])[-1]
            vector = (fragments.sort(dim=0, descending=True).values * weights[:, None]).sum(0)
            ours = method.encode_texts(tokens, torch.ones_like(tokens, dtype=torch.bool)).vector
            close(ours, (vector / vector.norm())[None])


def test_only_the_pretrained_weights_learn_slowly(tiny_bert: Path) -> None:
    method = build("hrem", tiny_bert)
    assert method.learning_rate_factors() == {"text_encoder.bert.": 0.1}
    assert method.pads_captions
    slow = [name for name, _ in method.named_parameters() if name.startswith("text_encoder.bert.")]
    assert slow
    assert not any("text_encoder.linear" in name for name in slow)
    assert method.text_encoder_name == "BERT"
    words = VSEInfinity(VSEInfinity.Parameters(embedding_dim=12), DataSpec(region_dim=3, vocabulary_size=9))
    assert words.learning_rate_factors() == {}
    assert not words.pads_captions


def _published(method: Method, names: dict[str, str]) -> dict[str, Tensor]:
    """The method's text weights under the names of the authors' code, and what BertModel had there besides."""
    out = {}
    for name, tensor in method.state_dict().items():
        for ours, theirs in names.items():
            if name.startswith(ours):
                out[theirs + name.removeprefix(ours)] = tensor
    extra = {"pooler.dense.weight": torch.zeros(2), "embeddings.position_ids": torch.zeros(2)}
    return out | {f"txt_enc.bert.{name}": tensor for name, tensor in extra.items()}


def test_names_of_the_authors_weights(tiny_bert: Path) -> None:
    names = {"text_encoder.": "txt_enc.", "text_pooling.": "txt_enc.gpool."}
    method = build("vse_inf", tiny_bert)
    found = vse_inf_from_published(_published(method, names))
    assert found.keys() == {name for name in method.state_dict() if name.startswith(tuple(names))}
    names = {"text_encoder.": "txt_enc.", "word_relations.layer.": "txt_enc.aggr.layers.0."}
    method = build("hrem", tiny_bert)
    found = hrem_from_published(_published(method, names))
    assert found.keys() == {name for name in method.state_dict() if name.startswith(tuple(names))}


def test_without_transformers_the_sentence_names_the_extra(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = read_bert(tiny_bert)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(LgsfError, match=r"lgsf-benchmark\[bert\]"):
        BertEncoder(files, dim=4)
    with pytest.raises(LgsfError, match=r"lgsf-benchmark\[bert\]"):
        read_bert(tiny_bert)
    with pytest.raises(LgsfError, match=r"text\.path"):
        BertEncoder(None, dim=4)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"text": {"kind": "bert"}}, "needs a path"),
        ({"text": {"path": "somewhere"}}, "for kind bert alone"),
        ({"text": {"kind": "bert", "path": "x"}, "word_vectors": "y"}, "vectors of its own"),
        ({"text": {"kind": "bert", "path": "x", "learning_rate_factor": 0}}, "greater than 0"),
        ({"text": {"kind": "gpt"}}, "bigru"),
    ],
)
def test_options_that_contradict_each_other(parameters: dict[str, Any], sentence: str) -> None:
    for kind in (LGSF, VSEInfinity, HREM):
        with pytest.raises(ValidationError, match=sentence):
            kind.Parameters.model_validate(parameters)
