"""Cases computed with the authors' own code: inputs, weights and outputs (tests/golden, README there)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgsf.data.batches.batch import Batch
from lgsf.models.base import DataSpec, Encoded, Method, Progress

FOLDER = Path(__file__).resolve().parent.parent / "golden"
PARTS = ("img_enc/", "txt_enc/", "sim_enc/", "graph_loss/")
HARDEST = Progress(step=0, total_steps=1, hardest=True)


class Golden:
    """One case. `case["sims"]` is a tensor; weights and gradients come under the published names, parts joined by a dot."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            self._tensors = {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}

    def __getitem__(self, key: str) -> Tensor:
        return self._tensors[key]

    def _published(self, start: str) -> dict[str, Tensor]:
        parts = tuple(start + part for part in PARTS)
        named = ((key[len(start) :], value) for key, value in self._tensors.items() if key.startswith(parts))
        return {key.replace("/", ".", 1): value for key, value in named}

    @property
    def weights(self) -> dict[str, Tensor]:
        return self._published("")

    @property
    def gradients(self) -> dict[str, Tensor]:
        return self._published("grad/")

    @property
    def spec(self) -> DataSpec:
        return DataSpec(region_dim=self["images"].shape[-1], vocabulary_size=len(self["txt_enc/embed.weight"]))

    @property
    def batch(self) -> Batch:
        """The case's inputs; every pair has an image of its own."""
        images, captions = self["images"], self["captions"]
        regions = self._tensors.get("image_lengths", torch.full((len(images),), images.shape[1]))
        return Batch(
            regions=images,
            region_mask=torch.arange(images.shape[1]) < regions[:, None],
            boxes=None,
            tokens=captions,
            token_mask=torch.arange(captions.shape[1]) < self["lengths"][:, None],
            image_ids=torch.arange(len(images)),
        )


def assert_equals_golden(
    case: Golden, method: Method, from_published: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
) -> tuple[Encoded, Encoded]:
    """Load the weights, run encode, similarity and loss as training does, compare all that the case holds.

    In float32 values must agree to 1e-5 and gradients to a few 1e-5 of their size: the cross-axis norm of SCAN
    divides by sums that can be tiny, and there float32 itself is no better. So all is compared to 1e-5 once
    more in double precision, where what is left is the rounding of the authors' float32.
    """
    outputs = _compare(case, method, from_published, dtype=torch.float32, gradient_atol=5e-5)
    _compare(case, method.double(), from_published, dtype=torch.float64, gradient_atol=1e-5)
    return outputs


def _compare(
    case: Golden,
    method: Method,
    from_published: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
    *,
    dtype: torch.dtype,
    gradient_atol: float,
) -> tuple[Encoded, Encoded]:
    method.load_state_dict(from_published(case.weights))
    method.eval()
    method.zero_grad()
    batch = case.batch
    batch = replace(batch, regions=batch.regions.to(dtype))
    images = method.encode_images(batch.regions, batch.region_mask)
    texts = method.encode_texts(batch.tokens, batch.token_mask)
    image_embedding, text_embedding = case["img_emb"], case["cap_emb"]
    if image_embedding.ndim == 3:
        assert images.fragments is not None
        assert texts.fragments is not None
        close(images.fragments, image_embedding)
        close(texts.fragments[batch.token_mask], text_embedding[batch.token_mask])  # padded words are not defined
    else:
        assert images.vector is not None
        assert texts.vector is not None
        close(images.vector, image_embedding)
        close(texts.vector, text_embedding)
    close(method.similarity(images, texts), case["sims"])
    loss, _ = method.loss(batch, images, texts, HARDEST)
    close(loss, case["loss"])
    gradients = case.gradients
    if gradients:
        loss.backward()
        ours = dict(method.named_parameters())
        expected = from_published(gradients)
        assert expected.keys() == {name for name, parameter in ours.items() if parameter.grad is not None}
        for name, gradient in expected.items():
            close(ours[name].grad, gradient, atol=gradient_atol)
    return images, texts


def close(ours: Tensor | None, theirs: Tensor, *, atol: float = 1e-5) -> None:
    assert ours is not None
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0, check_dtype=False)
