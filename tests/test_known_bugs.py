"""The register of bugs that have cost this field numbers: each test names one, and who had it.

Every promise runs over every method in every form (tests/support/every_method.py), through what users call. Tests of
one method or one function stand with that method or function; here stands what holds for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from lgsf.data.batches.batch import Batch
from lgsf.data.layout import open_dataset
from lgsf.data.prepare import prepare
from lgsf.data.text import Vocabulary
from lgsf.data.writer import DatasetWriter
from lgsf.importing.scores import import_scores
from lgsf.metrics.ranking import MatrixScores, rank
from lgsf.models import scoring as score
from lgsf.models.base import Encoded, Method, Progress
from lgsf.models.layers.losses import plateau
from lgsf.models.scoring import TiledScores, encode_split
from lgsf.runs.log import read_log
from lgsf.runs.ranks import read_ranks
from lgsf.system.errors import LgsfError
from lgsf.training.train import train
from tests.support.every_method import FORMS, Form, all_method_classes
from tests.support.golden import Golden
from tests.support.properties import check_evaluation, check_training, close, encode, ragged_batch

LATE = Progress(step=50, total_steps=100, hardest=True)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles for a handful of samples: they are filled up, and full ones cost SGR seconds."""
    monkeypatch.setattr(score, "IMAGE_TILE", 8)
    monkeypatch.setattr(score, "TEXT_TILE", 16)


every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def test_no_method_is_missing_here(repository: Path) -> None:
    covered = {form.method_class for form in FORMS.values()}
    assert covered == all_method_classes()
    config = yaml.safe_load((repository / "config/config.yaml").read_text())
    configured = {settings["model"] for settings in config["methods"].values() if "model" in settings}
    assert configured <= {form.model for form in FORMS.values()}


# --- What is printed ---------------------------------------------------------------------------------------------


def test_a_five_fold_summary_is_the_mean_of_its_folds(tmp_path: Path) -> None:
    """SCAN, SGRAF and PFAN print six times the mean i2t recall as rsum, VSE++ six times the rsum."""
    case = Golden("retrieval")
    matrix, owner = case["sims"].numpy(), case["caption_image"].numpy()
    write_hundred_images(tmp_path / "data", owner)
    np.save(tmp_path / "scores.npy", matrix)
    run = import_scores(
        dataset=tmp_path / "data", split="test", name="golden", seed=0, results=tmp_path, scores=tmp_path / "scores.npy"
    )
    found = read_ranks(run).metrics()
    recalls = ["r1", "r5", "r10"]
    for way in ("i2t", "t2i"):
        folds = np.stack([case[f"fold{k}_{way}"].numpy() for k in range(5)])  # R@1, R@5, R@10, medr, meanr
        for place, recall in enumerate(recalls):
            assert found["folds"][f"{way}_{recall}"] == pytest.approx(folds[:, place].mean())
    total = sum(found["folds"][f"{way}_{recall}"] for way in ("i2t", "t2i") for recall in recalls)
    assert found["folds"]["rsum"] == pytest.approx(total)
    i2t_mean = sum(found["folds"][f"i2t_{recall}"] for recall in recalls) / 3
    assert abs(6 * i2t_mean - total) > 1  # what the bug would print


def write_hundred_images(root: Path, owner: np.ndarray) -> None:
    """A dataset whose test split has the captions of the golden matrix, in five folds."""
    counts = np.ones(100, np.int32)
    regions = 1 + np.arange(400, dtype=np.float32).reshape(100, 1, 4)
    texts = [f"word{k % 7}" for k in range(len(owner))]
    images = pd.DataFrame({"image_id": [f"i{k}" for k in range(100)], "file_name": "none"})
    captions = pd.DataFrame({"caption_id": [f"c{k}" for k in range(len(owner))], "image": owner, "text": texts})
    with DatasetWriter(root, name="hundred", source={"kind": "test"}, protocol={"folds": 5}) as writer:
        for place, split in enumerate(("test", "dev", "train")):
            turned = captions.assign(text=texts[place:] + texts[:place])
            writer.split(
                split, images=images, captions=turned, shape=regions.shape, dtype=np.float32,
                blocks=[(regions + 1000 * place, counts, None)], boxes=False,
            )  # fmt: skip
        writer.vocabulary(Vocabulary.build(texts, min_count=1))


# --- Ranks -------------------------------------------------------------------------------------------------------


@every_form
def test_a_model_that_gives_nan_is_not_ranked(form: Form) -> None:
    """`argsort()[::-1]` puts NaN first: a broken model has R@1 = 100 in nearly every repository."""
    method = form.build().eval()
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.fill_(torch.nan)
    scores = TiledScores(method, *encoded(method, ragged_batch()))
    with pytest.raises(LgsfError, match="is nan: a model that gives non-finite scores cannot be ranked"):
        rank(scores, np.arange(5), np.zeros(5, np.int32))


@every_form
def test_a_collapsed_model_is_at_the_bottom(form: Form) -> None:
    """An argsort ranks equal scores by their place in the file; here a tie is lost."""
    method = form.build().eval()
    first = torch.zeros(5, dtype=torch.long)
    images, texts = (sample.select(first) for sample in encoded(method, ragged_batch()))
    ranking = rank(TiledScores(method, images, texts), np.arange(5), np.zeros(5, np.int32))
    assert ranking.i2t.tolist() == ranking.t2i.tolist() == [4] * 5


@every_form
def test_a_duplicate_image_costs_its_captions_a_rank(form: Form) -> None:
    """Data sets hold pictures twice; an argsort gives the tie to whichever stands later in the file."""
    method = form.build().eval()
    images, texts = encoded(method, ragged_batch())
    twice = images.select(torch.tensor([0, 0, 2, 3, 4]))
    ranking = rank(TiledScores(method, twice, texts), np.arange(5), np.zeros(5, np.int32))
    assert (ranking.t2i[:2] >= 1).all()


@every_form
def test_memory_changes_no_score(form: Form, tiny_dataset: Path) -> None:
    """Scores of one pair differ by the shape of the product they come from: 1e-7, which moves ranks at ties."""
    dataset = open_dataset(tiny_dataset)
    split, words = dataset.split("test"), Vocabulary.load(dataset.root / "vocabulary.json")
    method = form.build().eval()
    images, texts = encode_split(method, split, words, device=torch.device("cpu"))
    kept, again = TiledScores(method, images, texts, 64), TiledScores(method, images, texts, 0)
    for (first, one), (second, other) in zip(kept.blocks(), again.blocks(), strict=True):
        assert first == second
        np.testing.assert_array_equal(one, other)


# --- Words -------------------------------------------------------------------------------------------------------


def test_captions_that_are_printed_bytes_are_refused(tmp_path: Path) -> None:
    """VSRN, CVSE, SAM and IMC read captions as b'...' under Python 3: R@1 of 71 became 65, and 35 after training."""
    folder = tmp_path / "pack"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        np.save(folder / f"{split}_ims.npy", np.ones((2, 1, 3), np.float32))
        (folder / f"{split}_caps.txt").write_text("b'a dog'\nb'a cat'\n")
    settings = {"source": "precomp", "path": str(folder), "captions_per_image": 1, "min_count": 1}
    with pytest.raises(LgsfError, match=r"_caps.txt.*b'"):
        prepare(settings, name="broken", root=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@every_form
def test_padding_neighbours_and_region_order_change_nothing(form: Form) -> None:
    """Padded words that take part in a norm, a softmax or a maximum; one image or one word that drops an axis.

    SCAN's `squeeze()` fails for one image, batched ports of it forget to clear padded words before the norm over
    words, HREM's pooling takes one k for all captions that follow a short one. Order may matter to VSRN's GRU over
    regions and to the batch norm of SGRAF, to nobody else.
    """
    check_evaluation(form.build(), order_matters=form.order_matters)


@every_form
def test_sorting_by_length_gives_every_caption_its_own_embedding(form: Form) -> None:
    """Collate functions sort captions for packed sequences, and some forget to take images and ids along."""
    method, batch = form.build().eval(), ragged_batch()
    together = scores_of(method, batch)
    for order in (torch.tensor([4, 2, 0, 1, 3]), batch.token_mask.sum(1).argsort(descending=True)):
        moved = Batch(**{k: None if v is None else v[order] for k, v in vars(batch).items()})
        close(scores_of(method, moved), together[order][:, order])


# --- Norms -------------------------------------------------------------------------------------------------------


@every_form
def test_embeddings_have_length_one_along_their_features(form: Form) -> None:
    """`l2norm(dim=1)` of VSE++ normalises over regions as soon as it is fed a set of them, as VSRN still does."""
    method, batch = form.build().eval(), ragged_batch()
    for sample, mask in zip(encoded(method, batch), (batch.region_mask, batch.token_mask), strict=True):
        if form.unit == "vector":
            assert sample.vector is not None
            assert sample.vector.shape == (5, 12)
            close(sample.vector.norm(dim=-1), torch.ones(5))
        else:
            assert sample.fragments is not None
            close(sample.fragments.norm(dim=-1)[mask], torch.ones(int(mask.sum())))


@every_form
def test_zero_rows_and_single_fragments_train(form: Form) -> None:
    """A norm without epsilon is 0 / 0 at a zero row; with one outside the root its gradient is infinite.

    The same batch holds images of one region and captions of one word.
    """
    check_training(form.build(**form.at_start), same_image_is_no_negative=False)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("scale", [20.0, 500.0])
def test_logsumexp_does_not_overflow(direction: str, scale: float) -> None:
    """exp(20) is beyond float16; SCAN's lambda_lse is 20 on COCO and is not shifted by the maximum."""
    form = FORMS[f"scan_{direction}_lse"]
    method, batch = form.build(lambda_lse=scale), ragged_batch()
    images, texts = encode(method, batch)
    assert images.fragments is not None and images.mask is not None
    own = Encoded(fragments=images.fragments, mask=images.mask)  # every fragment finds itself: cosines of 1
    found = method.similarity(images, own)
    assert found.isfinite().all()
    assert found.max() <= 1 + np.log(6) / scale + 1e-5
    loss, _ = method.loss(batch, images, texts, LATE)
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


@every_form
def test_batch_norm_never_sees_padding(form: Form) -> None:
    """VSE-infinity's batch norm counts the zero rows that dropped regions leave behind."""
    seen = []
    for extra in (0, 3):  # zeros in the ragged rows; more columns of padding, and all of it filled with sevens
        method, batch = form.build().train(), ragged_batch(extra=extra)
        method.loss(batch, *encode(method, batch), LATE)
        seen.append(dict(method.named_buffers()))
    for name, buffer in seen[0].items():
        close(seen[1][name].float(), buffer.float())


# --- Losses ------------------------------------------------------------------------------------------------------


@every_form
def test_two_captions_of_one_image_are_no_negatives(form: Form) -> None:
    """Every repository but HREM pushes a caption away from its own image when the batch holds the image twice."""
    method = form.pairs_alone().eval()
    batch = ragged_batch()
    assert method.loss(batch, *encode(method, batch), LATE)[0] > 0
    siblings = replace(batch, image_ids=torch.zeros(5, dtype=torch.long))
    assert method.loss(siblings, *encode(method, siblings), LATE)[0] == 0


@every_form
@pytest.mark.parametrize("size", [4, 8])
def test_the_loss_is_a_sum_over_the_batch(form: Form, size: int) -> None:
    """`.sum()` and a clip at 2 make another batch size another optimiser: NAAF's README and checkpoint differ so.

    Here it is a promise, so that the plateau of a collapsed model, 2 * batch * margin, can be recognised.
    """
    method = form.pairs_alone(margin=0.3).eval()
    batch = ragged_batch([3] * size, [4] * size)
    batch = replace(batch, regions=batch.regions[:1].expand(size, -1, -1), tokens=batch.tokens[:1].expand(size, -1))
    loss, _ = method.loss(batch, *encode(method, batch), LATE)
    assert method.margin == 0.3
    assert loss.item() == pytest.approx(plateau(size, 0.3), abs=1e-3)


def test_the_logged_gradient_norm_is_the_one_before_clipping(
    tmp_path: Path, tiny_dataset: Path, tiny_config: Callable[..., Path]
) -> None:
    """A clip hides that the gradient grew with the batch; who logs the clipped norm sees the limit and nothing else."""
    train(config=tiny_config(epochs=1, clip_norm=1e-3), dataset=tiny_dataset, seed=0, out=tmp_path / "run")
    assert read_log(tmp_path / "run")[0].grad_norm > 0.1


# --- Number formats ----------------------------------------------------------------------------------------------


@every_form
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_embeddings_of_half_precision_are_compared_in_float32(form: Form, dtype: torch.dtype) -> None:
    """Half-precision scores tie and overflow: the trainer hands float32 to scores and losses, whatever encoded."""
    method, batch = form.build().eval(), ragged_batch()
    images, texts = encode(method, batch)
    exact, _ = method.loss(batch, images, texts, LATE)
    rounded = [rounded_to(dtype, sample).float() for sample in (images, texts)]
    torch.manual_seed(0)
    loss, terms = method.loss(batch, rounded[0], rounded[1], LATE)
    assert loss.dtype == torch.float32
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert loss.isfinite()
    if "distance_weighted" not in form.parameters.get("loss", ""):  # which draws its negatives
        assert loss.item() == pytest.approx(exact.item(), rel=0.1, abs=0.1)


@every_form
def test_features_stored_in_float16_are_those_of_float32(form: Form) -> None:
    """Packs of half the size must not change a method: rows are widened before anything is computed."""
    method, batch = form.build().eval(), ragged_batch()
    half = batch.regions.half()
    assert scores_of(method, replace(batch, regions=half.float())).dtype == torch.float32
    close(scores_of(method, replace(batch, regions=half.float())), scores_of(method, batch), atol=2e-2)


@torch.no_grad()
def encoded(method: Method, batch: Batch) -> tuple[Encoded, Encoded]:
    return encode(method, batch)


@torch.no_grad()
def scores_of(method: Method, batch: Batch) -> torch.Tensor:
    return method.similarity(*encode(method, batch))


def rounded_to(dtype: torch.dtype, sample: Encoded) -> Encoded:
    """A sample whose numbers went through `dtype`."""
    parts = {"vector": sample.vector, "fragments": sample.fragments}
    return Encoded(**{k: None if v is None else v.to(dtype) for k, v in parts.items()}, mask=sample.mask)


def test_ranks_of_a_matrix_with_an_infinity_are_refused() -> None:
    """exp(20 * 1) in float16 is infinite, and infinity is first in every list."""
    matrix = np.zeros((3, 3), np.float32)
    matrix[1, 1] = np.inf
    with pytest.raises(LgsfError, match="is inf"):
        rank(MatrixScores(matrix), np.arange(3), np.zeros(3, np.int32))
