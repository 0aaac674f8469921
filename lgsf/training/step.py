"""From a batch to gradients: encode, compare, go back; on several ranks each encodes its share and all compare all."""

from __future__ import annotations

import torch
from torch import Tensor

from lgsf.config.run_settings import Precision
from lgsf.data.batches.batch import Batch
from lgsf.models.base import Method, Progress
from lgsf.training.precision import encoding, products
from lgsf.training.ranks import Ranks


def backward(
    method: Method, batch: Batch, progress: Progress, *, ranks: Ranks, precision: Precision
) -> tuple[Tensor, dict[str, Tensor]]:
    """The detached loss of a batch and what is worth logging; its gradients replace those of the parameters.

    batch      on the method's device; of several ranks, this one's share of it
    precision  of the products (lgsf.training.precision)
    """
    with encoding(precision, ranks.device), ranks.encoding():
        images = method.encode_images(batch.regions, batch.region_mask, batch.boxes)
        texts = method.encode_texts(batch.tokens, batch.token_mask)
    images, texts = ranks.whole(images.float(), texts.float())
    batch = ranks.whole_batch(batch, regions=method.loss_reads_regions)
    with ranks.comparing():
        loss, terms = method.loss(batch, images, texts, progress)
    method.zero_grad(set_to_none=True)
    with products(precision, ranks.device):
        torch.autograd.backward(loss)
    ranks.average_gradients(method)
    return loss.detach(), terms
