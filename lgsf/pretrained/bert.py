"""A BERT in the format of Hugging Face, read from safetensors alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from lgsf.models.pretrained import PretrainedBert, transformers_missing
from lgsf.pretrained.files import BERT_FILES
from lgsf.pretrained.hub import model_folder
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json

# What checkpoints hold beside BertModel's weights: heads of the pretraining tasks, and a constant.
UNUSED = ("pooler.", "cls.", "embeddings.position_ids")


def bert_folder(name: str) -> Path:
    """The folder of a model: as named, in a package, or fetched from the Hugging Face hub."""
    kind = "a BERT (config.json, model.safetensors, tokenizer files)"
    return model_folder(name, key="text.path", kind=kind, extra="bert", patterns=BERT_FILES)


def read_bert(folder: Path) -> PretrainedBert:
    """Configuration and tokenizer of a model's folder; its weights are read when they are asked for.

    Raises LgsfError where it is no BERT of the plain kind, a file is absent, or (then) a weight is.
    """
    config = read_json(folder / "config.json", hint="name the folder of a BERT in text.path")
    kind = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False}
    for key, value in kind.items():
        found = config.get(key, None if key == "model_type" else value)
        if found != value:
            raise LgsfError(f"{folder}/config.json: {key} is {found!r} and must be {value!r}; name another model.")
    tokenizer, size = _tokenizer(folder)
    if size > int(config.get("vocab_size", 30522)):
        raise LgsfError(
            f"{folder}: the tokenizer has {size} pieces and the model {config.get('vocab_size')}; "
            "take both from the same model."
        )
    return PretrainedBert(config=config, tokenizer=tokenizer, read_weights=partial(_weights, folder, config))


def _tokenizer(folder: Path) -> tuple[str, int]:
    """The text of tokenizer.json, which is made from vocab.txt where it is absent; and the number of pieces."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise transformers_missing(error) from None
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise LgsfError(f"{folder} has neither tokenizer.json nor vocab.txt: take the model with its tokenizer.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        return str(tokenizer.backend_tokenizer.to_str()), len(tokenizer)
    except Exception as error:  # of many kinds, for many kinds of broken files
        raise LgsfError(f"{folder}: its tokenizer cannot be read ({error}): take the model's folder anew.") from None


def _weights(folder: Path, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """BertModel's weights in float32, by its names; older names are translated."""
    from transformers import BertConfig, BertModel

    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        shards = [single]
    elif index.is_file():
        names = read_json(index, hint="take the model's folder anew")["weight_map"].values()
        shards = [folder / Path(name).name for name in sorted(set(names))]
    else:
        raise LgsfError(
            f"{folder} has no model.safetensors, and weights of other formats are not read: convert them with "
            "save_pretrained of a current transformers."
        )
    raw: dict[str, Tensor] = {}
    for shard in shards:
        try:
            raw |= safetensors.torch.load_file(shard)
        except (FileNotFoundError, safetensors.SafetensorError) as error:
            raise LgsfError(f"{shard} is not a readable weight file ({error}): take the model's folder anew.") from None
    prefixed = any(name.startswith("bert.") for name in raw)
    state: dict[str, Tensor] = {}
    for name, tensor in raw.items():
        if prefixed and not name.startswith("bert."):
            continue  # a head
        name = name.removeprefix("bert.")
        if not name.startswith(UNUSED):
            name = re.sub(r"LayerNorm\.(gamma|beta)$", _layer_norm, name)
            state[name] = tensor.float()
    with torch.device("meta"):
        expected = BertModel(BertConfig.from_dict(dict(config)), add_pooling_layer=False).state_dict()
    for name in sorted(state.keys() | expected.keys()):
        if name not in state or name not in expected or state[name].shape != expected[name].shape:
            raise LgsfError(f"{folder}: weight {name!r} does not fit its config.json: take the model's folder anew.")
    return state


def _layer_norm(match: re.Match[str]) -> str:
    return f"LayerNorm.{'weight' if match[1] == 'gamma' else 'bias'}"
