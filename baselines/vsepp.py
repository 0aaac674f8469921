"""VSE++ (Faghri et al., BMVC 2018): one linear layer and one GRU, cosine, hinge with hard negatives.

As published for precomputed features: the image is the mean of its regions, the caption is the last state of
a unidirectional GRU, the loss takes hardest negatives from the first step (configure `sum_steps: 0`; with all
violations throughout it is the paper's VSE0). Unlike the published code, a zero vector is not divided by zero
and a caption of the same image is never a negative.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from baselines.weights import rename
from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Method, Progress
from lgsf.models.layers.encoders import GRUEncoder, WordParameters, l2_normalize, last_state, xavier_linear
from lgsf.models.layers.losses import hinge_triplet
from lgsf.models.layers.pooling import MeanPooling


class VSEPPParameters(WordParameters):
    """Options of VSE++."""

    embedding_dim: int = Field(1024, ge=1, description="width of the embeddings and of the recurrent state")
    margin: float = Field(0.2, gt=0, description="of the hinge triplet loss")


class VSEPP(Method):
    """VSE++ on the mean of the region features."""

    Parameters = VSEPPParameters

    def __init__(self, options: VSEPPParameters, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.options: VSEPPParameters = options
        self.pooling = MeanPooling()
        self.fc = xavier_linear(spec.region_dim, options.embedding_dim)
        self.text_encoder = GRUEncoder(
            vocabulary_size=spec.vocabulary_size, word_dim=options.word_dim, dim=options.embedding_dim,
            vectors=spec.pretrained.word_vectors,
        )  # fmt: skip

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool -> unit vectors (n, dim); boxes are not used."""
        return Encoded(vector=l2_normalize(self.fc(self.pooling(regions, mask))))

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> unit vectors (n, dim)."""
        return Encoded(vector=l2_normalize(last_state(self.text_encoder(tokens, mask), mask)))

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The hinge triplet loss, summed over the batch and both directions."""
        scores = self.similarity(images, texts)
        loss, terms, _ = hinge_triplet(scores, batch.image_ids, margin=self.options.margin, hardest=progress.hardest)
        return loss, terms


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the authors' checkpoint (img_enc., txt_enc.) under our names."""
    return rename(
        state, {"img_enc.fc.": "fc.", "txt_enc.embed.": "text_encoder.embed.", "txt_enc.rnn.": "text_encoder.rnn."}
    )
