"""LGSF: local and global semantic fusion for image-text retrieval; graph attention, sample interaction, triangle.

    regions -> FC (+ MLP) -> graph attention over the image's regions -> pooling -> unit vector v       (local)
    words   -> embedding -> BiGRU, or BERT -> linear          -> pooling -> unit vector u
    v, u    -> interaction with the batch's samples of the same modality -> v~, u~    (global; training only)
    loss    =  mean of L(v, u), L(v, u~), L(v~, u), L(v~, u~);  L = hinge triplet + weight * triangle

The graph may also come before the encoder, or beside the pooling as a branch of its own (`graph.place`).

The paper (Science Technology and Engineering 2026, 26(13): 5574-5582) was available as an abstract: it names
these parts and no number, so every value below is a choice, marked as such in the configuration. Each part can
be switched off by a parameter, and all other initial weights then stay what they were (lgsf.models.initial).
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Parameters, Progress
from lgsf.models.graph.gat import NO_BOXES, GraphBlock, GraphParameters, build_edges
from lgsf.models.initial import Initializer
from lgsf.models.interaction import InteractionParameters, SampleInteraction
from lgsf.models.kernels import forms
from lgsf.models.layers.encoders import RegionEncoder, l2_normalize
from lgsf.models.layers.losses import hinge_triplet
from lgsf.models.layers.pooling import MeanPooling, build_pooling
from lgsf.models.layers.region_mlp import RegionMLP
from lgsf.models.layers.text import TextMethod, TextMethodParameters, build_text_encoder
from lgsf.models.triangle import TriangleParameters, triangle_term
from lgsf.system.errors import LgsfError


class PoolingParameters(Parameters):
    """From fragments to one vector; of the same kind for regions and words."""

    kind: Literal["mean", "maxk", "gpo"] = Field("gpo", description="gpo learns a weight for each rank")
    k: int = Field(2, ge=1, description="values that maxk averages in each dimension")
    lean: float = Field(
        0.0,
        ge=0,
        le=10,
        description="gpo: weights start near (1 + rank) ** -lean, which leans to the largest value; 0: as drawn",
    )


class LGSFParameters(TextMethodParameters):
    """Options of LGSF."""

    embedding_dim: int = Field(512, ge=1, description="width of regions, words and embeddings")
    margin: float = Field(0.2, gt=0, description="of the hinge triplet loss")
    region_encoder: Literal["fc", "mlp"] = Field(
        "fc", description="fc: one linear layer; mlp: a perceptron beside it, as in VSE-infinity and HREM"
    )
    pooling: PoolingParameters = PoolingParameters()
    graph: GraphParameters = GraphParameters()
    interaction: InteractionParameters = InteractionParameters()
    triangle: TriangleParameters = TriangleParameters()


class LGSF(TextMethod):
    """The model of the paper and, by its parameters, all of its ablations."""

    Parameters = LGSFParameters
    training_only: ClassVar[tuple[str, ...]] = ("interaction",)

    def __init__(self, options: LGSFParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: LGSFParameters = options
        dim, graph, interaction = options.embedding_dim, options.graph, options.interaction
        if graph.kind != "none" and (graph.edges == "iou" or graph.geometry) and not spec.has_boxes:
            raise LgsfError(NO_BOXES)
        build = Initializer().build
        region_encoder = {"fc": RegionEncoder, "mlp": RegionMLP}[options.region_encoder]
        self.image_encoder = build("image_encoder", partial(region_encoder, region_dim=spec.region_dim, dim=dim))
        self.text_encoder = build("text_encoder", partial(build_text_encoder, options, spec, dim=dim))
        pooling = partial(build_pooling, options.pooling.kind, k=options.pooling.k, lean=options.pooling.lean)
        self.image_pooling = build("image_pooling", pooling)
        self.text_pooling = build("text_pooling", pooling)
        self.graph = nn.ModuleList()
        if graph.kind != "none":
            width = spec.region_dim if graph.place == "features" else dim
            for layer in range(graph.layers):
                self.graph.append(build(f"graph.{layer}", partial(GraphBlock, graph, dim=width)))
        self.interaction: SampleInteraction | None = None
        if interaction.kind != "none":
            self.interaction = build("interaction", partial(SampleInteraction, interaction, dim=dim))

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool, (n, n_regions, 4) -> unit vectors (n, dim)."""
        graph = self.options.graph
        if len(self.graph) and graph.place == "branch":
            x = self.image_encoder(regions, mask)
            related = MeanPooling()(self._relate(x, regions, mask, boxes)[0], mask)
            vector = (1 - graph.branch_share) * self.image_pooling(x, mask) + graph.branch_share * related
        elif graph.place == "features":
            x = self.image_encoder(self._relate(regions, regions, mask, boxes)[0], mask)
            vector = self.image_pooling(x, mask)
        else:
            vector = self.image_pooling(self._relate(self.image_encoder(regions, mask), regions, mask, boxes)[0], mask)
        return Encoded(vector=l2_normalize(vector))

    def learning_rate_factors(self) -> dict[str, float]:
        """Those of the text encoder, and of the graph where it has one."""
        factor = self.options.graph.learning_rate_factor
        own = {"graph.": factor} if len(self.graph) and factor != 1 else {}
        return super().learning_rate_factors() | own

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit vectors (n, dim)."""
        return Encoded(vector=l2_normalize(self.text_pooling(self.text_encoder(tokens, mask), mask)))

    def region_attention(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Tensor | None:
        """What region i takes from region j: (n, layers, heads, n_regions, n_regions), or None without any."""
        x = regions if self.options.graph.place == "features" else self.image_encoder(regions, mask)
        attention = self._relate(x, regions, mask, boxes)[1]
        return torch.stack(attention, dim=1) if attention else None

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """The graph's attention between regions, mean over layers and heads; words and regions never meet."""
        attention = self.region_attention(batch.regions, batch.region_mask, batch.boxes)
        return {} if attention is None else {"region_region": attention.mean((1, 2))}

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The pair loss of the plain embeddings or, once the interaction has started, its weighted mean with others.

        The logged terms are those of the plain pair in every arm, so that they can be compared.
        """
        v, u = images.vector, texts.vector
        assert v is not None and u is not None
        loss = partial(self._pair_loss, image_ids=batch.image_ids, hardest=progress.hardest)
        active = self.interaction is not None and progress.fraction >= self.options.interaction.start
        at_once = active and not forms.blocked(v)
        if not at_once:  # the order in which losses come to be decides the last bits of their gradients' sums
            plain, terms = loss(v, u)
        if self.interaction is None:
            return plain, terms
        if active:
            enhanced_v, enhanced_u = self.interaction(torch.stack([v, u]))
            cross, both = [(v, enhanced_u), (enhanced_v, u)], [(enhanced_v, enhanced_u)]
            pairs = {"cross": cross, "enhanced": both, "all": cross + both}[self.options.interaction.pairs]
            weight = self.options.interaction.weight
            if at_once:
                left, right = (torch.stack(side) for side in zip((v, u), *pairs, strict=True))
                losses, several = torch.vmap(loss)(left, right)
                total = torch.lerp(losses[0], losses.sum(), weight)
                terms = {name: term[0] for name, term in several.items()}
            else:
                total = torch.stack([plain, *(weight * loss(*pair)[0] for pair in pairs)]).sum()
            plain = total / (1 + weight * len(pairs))
        terms["interaction_active"] = torch.full((), float(active), device=v.device)
        return plain, terms

    def _relate(self, x: Tensor, regions: Tensor, mask: Tensor, boxes: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Regions x after the graph (n, n_regions, width), and each layer's attention."""
        attention = []
        if len(self.graph):
            edges = build_edges(self.options.graph, regions, mask, boxes)
            for block in self.graph:
                x, weights = block(x, mask, edges, boxes)
                if weights is not None:
                    attention.append(weights)
        return x, attention

    def _pair_loss(self, v: Tensor, u: Tensor, image_ids: Tensor, *, hardest: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """L(v, u) of unit vectors (batch, dim): the hinge and, if it has a weight, the triangle's term.

        The angular forms and FullHN take the hardest negatives from the first step on, also while the hinge still sums
        over all of them: one triangle per query and direction, whatever the hinge does.
        """
        hinge, terms, negatives = hinge_triplet(v @ u.T, image_ids, margin=self.options.margin, hardest=hardest)
        triangle = self.options.triangle
        if triangle.weight == 0:
            return hinge, terms
        closing, activity = triangle_term(triangle, v, u, image_ids, negatives, margin=self.options.margin)
        return hinge + triangle.weight * closing, terms | activity
