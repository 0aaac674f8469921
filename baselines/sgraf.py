"""SGRAF (Diao et al., AAAI 2021): similarity vectors of words and of the whole pair, reasoned over by SGR or SAF.

A node is the 256-d similarity vector of a word with what it attends to in the image (SCAN's t2i attention), or
of the two global vectors. SGR passes messages between all nodes for three rounds and reads the global one; SAF
weighs the nodes with a gate. The published SGRAF rows are the mean of the two models' score matrices.

As in the authors' code: hardest negatives from the first step (`sum_steps: 0`; both models stay on the
collapse plateau for many epochs); one batch norm holds its statistics per region index, so region order matters
and `regions` must be the number of regions of the data; in training SAF's batch norm is computed per caption.
Unlike there, padding is masked everywhere and a caption of the same image is never a negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from baselines.weights import rename
from lgsf.data.batches.batch import Batch
from lgsf.data.batches.host import on_host, upload
from lgsf.models.base import DataSpec, Encoded, Method, Progress
from lgsf.models.kernels import forms
from lgsf.models.kernels.masked_norm import MaskedBatchNorm, moments
from lgsf.models.layers.attention import attention_weights
from lgsf.models.layers.encoders import BiGRUEncoder, RegionEncoder, WordParameters, l2_normalize, xavier_linear
from lgsf.models.layers.losses import hinge_triplet
from lgsf.models.layers.pooling import MeanPooling
from lgsf.system.errors import LgsfError

CHUNK_MB = 48  # memory for the attended vectors and similarity vectors of one chunk of pairs on a CPU
IMAGE_CHUNK = 256  # images per chunk in evaluation

Moments = tuple[Tensor, ...]  # count, mean and variance (n_texts, 1), or nothing


class SGRAFParameters(WordParameters):
    """Options of SGR and SAF."""

    module: Literal["sgr", "saf"] = Field("sgr", description="graph reasoning or attention filtration")
    steps: int = Field(3, ge=1, description="rounds of graph reasoning; without effect for saf")
    regions: int = Field(36, ge=1, description="regions per image: batch norm keeps statistics for each index")
    similarity_dim: int = Field(256, ge=1, description="width of a similarity vector")
    lambda_softmax: float = Field(9.0, gt=0, description="inverse temperature of the attention")
    recompute: bool = Field(True, description="compute pairs again in the backward pass: far less memory, more time")
    dropout: float = Field(0.4, ge=0, lt=1, description="on word vectors and in the global self-attention")
    embedding_dim: int = Field(1024, ge=1, description="width of regions, words and the recurrent state")
    margin: float = Field(0.2, gt=0, description="of the hinge triplet loss")


class GlobalAttention(nn.Module):
    """One vector of a sample: its fragments weighed by their agreement with their mean.

    `regions` adds the batch norms of the image side: over each region index, and over the mean's dimensions.
    """

    def __init__(self, *, dim: int, dropout: float, regions: int | None) -> None:
        super().__init__()
        self.mean = MeanPooling()
        self.local, self.overall, self.common = xavier_linear(dim, dim), xavier_linear(dim, dim), xavier_linear(dim, 1)
        self.local_norm = MaskedBatchNorm(regions) if regions else None
        self.overall_norm = nn.BatchNorm1d(dim) if regions else None
        self.dropout = dropout

    def forward(self, fragments: Tensor, mask: Tensor) -> Tensor:
        """(n, length, dim) float32, (n, length) bool -> unit vectors (n, dim)."""
        local, overall = self.local(fragments), self.overall(self.mean(fragments, mask))
        if self.local_norm is not None and self.overall_norm is not None:
            local, overall = self.local_norm(local, mask), self.overall_norm(overall)
        local = F.dropout(local.tanh(), self.dropout, self.training)
        overall = F.dropout(overall.tanh(), self.dropout, self.training)
        logits = self.common(local * overall.unsqueeze(1)).squeeze(2).masked_fill(~mask, -math.inf)
        return l2_normalize(torch.bmm(logits.softmax(1).unsqueeze(1), fragments).squeeze(1))


class GraphReasoning(nn.Module):
    """One round of messages on the complete graph of a pair's nodes."""

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.merge = (xavier_linear(dim, dim) for _ in range(3))

    def forward(self, nodes: Tensor, mask: Tensor, *, read: int) -> Tensor:
        """Nodes (..., length, dim) float32 with mask (..., length) -> the first `read` nodes after the round."""
        # <Q x + q, K y + k> in one product: what does not depend on y leaves the softmax as it is.
        reader = F.linear(
            nodes[..., :read, :], self.key.weight.T @ self.query.weight, self.query.bias @ self.key.weight
        )
        edges = reader @ nodes.transpose(-1, -2)
        edges = edges.masked_fill(~mask.unsqueeze(-2), -math.inf).softmax(-1)
        merged: Tensor = self.merge(edges @ nodes)
        return merged.relu()


class AttentionFiltration(nn.Module):
    """The nodes of a pair weighed by a gate, whose batch norm takes each caption with all images for a batch."""

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.gate = xavier_linear(dim, 1)
        self.norm = MaskedBatchNorm(1)

    def forward(self, nodes: Tensor, mask: Tensor) -> tuple[Tensor, Moments]:
        """Nodes (n_images, n_texts, length, dim) float32, mask (n_texts, length) -> unit vectors, moments of the gate."""
        logits = self.gate(nodes).squeeze(3)
        if self.training:
            found = moments(logits, mask.expand_as(logits), dims=(0, 2))
            logits = self.norm.normalize(logits, found[1], found[2])
            tracked = tuple(part.detach().view(-1, 1) for part in found)
        else:
            logits = self.norm.normalize(logits, self.norm.running_mean, self.norm.running_var)
            tracked = ()
        gates = F.normalize(logits.sigmoid() * mask, p=1, dim=2)
        return l2_normalize((gates.unsqueeze(2) @ nodes).squeeze(2)), tracked


class SGRAF(Method):
    """SGR or SAF on region features, with a bidirectional GRU."""

    Parameters = SGRAFParameters

    def __init__(self, options: SGRAFParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: SGRAFParameters = options
        dim, width = options.embedding_dim, options.similarity_dim
        self.region_encoder = RegionEncoder(region_dim=spec.region_dim, dim=dim)
        self.text_encoder = BiGRUEncoder(
            vocabulary_size=spec.vocabulary_size, word_dim=options.word_dim, dim=dim,
            vectors=spec.pretrained.word_vectors,
        )  # fmt: skip
        self.region_attention = GlobalAttention(dim=dim, dropout=options.dropout, regions=options.regions)
        self.text_attention = GlobalAttention(dim=dim, dropout=options.dropout, regions=None)
        self.local_similarity, self.global_similarity = xavier_linear(dim, width), xavier_linear(dim, width)
        if options.module == "sgr":
            self.reasoning = nn.ModuleList([GraphReasoning(dim=width) for _ in range(options.steps)])
        else:
            self.filtration = AttentionFiltration(dim=width)
        self.score = xavier_linear(width, 1)

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> unit region vectors and a unit global one."""
        known, host = self.options.regions, on_host(mask)
        if host[:, known:].any():
            raise LgsfError(
                f"parameters.regions of SGRAF is {known}, but an image has up to {int(host.sum(1).max())} regions; "
                "set it to the largest number of regions in the data."
            )
        regions, mask = regions[:, :known], mask[:, :known]
        fragments = l2_normalize(self.region_encoder(regions, mask))
        return Encoded(vector=self.region_attention(fragments, mask), fragments=fragments, mask=mask)

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit word vectors and a unit global one."""
        words = F.dropout(self.text_encoder.embed(tokens), self.options.dropout, self.training)
        fragments = l2_normalize(self.text_encoder.rnn(words, mask))
        return Encoded(vector=self.text_attention(fragments, mask), fragments=fragments, mask=mask)

    def similarity(self, images: Encoded, texts: Encoded) -> Tensor:
        """Scores (n_images, n_texts) float32 in 0..1, in chunks, which the backward pass may compute again."""
        # SAF's statistics in training are over all images of the batch.
        step = len(images) if self.training else IMAGE_CHUNK
        parts = [images.select(slice(i, i + step)) for i in range(0, len(images), step)]
        with forms.float32_island(self.score.weight):
            return torch.cat([self._similarity(part, texts) for part in parts])

    def _similarity(self, images: Encoded, texts: Encoded) -> Tensor:
        """`similarity` for as many images as go into a chunk; captions go from long to short, as the authors' do."""
        assert texts.mask is not None
        lengths, order = on_host(texts.mask).sum(1).sort(descending=True, stable=True)
        sorted_order, restored = upload(torch.stack([order, order.argsort()]), texts.mask.device)
        scores, tracked = [], []
        for rows, longest in self._chunks(len(images), lengths.tolist()):
            part = texts.select(sorted_order[rows])
            assert part.fragments is not None and part.mask is not None
            part = Encoded(vector=part.vector, fragments=part.fragments[:, :longest], mask=part.mask[:, :longest])
            if torch.is_grad_enabled() and self.options.recompute:
                chunk, moment = checkpoint(self._pairs, images, part, use_reentrant=False, preserve_rng_state=False)
            else:  # without gradients nothing is kept, and the first call of `checkpoint` loads torch's compiler
                chunk, moment = self._pairs(images, part)
            scores.append(chunk)
            tracked.append(moment)
        if tracked[0]:
            self.filtration.norm.track(*(torch.cat(part) for part in zip(*tracked, strict=True)))
        return torch.cat(scores, 1)[:, restored]

    def _chunks(self, n_images: int, lengths: list[int]) -> Iterator[tuple[slice, int]]:
        """Slices of captions sorted by falling length, and the longest of each, so that a chunk fits its memory."""
        floats_per_word = 3 * self.options.embedding_dim + 6 * self.options.similarity_dim
        words = forms.memory_mb(self.score.weight, CHUNK_MB) * 2**20 // (4 * floats_per_word * n_images)
        start = 0
        while start < len(lengths):
            stop = min(len(lengths), start + max(1, words // (lengths[start] + 1)))
            yield slice(start, stop), lengths[start]
            start = stop

    def _pairs(self, images: Encoded, texts: Encoded) -> tuple[Tensor, Moments]:
        """Scores (n_images, n_texts) of all pairs at once, and in SAF's training the moments of its batch norm."""
        assert images.vector is not None and images.fragments is not None and images.mask is not None
        assert texts.vector is not None and texts.fragments is not None and texts.mask is not None
        exact = self.score.weight.dtype  # under autocast the encoders hand over bfloat16
        regions, words = images.fragments.to(exact), texts.fragments.to(exact)
        weights = attention_weights(
            words, texts.mask, regions, images.mask, inverse_temperature=self.options.lambda_softmax
        )
        attended = l2_normalize(torch.einsum("clis,isd->icld", weights, regions))
        local = self.local_similarity((attended - words).square())
        overall = self.global_similarity((images.vector.to(exact).unsqueeze(1) - texts.vector.to(exact)).square())
        nodes = l2_normalize(torch.cat([overall.unsqueeze(2), local], 2))  # (n_images, n_texts, 1 + n_words, width)
        mask = F.pad(texts.mask, (1, 0), value=True)
        tracked: Moments = ()
        if self.options.module == "sgr":
            for round_ in self.reasoning[:-1]:
                nodes = round_(nodes, mask, read=nodes.shape[2])
            vector = self.reasoning[-1](nodes, mask, read=1).squeeze(2)
        else:
            vector, tracked = self.filtration(nodes, mask)
        return self.score(vector).squeeze(2).sigmoid(), tracked

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """How the words of each caption attend to the regions, in front of reasoning or filtration."""
        images = self.encode_images(batch.regions, batch.region_mask).float()
        texts = self.encode_texts(batch.tokens, batch.token_mask).float()
        assert images.fragments is not None and images.mask is not None and texts.fragments is not None
        weights = attention_weights(
            texts.fragments, batch.token_mask, images.fragments, images.mask,
            inverse_temperature=self.options.lambda_softmax,
        )  # fmt: skip
        pair = torch.arange(len(batch.image_ids))
        return {"word_region": F.pad(weights[pair, :, pair], (0, batch.region_mask.shape[1] - images.mask.shape[1]))}

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The hinge triplet loss, summed over the batch and both directions."""
        # SAF's batch norm takes a caption with all images of the batch, so its rows cannot be shared out.
        scores = (self.similarity if self.options.module == "saf" else self.batch_similarity)(images, texts)
        loss, terms, _ = hinge_triplet(scores, batch.image_ids, margin=self.options.margin, hardest=progress.hardest)
        return loss, terms


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the authors' img_enc, txt_enc and sim_enc, of either module, under our names."""
    names = {
        "img_enc.fc.": "region_encoder.fc.",
        "txt_enc.embed.": "text_encoder.embed.",
        "txt_enc.cap_rnn.": "text_encoder.rnn.",
        "sim_enc.sim_tranloc_w.": "local_similarity.",
        "sim_enc.sim_tranglo_w.": "global_similarity.",
        "sim_enc.sim_eval_w.": "score.",
        "sim_enc.SAF_module.attn_sim_w.": "filtration.gate.",
        "sim_enc.SAF_module.bn.": "filtration.norm.",
    }
    for theirs, ours in (("v_global_w", "region_attention"), ("t_global_w", "text_attention")):
        names[f"sim_enc.{theirs}.embedding_local.0."] = f"{ours}.local."
        names[f"sim_enc.{theirs}.embedding_local.1."] = f"{ours}.local_norm."
        names[f"sim_enc.{theirs}.embedding_global.0."] = f"{ours}.overall."
        names[f"sim_enc.{theirs}.embedding_global.1."] = f"{ours}.overall_norm."
        names[f"sim_enc.{theirs}.embedding_common.0."] = f"{ours}.common."
    for layer in {name.split(".")[2] for name in state if name.startswith("sim_enc.SGR_module.")}:
        for theirs, ours in (("graph_query_w", "query"), ("graph_key_w", "key"), ("sim_graph_w", "merge")):
            names[f"sim_enc.SGR_module.{layer}.{theirs}."] = f"reasoning.{layer}.{ours}."
    return rename(state, names)
