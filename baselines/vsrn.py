"""VSRN (Li et al., ICCV 2019): graph reasoning among regions, a GRU over them, and captioning as a second loss.

Four graph layers relate all regions of an image, a GRU reads the regions in the detector's order, its last
state is the image; the caption is the last state of a unidirectional GRU. The published rows are the mean of
the score matrices of two models. As in the authors' code: edges are not normalised by a softmax; the region
features are l2-normalised over the *regions* of each dimension (`norm_axis: features` normalises each region as
the paper's text suggests); Flickr30K skips the first of these norms and adds a batch norm at the end (`variant`).
Hardest negatives from the first step (`sum_steps: 0`). Unlike there, padding is masked and a caption of the same
image is never a negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.weights import rename
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Method, Progress
from lgsf.models.kernels import forms
from lgsf.models.kernels.gru import RaggedGRU
from lgsf.models.kernels.packing import by_sample, pack, unpack
from lgsf.models.layers.captioner import Captioner
from lgsf.models.layers.encoders import GRUEncoder, RegionEncoder, WordParameters, l2_normalize, last_state
from lgsf.models.layers.losses import hinge_triplet

LAYERS = 4


class VSRNParameters(WordParameters):
    """Options of VSRN."""

    variant: Literal["coco", "f30k"] = Field("coco", description="where the authors' code normalises")
    norm_axis: Literal["regions", "features"] = Field("regions", description="of the l2 norms; features: the paper")
    caption_weight: float = Field(1.0, ge=0, description="weight of the captioning loss; 0 leaves the decoder out")
    caption_dim: int = Field(512, ge=1, description="width of the captioning networks")
    caption_dropout: float = Field(0.2, ge=0, lt=1, description="on the inputs of the captioning networks")
    embedding_dim: int = Field(2048, ge=1, description="width of regions, embeddings and recurrent states")
    margin: float = Field(0.2, gt=0, description="of the hinge triplet loss")


class GraphReasoning(nn.Module):
    """x + batch_norm(W(R g(x))), R = theta(x) phi(x)' / n_regions; the norm starts at zero, the layer as identity."""

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.theta, self.phi, self.value, self.merge = (nn.Linear(dim, dim) for _ in range(4))
        self.norm = nn.BatchNorm1d(dim)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, n_regions, dim) float32, (n, n_regions) bool -> the same shape; what is masked out stays as it is."""
        edges = torch.bmm(self.theta(x), self.phi(x).transpose(1, 2)).masked_fill(~mask.unsqueeze(1), 0.0)
        messages = torch.bmm(edges / mask.sum(1).view(-1, 1, 1), self.value(x))
        if not forms.blocked(x):
            packing = by_sample(mask)
            return x + unpack(self.norm(self.merge(pack(messages, packing))), packing)
        update = self.norm(self.merge(messages[mask])).to(x.dtype)
        result: Tensor = x + torch.zeros_like(x).masked_scatter(mask.unsqueeze(2), update)
        return result


class VSRN(Method):
    """VSRN on region features, with a unidirectional GRU."""

    Parameters = VSRNParameters
    training_only: ClassVar[tuple[str, ...]] = ("captioner",)

    def __init__(self, options: VSRNParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: VSRNParameters = options
        dim = options.embedding_dim
        self.region_encoder = RegionEncoder(region_dim=spec.region_dim, dim=dim)
        self.graph = nn.ModuleList([GraphReasoning(dim=dim) for _ in range(LAYERS)])
        self.region_rnn = RaggedGRU(input_dim=dim, dim=dim, bidirectional=False)
        self.norm = nn.BatchNorm1d(dim) if options.variant == "f30k" else nn.Identity()
        self.text_encoder = GRUEncoder(
            vocabulary_size=spec.vocabulary_size, word_dim=options.word_dim, dim=dim,
            vectors=spec.pretrained.word_vectors,
        )  # fmt: skip
        if options.caption_weight > 0:
            self.captioner = Captioner(
                feature_dim=dim,
                vocabulary_size=spec.vocabulary_size,
                dim=options.caption_dim,
                word_dim=options.word_dim,
                dropout=options.caption_dropout,
            )

    def reason(self, regions: Tensor, mask: Tensor) -> Tensor:
        """Regions after the graph layers: (n, n_regions, region_dim) -> (n, n_regions, dim), zero off the mask."""
        axis = 1 if self.options.norm_axis == "regions" else 2
        x = self.region_encoder(regions, mask)
        if self.options.variant == "coco":
            x = l2_normalize(x, dim=axis)
        for layer in self.graph:
            x = layer(x, mask)
        return l2_normalize(x, dim=axis)

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool, valid regions first -> unit vectors (n, dim).

        In training the reasoned regions come along for the captioning loss. Boxes are not used.
        """
        reasoned = self.reason(regions, mask)
        vector = l2_normalize(self.norm(last_state(self.region_rnn(reasoned, mask), mask)))
        if self.training and self.options.caption_weight > 0:
            return Encoded(vector=vector, fragments=reasoned, mask=mask)
        return Encoded(vector=vector)

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit vectors (n, dim)."""
        return Encoded(vector=l2_normalize(last_state(self.text_encoder(tokens, mask), mask)))

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The hinge triplet loss, summed over the batch and both directions, plus the captioning loss in training."""
        scores = self.similarity(images, texts)
        loss, terms, _ = hinge_triplet(scores, batch.image_ids, margin=self.options.margin, hardest=progress.hardest)
        if images.fragments is not None and images.mask is not None:
            caption = self.captioner(images.fragments, images.mask, batch.tokens, batch.token_mask)
            loss = loss + self.options.caption_weight * caption
            terms["caption"] = caption.detach()
        return loss, terms


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the authors' img_enc and txt_enc, under our names; the captioning networks are not released."""
    names = {
        "img_enc.fc.": "region_encoder.fc.",
        "img_enc.img_rnn.": "region_rnn.",
        "img_enc.bn.": "norm.",
        "txt_enc.embed.": "text_encoder.embed.",
        "txt_enc.rnn.": "text_encoder.rnn.",
    }
    for layer in range(LAYERS):
        for theirs, ours in (("theta", "theta"), ("phi", "phi"), ("g", "value"), ("W.0", "merge"), ("W.1", "norm")):
            names[f"img_enc.Rs_GCN_{layer + 1}.{theirs}."] = f"graph.{layer}.{ours}."
    # The graph layers are convolutions of width one there, with a third axis.
    return {name: weight.squeeze(2) if weight.ndim == 3 else weight for name, weight in rename(state, names).items()}
