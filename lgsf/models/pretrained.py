"""What a text encoder starts from, as files gave it: methods know no files (lgsf.pretrained.read reads them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lgsf.system.errors import LgsfError


@dataclass(frozen=True, kw_only=True)
class PretrainedBert:
    """A BERT (Devlin et al., NAACL 2019).

    config        its config.json
    tokenizer     its tokenizer.json, as text
    read_weights  gives name in transformers' BertModel -> float32 tensor, read when it is called; None where they
                  come with the run's own weights
    """

    config: Mapping[str, Any]
    tokenizer: str
    read_weights: Callable[[], Mapping[str, Tensor]] | None = None


@dataclass(frozen=True, kw_only=True)
class WordVectors:
    """Vectors for some words of a vocabulary.

    rows    (n,) int64, numbers of the words that have one
    values  (n, word_dim) float32
    """

    rows: Tensor
    values: Tensor


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Everything that a method's text encoder starts from; `record` says in JSON where it came from."""

    bert: PretrainedBert | None = None
    word_vectors: WordVectors | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


def transformers_missing(error: ImportError) -> LgsfError:
    """The sentence for a BERT without the extra that reads it."""
    return LgsfError(
        f"text.kind is bert and transformers cannot be imported ({error}): install the extra `bert`, "
        "pip install 'lgsf-benchmark[bert]', or set text: {kind: bigru}."
    )
