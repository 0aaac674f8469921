"""The contract between a retrieval method and the stages: encode, compare, learn; nothing about files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from lgsf.data.batches.batch import Batch as Batch
from lgsf.models.kernels.collective import gather, joint_with
from lgsf.models.pretrained import Pretrained

if TYPE_CHECKING:
    from lgsf.data.text import Tokenizer, Vocabulary


WIDEST = 2**17  # of a layer; a square matrix of this width is the largest that a machine of today holds
MOST_STEPS = 10**9
DEEPEST = 100  # blocks, or rounds, one after the other


class Parameters(BaseModel):
    """Base of every method's parameters: frozen, unknown keys are errors, numbers finite and of a size that can be.

    What counts steps may be large (`*_step`, `*_steps`); `layers` and `steps` say how often something is built; every
    other whole number is a width, or smaller than one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_bounds(self) -> Parameters:
        for name, value in self:
            most = DEEPEST if name in ("layers", "steps") else WIDEST
            most = MOST_STEPS if name.endswith(("_step", "_steps")) else most
            if isinstance(value, int) and abs(value) > most:
                raise ValueError(f"{name} is larger than {most}, which no model needs; lower it")
        return self


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a method must know of the data to size its layers, and what its text encoder starts from."""

    region_dim: int
    vocabulary_size: int
    has_boxes: bool = False
    pretrained: Pretrained = field(default_factory=Pretrained)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where training stands when a loss is asked for.

    step         0-based number of the optimizer step
    total_steps  steps of the whole run
    hardest      False while the hinge sums over all violations, True once it takes the hardest negative
    """

    step: int
    total_steps: int
    hardest: bool

    @property
    def fraction(self) -> float:
        """Share of the run that is done, in 0..1."""
        return self.step / max(self.total_steps, 1)


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What an encoder makes of n samples: a global vector, or fragments with their mask, or both.

    vector     (n, dim) float32
    fragments  (n, length, dim) float32, zero where masked out
    mask       (n, length) bool, True where a fragment is valid
    """

    vector: Tensor | None = None
    fragments: Tensor | None = None
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.vector is None and self.fragments is None:
            raise ValueError("Encoded needs a vector, fragments, or both")
        if (self.fragments is None) != (self.mask is None):
            raise ValueError("fragments and mask come together")

    def __len__(self) -> int:
        tensor = self.vector if self.vector is not None else self.fragments
        assert tensor is not None
        return int(tensor.shape[0])

    def select(self, rows: slice | Tensor) -> Encoded:
        """The samples `rows`, in that order."""
        return Encoded(**{k: None if v is None else v[rows] for k, v in vars(self).items()})

    def to(self, device: torch.device | str) -> Encoded:
        """The same samples on `device`."""
        return Encoded(**{k: None if v is None else v.to(device) for k, v in vars(self).items()})

    def float(self) -> Encoded:
        """The same samples in float32 (encoders may have worked in bfloat16)."""
        return Encoded(
            vector=None if self.vector is None else self.vector.float(),
            fragments=None if self.fragments is None else self.fragments.float(),
            mask=self.mask,
        )

    @staticmethod
    def concatenate(parts: Sequence[Encoded]) -> Encoded:
        """All samples of `parts` in order; fragments are padded with zeros to the longest part."""
        first = parts[0]
        vector = torch.cat([p.vector for p in parts]) if first.vector is not None else None  # type: ignore[misc]
        if first.fragments is None:
            return Encoded(vector=vector)
        length = max(p.fragments.shape[1] for p in parts)  # type: ignore[union-attr]
        fragments, masks = [], []
        for part in parts:
            assert part.fragments is not None and part.mask is not None
            missing = length - part.fragments.shape[1]
            fragments.append(nn.functional.pad(part.fragments, (0, 0, 0, missing)))
            masks.append(nn.functional.pad(part.mask, (0, missing)))
        return Encoded(vector=vector, fragments=torch.cat(fragments), mask=torch.cat(masks))


class Method(nn.Module):
    """A retrieval method: two encoders, a similarity and a loss.

    A subclass sets `Parameters` (its options, a frozen pydantic model) and, where it has modules that
    serve training alone, names them in `training_only`: they are saved apart and evaluation never reads
    them. An embedding depends on its own sample and on nothing else in the batch.

    Where several processes train together, each encodes its share of a batch, and `loss` is given the whole of it.
    Only a method that says `loss_reads_regions` then finds regions and boxes in its batch; for others they stay where
    they are, and the tensors that stand for them (on torch's device "meta") have a shape and no numbers.
    """

    Parameters: ClassVar[type[Parameters]] = Parameters
    training_only: ClassVar[tuple[str, ...]] = ()
    loss_reads_regions: ClassVar[bool] = False

    def __init__(self, options: BaseModel, spec: DataSpec) -> None:
        """Every method is built as `Class(Class.Parameters(...), DataSpec(...))`."""
        super().__init__()
        self.options = options
        self.spec = spec

    @property
    def margin(self) -> float | None:
        """Margin of a summed hinge over both directions, if there is one: the trainer then knows the plateau."""
        return getattr(self.options, "margin", None)

    @property
    def text_encoder_name(self) -> str:
        """What reads the captions, in the words of config/published.csv: GRU, BiGRU, GloVe-BiGRU, BERT ...

        By default the `kind` of the module `text_encoder`, else "unknown"; GloVe stands for any word vectors that
        it started from. Numbers of different text encoders are never compared without saying so, and an unknown
        one is compared with no published number.
        """
        kind = str(getattr(getattr(self, "text_encoder", None), "kind", "unknown"))
        return f"GloVe-{kind}" if getattr(self.options, "word_vectors", None) else kind

    @property
    def pads_captions(self) -> bool:
        """Whether a caption costs as much as the longest of its batch: like lengths are then encoded together."""
        return False

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """What turns captions into the tokens of `encode_texts`: the dataset's vocabulary, if it is not its own."""
        return vocabulary

    def learning_rate_factors(self) -> dict[str, float]:
        """Prefix of parameter names -> factor on the learning rate; 1 for all others."""
        return {}

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        """(n, n_regions, region_dim) float32, (n, n_regions) bool, (n, n_regions, 4) float32 -> n samples."""
        raise NotImplementedError

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """(n, n_words) int64, (n, n_words) bool -> n samples."""
        raise NotImplementedError

    def similarity(self, images: Encoded, texts: Encoded) -> Tensor:
        """Scores (n_images, n_texts) float32, larger is closer; by default the dot product of the vectors."""
        assert images.vector is not None and texts.vector is not None
        return images.vector @ texts.vector.T

    def batch_similarity(self, images: Encoded, texts: Encoded) -> Tensor:
        """`similarity` (batch, batch) for a loss: where several processes train together, each makes its share of rows.

        For scores of a pair that depend on no other pair.
        """
        world = joint_with()
        if world.size == 1:
            return self.similarity(images, texts)
        return gather(self.similarity(images.select(world.share(len(images))), texts), world)

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        """Attention that the score of each pair of `batch` rests on, for pictures of it; {} where there is none.

        region_region  (batch, n_regions, n_regions): what region i takes from region j; rows sum to 1
        word_region    (batch, n_words, n_regions): how a word is spread over the regions; rows sum to 1
        region_word    (batch, n_regions, n_words): how a region is spread over the words; rows sum to 1

        float32, averaged over heads and layers where there are several; what is off the masks does not matter.
        """
        return {}

    def loss(
        self, batch: Batch, images: Encoded, texts: Encoded, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise, and detached scalars worth logging."""
        raise NotImplementedError
