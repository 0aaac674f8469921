"""VSE-infinity (Chen et al., CVPR 2021): two encoders whose fragments are pooled by GPO, cosine, hinge.

The region form, with a BiGRU as in the branch `bigru` of the authors' code or, with `text: {kind: bert}`, with the
BERT of their branch `master`: last hidden states, one linear layer, the same pooling. Where paper and code differ this
follows the code (the pooling weights come from one linear layer without bias, not from a perceptron). One
epoch of summed violations, then hardest negatives (`sum_steps`); the batches drop regions and words (size
augmentation: `region_drop: 0.2`, `word_drop: 0.2`). Unlike the published code, batch-norm statistics never
see dropped regions, and a caption of the same image is never a negative.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from baselines.weights import PUBLISHED_BERT, UNUSED_BERT, rename
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Progress
from lgsf.models.layers.encoders import l2_normalize
from lgsf.models.layers.losses import hinge_triplet
from lgsf.models.layers.pooling import GeneralizedPooling
from lgsf.models.layers.region_mlp import PUBLISHED_MLP, RegionMLP
from lgsf.models.layers.text import TextMethod, TextMethodParameters, build_text_encoder


class VSEInfinityParameters(TextMethodParameters):
    """Options of VSE-infinity."""

    embedding_dim: int = Field(1024, ge=2, description="width of the embeddings and of the recurrent state")
    margin: float = Field(0.2, gt=0, description="of the hinge triplet loss")


class VSEInfinity(TextMethod):
    """VSE-infinity on region features."""

    Parameters = VSEInfinityParameters

    def __init__(self, options: VSEInfinityParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: VSEInfinityParameters = options
        self.region_encoder = RegionMLP(region_dim=spec.region_dim, dim=options.embedding_dim)
        self.region_pooling = GeneralizedPooling()
        self.text_encoder = build_text_encoder(options, spec, dim=options.embedding_dim)
        self.text_pooling = GeneralizedPooling()

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> unit vectors (n, dim); boxes are not used."""
        return Encoded(vector=l2_normalize(self.region_pooling(self.region_encoder(regions, mask), mask)))

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit vectors (n, dim)."""
        return Encoded(vector=l2_normalize(self.text_pooling(self.text_encoder(tokens, mask), mask)))

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The hinge triplet loss, summed over the batch and both directions."""
        scores = self.similarity(images, texts)
        loss, terms, _ = hinge_triplet(scores, batch.image_ids, margin=self.options.margin, hardest=progress.hardest)
        return loss, terms


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the authors' img_enc and txt_enc (branch `bigru`, or `master` with its BERT), under our names."""
    names = {
        "img_enc.fc.": "region_encoder.fc.",
        **{f"img_enc.mlp.{theirs}": f"region_encoder.{ours}" for theirs, ours in PUBLISHED_MLP.items()},
        "img_enc.gpool.": "region_pooling.",
        "txt_enc.embed.": "text_encoder.embed.",
        "txt_enc.rnn.": "text_encoder.rnn.",
        **PUBLISHED_BERT,
        "txt_enc.gpool.": "text_pooling.",
    }
    return rename(state, names, unused=("img_enc.mlp.bns.1.", *UNUSED_BERT))
