"""A run on disk: its files, its provenance record, and the model it holds.

<run>/model.safetensors          weights that encode and compare
<run>/training_only.safetensors  weights that only training used
<run>/bert/                      optional: configuration and tokenizer of its text encoder, a BERT
<run>/vocabulary.json            optional: words of its own, where it was not trained on the dataset's
<run>/run.json                   what was run, on what, by what, and how it ended
<run>/log.jsonl                  one line per epoch
<run>/<split>/ranks.npz          ranks of every query; all tables come from here
<run>/<split>/top.npz            best candidates and scores of judged pairs
<run>/<split>/relevance.npz      ranks of everything that is right, where the data know more than the own pair
<run>/test/gallery.npz           what the method attends to in a few pairs (lgsf.gallery.explain)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from lgsf.data.layout import Dataset, Split, open_dataset
from lgsf.data.text import Vocabulary
from lgsf.errors import LgsfError
from lgsf.files import read_json, write_arrays, write_atomically
from lgsf.methods import build_method, check_settings
from lgsf.models.base import Encoded, Method
from lgsf.pretrained import run_pretrained
from lgsf.ranking import Ranking


def split_weights(method: Method) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(deployed, training-only) tensors of a method, on the CPU."""
    deployed: dict[str, torch.Tensor] = {}
    training: dict[str, torch.Tensor] = {}
    for name, tensor in method.state_dict().items():
        target = training if name.split(".")[0] in method.training_only else deployed
        target[name] = tensor.detach().cpu().contiguous()
    return deployed, training


def save_weights(run: Path, deployed: Mapping[str, torch.Tensor], training: Mapping[str, torch.Tensor] | None) -> None:
    """Write both weight files; None writes no file of what only training uses: it is not known."""
    for name, tensors in (("model", deployed), ("training_only", training)):
        if tensors is not None:
            write_atomically(run / f"{name}.safetensors", partial(_write, safetensors.torch.save(dict(tensors))))


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def load_weights(method: Method, run: Path, *, training_only: bool = False) -> None:
    """Fill a method from a run; without `training_only` its training modules keep their fresh weights."""
    path = run / "model.safetensors"
    try:
        tensors = safetensors.torch.load_file(path)
        if training_only:
            tensors |= safetensors.torch.load_file(run / "training_only.safetensors")
    except FileNotFoundError as error:
        raise LgsfError(f"{error.filename or path} is missing: train this run first.") from None
    except safetensors.SafetensorError as error:
        raise LgsfError(f"{path} is not a readable weight file ({error}): train this run again.") from None
    missing, unexpected = method.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if name.split(".")[0] not in method.training_only]
    if missing or unexpected:
        raise LgsfError(f"{path} does not fit its config ({[*missing, *unexpected][0]!r}): train this run again.")


def write_ranks(
    folder: Path, split: Split, ranking: Ranking, fold: npt.NDArray[np.int32], protocol: Mapping[str, Any]
) -> None:
    """Write ranks.npz and top.npz of one split."""
    write_arrays(
        folder / "ranks.npz",
        {
            "image_id": split.images["image_id"].to_numpy().astype(np.str_),
            "caption_id": split.captions["caption_id"].to_numpy().astype(np.str_),
            "caption_image": split.caption_image.astype(np.int32),
            "image_fold": fold,
            "i2t": ranking.i2t,
            "t2i": ranking.t2i,
            "i2t_fold": ranking.i2t_fold,
            "t2i_fold": ranking.t2i_fold,
            "protocol": np.array(json.dumps(dict(protocol), sort_keys=True)),
        },
    )
    top = {
        "i2t": ranking.i2t_top,
        "i2t_score": ranking.i2t_top_score,
        "t2i": ranking.t2i_top,
        "t2i_score": ranking.t2i_top_score,
    }
    if split.judged is not None:
        top |= {
            "judged_score": ranking.judged_score,
            "judged_image": split.judged["image"].to_numpy(np.int32),
            "judged_caption": split.judged["caption"].to_numpy(np.int32),
            "judged_grade": split.judged["grade"].to_numpy(np.float32),
            "judged_kind": split.judged["kind"].to_numpy().astype(np.str_),
        }
    write_arrays(folder / "top.npz", top)


@dataclass(frozen=True)
class LoadedRun:
    """A trained model with the vocabulary it was trained on.

    >>> run = lgsf.load_run("results/scenes/lgsf/seed0", "resources/scenes")
    >>> texts = run.encode_texts(["a red circle left of a blue square"])
    >>> order = run.search(texts, images, k=5)
    """

    method: Method
    vocabulary: Vocabulary
    record: Mapping[str, Any]

    @torch.inference_mode()
    def encode_images(self, regions: torch.Tensor, mask: torch.Tensor, boxes: torch.Tensor | None = None) -> Encoded:
        """(n, n_regions, dim) float32 and (n, n_regions) bool -> n encoded images."""
        return self.method.encode_images(regions, mask, boxes)

    @torch.inference_mode()
    def encode_texts(self, captions: Sequence[str]) -> Encoded:
        """Encode captions as they are written."""
        tokenizer = self.method.tokenizer(self.vocabulary)
        rows = [torch.tensor(tokenizer.pieces(caption)[0]) for caption in captions]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        return self.method.encode_texts(tokens, torch.arange(tokens.shape[1]) < lengths[:, None])

    @torch.inference_mode()
    def search(self, texts: Encoded, images: Encoded, *, k: int) -> torch.Tensor:
        """(n_texts, k) int64: rows of the best images for each text, best first."""
        return self.method.similarity(images, texts).T.topk(min(k, len(images)), dim=1).indices


def run_vocabulary(run: Path, dataset: Dataset) -> Vocabulary:
    """The words that a run was trained with: those in its own folder, otherwise the dataset's.

    Raises LgsfError when they are not the words that its record names.
    """
    own = run / "vocabulary.json"
    if own.is_file():
        vocabulary = Vocabulary.load(own, remedy="import this run again")
    else:
        vocabulary = Vocabulary.load(dataset.root / "vocabulary.json")
    record = read_json(run / "run.json", hint="train this run first")
    if record["data"]["vocabulary"]["hash"] != vocabulary.hash:
        where = own if own.is_file() else dataset.root
        raise LgsfError(f"{run} was trained with other words than {where} has: name the dataset it was trained on.")
    return vocabulary


def settings_of(run: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The checked settings of a trained run; LgsfError for a control, an ensemble or imported scores."""
    if "model" not in record["config"]:
        raise LgsfError(f"{run} is of kind {record['kind']!r} and has no weights of its own: name a trained run.")
    return check_settings(record["config"], source=str(run / "run.json"))


def load_run(run: str | Path, dataset: str | Path) -> LoadedRun:
    """Open a trained run; `dataset` is the prepared dataset it was trained on (its words are checked)."""
    run = Path(run)
    record = read_json(run / "run.json", hint="train this run first")
    settings = settings_of(run, record)
    opened = open_dataset(Path(dataset))
    vocabulary = run_vocabulary(run, opened)
    method = build_method(
        settings, opened, source=str(run / "run.json"), vocabulary_size=len(vocabulary),
        pretrained=run_pretrained(run, settings["parameters"]),
    )  # fmt: skip
    load_weights(method, run)
    return LoadedRun(method.eval(), vocabulary, record)
