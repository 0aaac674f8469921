"""SCAN (Lee et al., ECCV 2018): stacked cross attention between words and regions, in one direction.

"t2i": every word attends to the regions, the caption's score is the mean or LogSumExp over its words; "i2t":
every region attends to the words (lgsf/models/layers/attention.py has the equations). <start> and <end> are words
like any other. Where paper and code differ, this follows the code: LeakyReLU 0.1 for the paper's [x]_+ (`leak:
0` gives it). Hardest negatives from the first step (`sum_steps: 0`). Unlike the published code, scores are
float32 and not double, and a caption of the same image is never a negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from baselines.weights import rename
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Method, Progress
from lgsf.models.layers.attention import CrossAttention, attention_weights
from lgsf.models.layers.encoders import BiGRUEncoder, RegionEncoder, WordParameters, l2_normalize
from lgsf.models.layers.losses import hinge_triplet


class SCANParameters(WordParameters):
    """Options of SCAN; the authors' values for each data set are in the configuration files."""

    direction: Literal["t2i", "i2t"] = Field("t2i", description="who attends: words (t2i) or regions (i2t)")
    aggregation: Literal["lse", "mean"] = Field("lse", description="over the attending fragments")
    lambda_softmax: float = Field(9.0, gt=0, description="inverse temperature of the attention")
    lambda_lse: float = Field(6.0, gt=0, description="scale of the LogSumExp; without effect for the mean")
    leak: float = Field(0.1, ge=0, lt=1, description="slope for negative similarities; 0 is the paper's form")
    embedding_dim: int = Field(1024, ge=1, description="width of regions, words and the recurrent state")
    margin: float = Field(0.2, gt=0, description="of the hinge triplet loss")


class SCAN(Method):
    """SCAN on region features, with a bidirectional GRU."""

    Parameters = SCANParameters

    def __init__(self, options: SCANParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: SCANParameters = options
        self.region_encoder = RegionEncoder(region_dim=spec.region_dim, dim=options.embedding_dim)
        self.text_encoder = BiGRUEncoder(
            vocabulary_size=spec.vocabulary_size, word_dim=options.word_dim, dim=options.embedding_dim,
            vectors=spec.pretrained.word_vectors,
        )  # fmt: skip
        self.attention = CrossAttention(
            inverse_temperature=options.lambda_softmax,
            aggregation=options.aggregation,
            lse_scale=options.lambda_lse,
            leak=options.leak,
        )

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> unit region vectors; boxes are not used."""
        return Encoded(fragments=l2_normalize(self.region_encoder(regions, mask)), mask=mask)

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit word vectors."""
        return Encoded(fragments=l2_normalize(self.text_encoder(tokens, mask)), mask=mask)

    def similarity(self, images: Encoded, texts: Encoded) -> Tensor:
        """Scores (n_images, n_texts) float32; at most 1 for the mean, 1 + log(fragments) / lambda_lse for LSE."""
        assert images.fragments is not None and images.mask is not None
        assert texts.fragments is not None and texts.mask is not None
        if self.options.direction == "t2i":
            return self.attention(texts.fragments, texts.mask, images.fragments, images.mask).T
        return self.attention(images.fragments, images.mask, texts.fragments, texts.mask)

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """How the words of each caption attend to the regions (t2i), or the regions to the words (i2t)."""
        images = self.encode_images(batch.regions, batch.region_mask).float()
        texts = self.encode_texts(batch.tokens, batch.token_mask).float()
        assert images.fragments is not None and texts.fragments is not None
        regions, words = (images.fragments, batch.region_mask), (texts.fragments, batch.token_mask)
        t2i = self.options.direction == "t2i"
        queries, sources = (words, regions) if t2i else (regions, words)
        weights = attention_weights(
            *queries, *sources, inverse_temperature=self.options.lambda_softmax, leak=self.options.leak
        )
        pair = torch.arange(len(regions[0]))
        return {"word_region" if t2i else "region_word": weights[pair, :, pair]}

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The hinge triplet loss, summed over the batch and both directions."""
        scores = self.batch_similarity(images, texts)
        loss, terms, _ = hinge_triplet(scores, batch.image_ids, margin=self.options.margin, hardest=progress.hardest)
        return loss, terms


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the authors' img_enc and txt_enc, under our names."""
    names = {
        "img_enc.fc.": "region_encoder.fc.",
        "txt_enc.embed.": "text_encoder.embed.",
        "txt_enc.rnn.": "text_encoder.rnn.",
    }
    return rename(state, names)
