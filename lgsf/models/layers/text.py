"""The text encoders that LGSF, VSE-infinity and HREM may choose from: a BiGRU over word vectors, or a BERT."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lgsf.data.text import Tokenizer, Vocabulary
from lgsf.models.base import DataSpec, Method, Parameters
from lgsf.models.layers.bert import BertEncoder
from lgsf.models.layers.encoders import BiGRUEncoder, WordParameters


class TextParameters(Parameters):
    """Which text encoder, and what it starts from."""

    kind: Literal["bigru", "bert"] = Field("bigru", description="bert needs the extra of that name and a path")
    path: str | None = Field(
        None, min_length=1, description="folder of a BERT, package:NAME/FOLDER, or a name on the Hugging Face hub"
    )
    learning_rate_factor: float = Field(0.1, gt=0, description="on the weights of the BERT; the rest learns at 1")

    @model_validator(mode="after")
    def _path_belongs_to_bert(self) -> TextParameters:
        if (self.kind == "bert") != (self.path is not None):
            raise ValueError(
                "kind bert needs a path: the folder or the name of the model"
                if self.kind == "bert"
                else f"path {self.path!r} is for kind bert alone; remove it or set kind: bert"
            )
        return self


class TextMethodParameters(WordParameters):
    """Options of a method with a choice of text encoders."""

    text: TextParameters = TextParameters()

    @model_validator(mode="after")
    def _vectors_belong_to_words(self) -> TextMethodParameters:
        if self.text.kind == "bert" and self.word_vectors is not None:
            raise ValueError("word_vectors are for text.kind bigru; a BERT brings vectors of its own")
        return self


def build_text_encoder(options: TextMethodParameters, spec: DataSpec, *, dim: int) -> BiGRUEncoder | BertEncoder:
    """The encoder of `options`: tokens (n, length) int64, mask (n, length) bool -> (n, length, dim) float32."""
    if options.text.kind == "bert":
        return BertEncoder(spec.pretrained.bert, dim=dim)
    return BiGRUEncoder(
        vocabulary_size=spec.vocabulary_size, word_dim=options.word_dim, dim=dim, vectors=spec.pretrained.word_vectors
    )


class TextMethod(Method):
    """A method whose `text_encoder` comes from `build_text_encoder`."""

    text_encoder: BiGRUEncoder | BertEncoder

    @property
    def pads_captions(self) -> bool:
        return isinstance(self.text_encoder, BertEncoder)

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """The BERT's own word pieces, else the vocabulary."""
        return self.text_encoder.tokenizer if isinstance(self.text_encoder, BertEncoder) else vocabulary

    def learning_rate_factors(self) -> dict[str, float]:
        """The BERT learns more slowly than what is new."""
        if not isinstance(self.text_encoder, BertEncoder):
            return {}
        assert isinstance(self.options, TextMethodParameters)
        return {"text_encoder.bert.": self.options.text.learning_rate_factor}
