"""What a text encoder starts from, for a fresh run and for a finished one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgsf.data.text import Vocabulary
from lgsf.models.pretrained import Pretrained, PretrainedBert
from lgsf.pretrained.bert import bert_folder, read_bert
from lgsf.pretrained.files import bert_files, bert_name, word_vectors_name
from lgsf.pretrained.word_vectors import read_word_vectors
from lgsf.system.files import read_json, write_text
from lgsf.system.hashes import sha256

RUN_FILES = ("config.json", "tokenizer.json")


def read_pretrained(parameters: Mapping[str, Any], vocabulary: Vocabulary) -> Pretrained:
    """What a fresh run with these parameters starts from; empty for most methods.

    Raises LgsfError where a file is absent, broken, or does not fit.
    """
    if (name := bert_name(parameters)) is not None:
        folder = bert_folder(name)
        bert = read_bert(folder)
        files = {path.name: sha256(path) for path in bert_files(folder)}
        return Pretrained(bert=bert, record={"bert": {"path": name, "sha256": files}})
    if (name := word_vectors_name(parameters)) is not None:
        vectors, record = read_word_vectors(name, vocabulary, dim=int(parameters["word_dim"]))
        return Pretrained(word_vectors=vectors, record={"word_vectors": record})
    return Pretrained()


def run_pretrained(run: Path, parameters: Mapping[str, Any]) -> Pretrained:
    """What a finished run needs to be built again; its weights are in its weight files."""
    if bert_name(parameters) is None:
        return Pretrained()
    config, tokenizer = (run / "bert" / name for name in RUN_FILES)
    hint = "train this run again"
    return Pretrained(
        bert=PretrainedBert(config=read_json(config, hint=hint), tokenizer=json.dumps(read_json(tokenizer, hint=hint)))
    )


def keep_bert(run: Path, bert: PretrainedBert | None) -> None:
    """Write the model's configuration and tokenizer into the run, or forget those of an earlier one."""
    if bert is None:
        for name in RUN_FILES:
            (run / "bert" / name).unlink(missing_ok=True)
        return
    for name, text in zip(RUN_FILES, (json.dumps(dict(bert.config), indent=1), bert.tokenizer), strict=True):
        write_text(run / "bert" / name, text)
