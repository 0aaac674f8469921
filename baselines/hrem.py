"""HREM (Fu et al., CVPR 2023): relations among a sample's fragments, and in training among the batch's samples.

Both encoders mix max-2 pooling of the fragments with the mean after a transformer layer over them. While it
trains, a second transformer layer runs over all 2B images and captions of the batch, connected to their nearest
and biased by learned relevance (four blocks: i2i, t2t, i2t, t2i); the loss compares plain with enhanced
embeddings in all four ways and ties the learned relevance to the distance of the embeddings. Nothing of that
is left in evaluation.

As in the authors' code: the relation module starts after `start_step` steps, and the default loss draws one
negative per pair by distance. Their text side is `text: {kind: bert}`; ours may also be a BiGRU. Unlike the
published code: padding is masked everywhere, captions with fewer words than `top_k` are filled up with zero
similarity and not with padded words, pooling does not depend on the batch (there one caption of one word lowers k
for all after it), and an anchor without a drawable negative is left out (there it silently turns the whole loss
into zero).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.weights import PUBLISHED_BERT, UNUSED_BERT, rename
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Progress
from lgsf.models.kernels import forms
from lgsf.models.layers.distance_weighted import distance_weighted_triplet
from lgsf.models.layers.encoders import l2_normalize
from lgsf.models.layers.losses import hinge_triplet
from lgsf.models.layers.pooling import MaxKPooling, MeanPooling
from lgsf.models.layers.region_mlp import PUBLISHED_MLP, RegionMLP
from lgsf.models.layers.text import TextMethod, TextMethodParameters, build_text_encoder


class HREMParameters(TextMethodParameters):
    """Options of HREM."""

    embedding_dim: int = Field(1024, ge=2, description="width of fragments and embeddings")
    heads: int = Field(16, ge=1, description="attention heads of the transformer layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="in the transformer layers")
    residual_weight: float = Field(0.8, ge=0, le=1, description="share of the pooled fragments without relations")
    loss: Literal["distance_weighted", "hinge"] = Field("distance_weighted", description="on each pair of embeddings")
    farthest: float = Field(1.9, gt=0.5, le=2, description="distance beyond which no negative is drawn; F30K: 1.7")
    margin: float = Field(0.2, gt=0, description="of either loss")
    start_step: int = Field(8000, ge=0, description="step at which the relations between samples start")
    connect_top: float = Field(0.5, gt=0, le=1, description="share of the batch that a sample is connected to")
    mask_weight: float = Field(1.0, gt=0, description="weight of the relevance in the attention; 1.5 is also used")
    top_k: int = Field(10, ge=1, description="best word-region similarities that the relevance is learned from")
    relevance_weight: float = Field(10.0, ge=0, description="weight of the KL term")
    cross_losses: bool = Field(True, description="also compare plain with enhanced embeddings")

    @model_validator(mode="after")
    def _heads_divide(self) -> HREMParameters:
        if self.embedding_dim % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide embedding_dim {self.embedding_dim}")
        return self


def transformer_layer(options: HREMParameters) -> nn.TransformerEncoderLayer:
    """A post-norm layer whose hidden width is that of the embeddings."""
    dim = options.embedding_dim
    return nn.TransformerEncoderLayer(
        dim, options.heads, dim_feedforward=dim, dropout=options.dropout, batch_first=True
    )


class FragmentRelations(nn.Module):
    """From fragments to a vector: max-2 pooling, mixed with the mean of the fragments after attention among them."""

    def __init__(self, options: HREMParameters) -> None:
        super().__init__()
        self.share = options.residual_weight
        self.layer = transformer_layer(options)
        self.plain, self.related = MaxKPooling(k=2), MeanPooling()

    def forward(self, fragments: Tensor, mask: Tensor) -> Tensor:
        """(n, length, dim) float32, (n, length) bool -> unit vectors (n, dim)."""
        related = self.layer(fragments, src_key_padding_mask=~mask)
        plain, related = self.plain(fragments, mask), self.related(related, mask)
        if forms.blocked(plain):
            return l2_normalize(self.share * plain + (1 - self.share) * related)
        return l2_normalize(torch.lerp(related.to(plain.dtype), plain, self.share))


class SampleRelations(nn.Module):
    """Attention among the images and captions of a batch along learned relations; for training alone."""

    def __init__(self, options: HREMParameters) -> None:
        super().__init__()
        self.options = options
        self.layer = transformer_layer(options)
        k = options.top_k
        self.t2i_relevance = nn.Sequential(nn.Linear(k, k), nn.ReLU(), nn.Linear(k, 1))
        self.i2t_relevance = nn.Sequential(nn.Linear(k, k), nn.ReLU(), nn.Linear(k, 1))

    def forward(self, images: Encoded, texts: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """Enhanced unit vectors (n_images, dim) and (n_texts, dim), and the KL term."""
        assert images.vector is not None and texts.vector is not None
        connected, relevance = self.relations(images, texts)
        mask = (self.options.mask_weight * _square(relevance)).masked_fill(~_square(connected), -math.inf)
        samples = torch.cat([images.vector, texts.vector])
        enhanced = l2_normalize(self.layer(samples.unsqueeze(0), src_mask=mask).squeeze(0))
        guide = torch.exp(-_distances(images.vector, texts.vector)).detach()
        divergences = forms.both(_divergence, (relevance["i2t"], relevance["t2i"]), (guide, guide.T))
        divergence = divergences[0] + divergences[1]
        enhanced_images, enhanced_texts = torch.split(enhanced, [len(images), len(texts)])
        return enhanced_images, enhanced_texts, divergence

    def relations(self, images: Encoded, texts: Encoded) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Who attends to whom (bool) and how relevant it is (float32), each for i2i, t2t, i2t, t2i: (rows, columns)."""
        assert images.vector is not None and texts.vector is not None
        t2i_best, t2i_mean, i2t_best, i2t_mean = fragment_similarities(images, texts, top_k=self.options.top_k)
        share, vectors = self.options.connect_top, (images.vector, texts.vector)
        within = forms.both(lambda x: _nearest((x @ x.mT).detach(), share), vectors)
        across = forms.both(lambda x: _nearest(x, share), (i2t_mean, t2i_mean))
        closeness = forms.both(lambda x: torch.exp(-_distances(x, x)), vectors)
        connected = {"i2i": within[0], "t2t": within[1], "i2t": across[0], "t2i": across[1]}
        relevance = {
            "i2i": closeness[0],
            "t2t": closeness[1],
            "i2t": self.i2t_relevance(i2t_best).squeeze(2) + i2t_mean,
            "t2i": self.t2i_relevance(t2i_best).squeeze(2) + t2i_mean,
        }
        return connected, relevance


@torch.no_grad()
def fragment_similarities(images: Encoded, texts: Encoded, *, top_k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Similarities of fragments across the modalities, leaky and normalised as SCAN's attention, without gradient.

    Returns for t2i the `top_k` best words (n_texts, n_images, top_k), each with its best region, and the mean over
    the words (n_texts, n_images); for i2t the same of regions with their best word, (n_images, n_texts, ...).
    """
    assert images.fragments is not None and images.mask is not None
    assert texts.fragments is not None and texts.mask is not None
    regions, words = l2_normalize(images.fragments), l2_normalize(texts.fragments)
    similarity = F.leaky_relu(torch.einsum("cld,isd->clis", words, regions), 0.1)
    no_word, no_region = ~texts.mask[:, :, None, None], ~images.mask
    similarity = similarity.masked_fill(no_word, 0.0).masked_fill(no_region, 0.0)
    by_word = F.normalize(similarity, dim=1).masked_fill(no_region, -math.inf).amax(3).transpose(1, 2)  # (c, i, l)
    by_region = F.normalize(similarity, dim=3).masked_fill(no_word, -math.inf).amax(1).transpose(0, 1)  # (i, c, s)
    t2i = _best_and_mean(by_word, texts.mask.unsqueeze(1), top_k)
    i2t = _best_and_mean(by_region, images.mask.unsqueeze(1), top_k)
    return *t2i, *i2t


def _best_and_mean(values: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest valid values (rows, columns, k), zero where there are fewer, and the mean of the valid ones."""
    values = values.masked_fill(~mask, -math.inf)
    if k > values.shape[2]:
        values = F.pad(values, (0, k - values.shape[2]), value=-math.inf)
    best = values.topk(k, dim=2).values
    mean = values.masked_fill(values == -math.inf, 0.0).sum(2) / mask.sum(2)
    return best.masked_fill(best == -math.inf, 0.0), mean


def _square(blocks: dict[str, Tensor]) -> Tensor:
    """The four blocks as one matrix of images, then texts, in rows and columns."""
    rows = [torch.cat([blocks["i2i"], blocks["i2t"]], 1), torch.cat([blocks["t2i"], blocks["t2t"]], 1)]
    return torch.cat(rows)


def _nearest(values: Tensor, share: float) -> Tensor:
    """True for the `share` largest of each row, at least one; ties with the last of them included."""
    k = max(1, int(values.shape[-1] * share))
    return values >= values.topk(k, dim=-1).values[..., -1:]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances; the direct form, since the quick one is off by 1e-4 where they are zero."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _divergence(relevance: Tensor, guide: Tensor) -> Tensor:
    """KL(softmax(relevance) || softmax(guide)) of rows, mean over rows: (..., rows, columns) twice -> (...)."""
    terms = F.kl_div(guide.log_softmax(-1), relevance.softmax(-1), reduction="none")
    return terms.sum((-2, -1)) / relevance.shape[-2]


class HREM(TextMethod):
    """HREM on region features."""

    Parameters = HREMParameters
    training_only: ClassVar[tuple[str, ...]] = ("sample_relations",)

    def __init__(self, options: HREMParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: HREMParameters = options
        self.region_encoder = RegionMLP(region_dim=spec.region_dim, dim=options.embedding_dim, start="xavier")
        self.region_relations = FragmentRelations(options)
        self.text_encoder = build_text_encoder(options, spec, dim=options.embedding_dim)
        self.word_relations = FragmentRelations(options)
        self.sample_relations = SampleRelations(options)

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> unit vectors (n, dim); boxes are not used.

        Where gradients are recorded the fragments come along: the loss relates them.
        """
        return self._encoded(self.region_encoder(regions, mask), mask, self.region_relations)

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit vectors (n, dim), and fragments as for images."""
        return self._encoded(self.text_encoder(tokens, mask), mask, self.word_relations)

    @staticmethod
    def _encoded(fragments: Tensor, mask: Tensor, relations: FragmentRelations) -> Encoded:
        vector = relations(fragments, mask)
        if torch.is_grad_enabled():
            return Encoded(vector=vector, fragments=fragments, mask=mask)
        return Encoded(vector=vector)

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the plain embeddings, and from `start_step` on those of the enhanced ones and the KL term."""
        assert images.vector is not None and texts.vector is not None
        started = progress.step >= self.options.start_step
        at_once = started and not forms.blocked(images.vector)
        pairs = [(images.vector, texts.vector)]
        if not at_once:
            loss, terms = self._pair_loss(*pairs.pop(), batch, progress)
        if not started:
            return loss, terms
        enhanced_images, enhanced_texts, divergence = self.sample_relations(images, texts)
        pairs += [(enhanced_images, enhanced_texts)]
        if self.options.cross_losses:
            pairs += [(images.vector, enhanced_texts), (enhanced_images, texts.vector)]
        if at_once:
            left, right = (torch.stack(side) for side in zip(*pairs, strict=True))
            losses, several = self._pair_loss(left, right, batch, progress)
            loss, enhanced = losses.sum(), (losses.sum() - losses[0]).detach()
            terms = {name: term[0] for name, term in several.items()}
        else:
            enhanced = torch.stack([self._pair_loss(*pair, batch, progress)[0] for pair in pairs]).sum()
            loss = loss + enhanced
        terms |= {"enhanced": enhanced.detach(), "relevance": divergence.detach()}
        return loss + self.options.relevance_weight * divergence, terms

    def _pair_loss(
        self, images: Tensor, texts: Tensor, batch: Batch, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of vectors (batch, dim), or the losses of several such pairs (n_pairs, batch, dim)."""
        scores, margin = images @ texts.mT, self.options.margin
        if self.options.loss == "hinge":

            def hinge(matrix: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
                return hinge_triplet(matrix, batch.image_ids, margin=margin, hardest=progress.hardest)[:2]

            losses: tuple[Tensor, dict[str, Tensor]] = (hinge if scores.ndim == 2 else torch.vmap(hinge))(scores)
            return losses
        return distance_weighted_triplet(scores, batch.image_ids, margin=margin, farthest=self.options.farthest)


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the authors' img_enc and, where given, of txt_enc (a BERT) and of the relation module (graph_loss)."""
    names = {
        "img_enc.fc.fc.": "region_encoder.fc.",
        **{f"img_enc.fc.mlp.{theirs}": f"region_encoder.{ours}" for theirs, ours in PUBLISHED_MLP.items()},
        "img_enc.aggr.layers.0.": "region_relations.layer.",
        **PUBLISHED_BERT,
        "txt_enc.aggr.layers.0.": "word_relations.layer.",
        "graph_loss.gnn.layers.0.": "sample_relations.layer.",
    }
    for way in ("t2i", "i2t"):  # layer 2 there is a dropout of zero
        for theirs, ours in ((0, 0), (3, 2)):
            published = f"graph_loss.adj_model.adj_learning.mlp_{way}.{theirs}."
            names[published] = f"sample_relations.{way}_relevance.{ours}."
    return rename(state, names, unused=("img_enc.fc.mlp.bns.1.", *UNUSED_BERT))
