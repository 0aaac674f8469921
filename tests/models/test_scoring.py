"""The memory budget decides what is kept and never what is computed; one long caption costs what it holds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.scan import SCAN, SCANParameters
from lgsf.data.layout import Split
from lgsf.data.text import Vocabulary
from lgsf.models import scoring
from lgsf.models.base import DataSpec, Encoded, Method, Parameters
from lgsf.models.ragged import LONG, Ragged, tiles
from lgsf.models.scoring import TiledScores, encode_split


def scores(n_images: int, n_texts: int, memory_mb: int) -> TiledScores:
    generator = torch.Generator().manual_seed(0)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    return TiledScores(method, Encoded(vector=torch.randn(n_images, 33, generator=generator)),
                       Encoded(vector=torch.randn(n_texts, 33, generator=generator)), memory_mb)  # fmt: skip


def test_values_are_right_and_independent_of_the_budget() -> None:
    kept, recomputed = scores(300, 2100, 512), scores(300, 2100, 1)
    walks = [np.concatenate([block for _, block in s.blocks()]) for s in (kept, kept, recomputed, recomputed)]
    assert not recomputed._kept
    assert len(kept._kept) == 3
    for walk in walks[1:]:
        assert (walk == walks[0]).all()
    exact = kept.images.vector.double() @ kept.texts.vector.double().T  # type: ignore[union-attr]
    np.testing.assert_allclose(walks[0], exact.numpy(), atol=1e-5)


def test_a_score_does_not_depend_on_what_else_is_ranked() -> None:
    """The first rows and columns keep their bits when images and captions are added behind them."""
    generator = torch.Generator().manual_seed(1)
    images, texts = torch.randn(200, 65, generator=generator), torch.randn(1500, 65, generator=generator)
    method = Method(Parameters(), DataSpec(region_dim=1, vocabulary_size=1))
    whole, part = (
        np.concatenate(
            [b for _, b in TiledScores(method, Encoded(vector=images[:i]), Encoded(vector=texts[:t])).blocks()]
        )
        for i, t in ((200, 1500), (77, 1100))
    )
    assert (whole[:77, :1100] == part).all()


FORMS = {
    "scan_t2i": SCANParameters(embedding_dim=16, word_dim=8, direction="t2i"),
    "scan_i2t": SCANParameters(embedding_dim=16, word_dim=8, direction="i2t", aggregation="lse"),
}


def some_words(lengths: list[int], vocabulary: int = 30) -> Split:
    """A split of 6 images and captions of these lengths; of a split only what encoding asks for."""
    generator = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in generator.integers(0, vocabulary, length)) for length in lengths]
    table = pd.DataFrame({"text": texts, "image": np.arange(len(lengths)) % 6})
    return Split("test", np.zeros(0), np.zeros(0, np.int32), None, pd.DataFrame(), table, None, None)  # type: ignore[arg-type]


def encoded_texts(method: SCAN, split: Split, monkeypatch: pytest.MonkeyPatch) -> tuple[Encoded, Ragged]:
    """(images, captions) as `encode_split` gives them; the six images are random."""
    generator = torch.Generator().manual_seed(3)
    mask = torch.arange(5) < torch.tensor([5, 3, 5, 1, 2, 4])[:, None]
    batches = [(torch.randn(6, 5, 10, generator=generator) * mask[..., None], mask, None)]
    monkeypatch.setattr(scoring, "image_batches", lambda split, size, **_: iter(batches))
    vocabulary = Vocabulary.build([" ".join(f"w{k}" for k in range(30))], min_count=1)
    images, texts = encode_split(method, split, vocabulary, device=torch.device("cpu"))
    assert isinstance(texts, Ragged)
    return images, texts


def scan(name: str) -> SCAN:
    torch.manual_seed(0)
    return SCAN(FORMS[name], DataSpec(region_dim=10, vocabulary_size=35)).eval()


def walked(scores: TiledScores) -> np.ndarray:
    return np.concatenate([block for _, block in scores.blocks()])


@pytest.mark.parametrize("name", FORMS)
def test_captions_without_padding_score_bit_for_bit_as_padded_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "TEXT_TILE", 16)
    monkeypatch.setattr(scoring, "TEXT_BATCH", 8)
    method = scan(name)
    lengths = np.random.default_rng(1).integers(1, 20, 50).tolist()
    images, texts = encoded_texts(method, some_words(lengths), monkeypatch)
    padded = texts.select(torch.arange(50))
    assert padded.fragments is not None and padded.fragments.shape[1] == max(lengths) + 2
    wider = Encoded(  # as all captions of a split were padded to its longest
        fragments=torch.nn.functional.pad(padded.fragments, (0, 0, 0, 9)),
        mask=torch.nn.functional.pad(padded.mask, (0, 9)),
    )
    assert (walked(TiledScores(method, images, texts)) == walked(TiledScores(method, images, wider))).all()


@pytest.mark.parametrize("name", FORMS)
def test_long_captions_stand_where_they_stood_with_the_score_that_they_have_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "TEXT_TILE", 16)
    monkeypatch.setattr(scoring, "TEXT_BATCH", 8)
    method = scan(name)
    lengths = [5, 300, 7, 3, 140, 9, 2000, 4, *[6] * 30, 160]
    split = some_words(lengths)
    images, texts = encoded_texts(method, split, monkeypatch)
    assert texts.lengths.tolist() == [length + 2 for length in lengths]
    found = walked(TiledScores(method, images, texts))
    for column in (0, 1, 4, 6, 7, len(lengths) - 1):
        alone = replace(split, captions=split.captions.iloc[[column]])
        _, own = encoded_texts(method, alone, monkeypatch)
        np.testing.assert_allclose(found[:, [column]], walked(TiledScores(method, images, own)), atol=1e-5)


def test_tiles_hold_every_caption_once_and_no_more_fragments_than_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [10] * 40 + [130, 700, 129, 5000] + [12] * 30
    _, texts = encoded_texts(scan("scan_t2i"), some_words(lengths), monkeypatch)
    seen = []
    for rows, count in tiles(texts, 32):
        seen += rows[:count].tolist()
        assert (rows[count:] == rows[count - 1]).all()
        longest = int(texts.lengths[rows].max())
        assert len(rows) == 1 or len(rows) * longest <= 32 * LONG
        assert len(rows) == 32 or longest > LONG
    assert sorted(seen) == list(range(len(lengths)))
    assert len(seen) == len(lengths)


@pytest.mark.slow
def test_one_endless_caption_costs_what_it_holds(repository: Path) -> None:
    """1,000 captions with one of 700 words: the peak stays within a tenth of that without it (was 0.58 and 2.13 GB).

    The least of three: one and the same peak moves by 30 MB.
    """

    def peak(longest: int) -> float:
        command = [sys.executable, "-c", MEASURE.format(longest=longest)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=repository).stdout)

    peaks = {longest: min(peak(longest) for _ in range(3)) for longest in (12, 700)}
    assert peaks[700] < 1.1 * peaks[12] + 100, peaks


MEASURE = """
import numpy as np, pandas as pd, torch
torch.set_num_threads(1)
from baselines.scan import SCAN, SCANParameters
from lgsf.data.layout import Split
from lgsf.data.text import Vocabulary
from lgsf.models import scoring
from lgsf.models.base import DataSpec
from lgsf.runs.provenance import peak_memory_mb
lengths = [12] * 1000
lengths[500] = {longest}
texts = [" ".join(f"w{{k % 30}}" for k in range(n)) for n in lengths]
table = pd.DataFrame({{"text": texts, "image": np.arange(1000) % 128}})
split = Split("test", np.zeros(0), np.zeros(0, np.int32), None, pd.DataFrame(), table, None, None)
mask = torch.ones(128, 36, dtype=torch.bool)
scoring.image_batches = lambda split, size, **_: iter([(torch.randn(128, 36, 64), mask, None)])
method = SCAN(SCANParameters(embedding_dim=512, word_dim=64), DataSpec(region_dim=64, vocabulary_size=35))
vocabulary = Vocabulary.build([" ".join(f"w{{k}}" for k in range(30))], min_count=1)
scores = scoring.TiledScores(method, *scoring.encode_split(method, split, vocabulary, device=torch.device("cpu")))
for _ in scores.blocks():
    pass
print(peak_memory_mb())
"""
