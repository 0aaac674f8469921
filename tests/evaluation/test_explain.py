"""What is stored for the pictures: attention as the method gives it, and scores without each region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.scan import SCAN
from baselines.sgraf import SGRAF
from lgsf.data.batches.batch import Batch
from lgsf.data.layout import open_dataset
from lgsf.data.text import Vocabulary
from lgsf.evaluation.explain import pair_batch, region_effect, write_gallery
from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.lgsf import LGSF
from lgsf.runs.beside.chosen import EACH, MAPS, chosen_pairs
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_arrays

CAPTION_IMAGE = np.repeat(np.arange(40), [1, 2, 3, 4] * 10)


class Sums(Method):
    """The score is the sum of all region values times the number of words: without a region it loses its sum."""

    Parameters = Parameters
    maps: dict[str, Tensor]

    def encode_images(self, regions: Tensor, mask: Tensor, boxes: Tensor | None = None) -> Encoded:
        assert not regions[~mask].any()
        return Encoded(vector=regions.sum((1, 2)).unsqueeze(1))

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Encoded:
        return Encoded(vector=mask.sum(1, keepdim=True).float())

    def explain(self, batch: Batch) -> dict[str, Tensor]:
        return getattr(self, "given", {})


def spec(width: int = 10) -> DataSpec:
    return DataSpec(region_dim=width, vocabulary_size=30, has_boxes=True)


def opened(root: Path) -> tuple[Any, Vocabulary]:
    return open_dataset(root).split("test"), Vocabulary.load(root / "vocabulary.json")


def test_questions_depend_on_names_alone_and_never_repeat_an_image() -> None:
    images, captions = chosen_pairs("scenes", "test", CAPTION_IMAGE)
    again = chosen_pairs("scenes", "test", CAPTION_IMAGE)
    assert (images == again[0]).all() and (captions == again[1]).all()
    assert len(images) == 2 * EACH == len(set(images.tolist()))
    assert (CAPTION_IMAGE[captions] == images).all()
    firsts = [np.flatnonzero(image == CAPTION_IMAGE)[0] for image in images[:EACH]]
    assert captions[:EACH].tolist() == firsts
    assert (chosen_pairs("flickr8k", "test", CAPTION_IMAGE)[0] != images).any()
    assert (chosen_pairs("scenes", "dev", CAPTION_IMAGE)[0] != images).any()


def test_few_images_are_enough() -> None:
    images, captions = chosen_pairs("tiny", "test", np.array([0, 0, 1, 2]))
    assert len(images) == len(captions) == 2


def test_the_effect_of_a_region_is_the_score_it_takes_along() -> None:
    batch = Batch(
        regions=torch.tensor([[[1.0, 2.0], [4.0, 0.0], [-3.0, 1.0]], [[5.0, 5.0], [0.0, 0.0], [0.0, 0.0]]]),
        region_mask=torch.tensor([[True, True, True], [True, False, False]]),
        boxes=None,
        tokens=torch.tensor([[1, 5, 2], [1, 2, 0]]),
        token_mask=torch.tensor([[True, True, True], [True, True, False]]),
        image_ids=torch.tensor([0, 1]),
    )
    score, effect = region_effect(Sums(Parameters(), spec()), batch)
    assert score.tolist() == [15.0, 20.0]  # 5 x 3 words, 10 x 2 words
    assert effect[0].tolist() == [9.0, 12.0, -6.0]
    assert np.isnan(effect[1]).all()  # an image must keep one region


def test_scan_words_attend_as_its_equations_say(tiny_dataset: Path, tmp_path: Path) -> None:
    split, vocabulary = opened(tiny_dataset)
    torch.manual_seed(0)
    scan = SCAN(SCAN.Parameters(embedding_dim=8, word_dim=8), spec()).eval()
    write_gallery(tmp_path, scan, "tiny", split, vocabulary, device=torch.device("cpu"), made_from={})
    stored = read_arrays(tmp_path / "gallery.npz", hint="-")
    for pair, (image, caption) in enumerate(zip(stored["image"], stored["caption"], strict=True)):
        count = split.region_counts[image]
        text = split.captions["text"].iloc[caption]
        words = [word for word in stored["words"][pair] if word]
        assert words == ["<start>", *text.split(), "<end>"]
        with torch.no_grad():
            tokens = torch.tensor([vocabulary.encode(text)])
            w = scan.encode_texts(tokens, torch.ones_like(tokens, dtype=torch.bool)).fragments[0]
            regions = torch.from_numpy(split.regions.read(np.array([image]))[:, :count])
            v = scan.encode_images(regions, torch.ones(1, count, dtype=torch.bool)).fragments[0]
        products = torch.nn.functional.leaky_relu(w @ v.T, 0.1)
        expected = (9 * products / (products.norm(dim=0, keepdim=True) + 1e-8)).softmax(1).numpy()
        assert np.allclose(stored["word_region"][pair, : len(words), :count], expected, atol=1e-5)
        assert np.isnan(stored["word_region"][pair, len(words) :]).all()
        assert np.isnan(stored["word_region"][pair, :, count:]).all()


@pytest.mark.parametrize(
    ("method", "options", "name"),
    [
        (SCAN, {"direction": "i2t"}, "region_word"),
        (SGRAF, {"regions": 5, "similarity_dim": 8}, "word_region"),
        (LGSF, {"graph": {"heads": 2, "ff": 8, "layers": 2}, "interaction": {"heads": 2, "ff": 8}}, "region_region"),
    ],
)
def test_attention_of_each_method_shares_out_one(
    tiny_dataset: Path, method: type[Method], options: dict[str, Any], name: str
) -> None:
    split, vocabulary = opened(tiny_dataset)
    torch.manual_seed(0)
    model = method(method.Parameters(embedding_dim=8, word_dim=8, **options), spec()).eval()
    batch = pair_batch(split, vocabulary, *chosen_pairs("tiny", "test", split.caption_image))
    with torch.no_grad():
        maps = model.explain(batch)
    assert list(maps) == [name]
    masks = {"r": batch.region_mask, "w": batch.token_mask}
    rows, columns = (masks[axis] for axis in MAPS[name])
    assert maps[name].shape == (len(rows), rows.shape[1], columns.shape[1])
    assert torch.allclose(maps[name].sum(2)[rows], torch.ones(int(rows.sum())), atol=1e-5)
    assert not maps[name][(~columns).unsqueeze(1) & rows.unsqueeze(2)].any()


def test_the_graphs_attention_is_the_mean_over_layers_and_heads(tiny_dataset: Path) -> None:
    split, vocabulary = opened(tiny_dataset)
    torch.manual_seed(0)
    parameters = LGSF.Parameters(embedding_dim=8, word_dim=8, graph={"heads": 2, "ff": 8, "layers": 2})
    model = LGSF(parameters, spec()).eval()
    batch = pair_batch(split, vocabulary, *chosen_pairs("tiny", "test", split.caption_image))
    whole = model.region_attention(batch.regions, batch.region_mask, batch.boxes)
    assert whole is not None and whole.shape[1:3] == (2, 2)
    expected = sum(whole[:, layer, head] for layer in range(2) for head in range(2)) / 4
    assert torch.allclose(model.explain(batch)["region_region"], expected, atol=1e-6)
    plain = LGSF(LGSF.Parameters(embedding_dim=8, word_dim=8, graph={"kind": "none"}), spec())
    assert plain.explain(batch) == {}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [({"gaze": torch.zeros(2)}, "a map 'gaze'"), ({"region_region": torch.zeros(2, 1, 1)}, r"must be \(8, 5, 5\)")],
)
def test_a_map_that_does_not_fit_is_an_error(
    tiny_dataset: Path, tmp_path: Path, given: dict[str, Tensor], complaint: str
) -> None:
    split, vocabulary = opened(tiny_dataset)
    method = Sums(Parameters(), spec())
    method.given = given  # type: ignore[assignment]
    with pytest.raises(LgsfError, match=complaint):
        write_gallery(tmp_path, method, "tiny", split, vocabulary, device=torch.device("cpu"), made_from={})
    assert not (tmp_path / "gallery.npz").exists()
