"""Read a finished run from its folder: facts, ranks, judged pairs and training log, never the weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgsf.config import explain
from lgsf.data.layout import sha256
from lgsf.errors import LgsfError
from lgsf.files import read_arrays, read_json
from lgsf.ranking import metrics

SPLIT = "test"
EVALUATE_AGAIN = "evaluate the run again"
TRAIN_AGAIN = "run the training command of this run again"
NO_COMPARISON = (
    "of the transductive diagnostic, whose scores depend on the other test queries: they stand in no comparison; "
    "move them back into the run's folder 'transductive'."
)
RANK_ARRAYS = {
    "image_id",
    "caption_id",
    "caption_image",
    "image_fold",
    "i2t",
    "t2i",
    "i2t_fold",
    "t2i_fold",
    "protocol",
}
JUDGED_ARRAYS = ("judged_score", "judged_image", "judged_caption", "judged_grade", "judged_kind")
TWIN = "_twin"
UNKNOWN = "unknown"


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Git(_Facts):
    """The state of the source tree; null where the code did not run from a repository."""

    commit: str | None = None
    dirty: bool | None = None


class Device(_Facts):
    """Where training or scoring happened."""

    type: str
    name: str = ""


class Checkpoint(_Facts):
    """Where an imported model comes from; epoch and best score as its authors' file has them."""

    file: str
    sha256: str
    epoch: int | None = None
    best_score: float | None = None
    selection: str = ""
    note: str = ""


class RunFacts(_Facts):
    """`run.json`: what a run was, where it ran and what it cost; training facts are null for controls.

    text_encoder, features, ensemble  what only the record knows: features and ensemble are given with imported
    scores alone; `inputs` is what tables show
    """

    schema_version: Literal[1]
    kind: Literal["trained", "control", "ensemble", "imported"]
    dataset: str
    method: str
    title: str = ""
    seed: int
    text_encoder: str | None = None
    features: str | None = None
    ensemble: bool | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    config_sha256: str | None = None
    checkpoint: Checkpoint | None = None
    dataset_sha256: str
    data: dict[str, Any] = Field(default_factory=dict)
    git: Git = Git()
    packages: dict[str, str] = Field(default_factory=dict)
    python: str = ""
    device: Device
    threads: int | None = None
    started: str
    ended: str
    seconds: float | None = None
    peak_memory_mb: float | None = None
    peak_gpu_memory_mb: float | None = None
    parameters: int | None = None
    parameters_training_only: int | None = None
    steps: int | None = None
    steps_per_epoch: int | None = None
    hardest_from_step: int | None = None
    best_epoch: int | None = None
    dev_looks: int | None = None
    dev: dict[str, float] | None = None
    ending: str = ""
    resumed: int = 0

    @property
    def inputs(self) -> dict[str, str]:
        """What a score rests on beside the method, in the words of config/published.csv; "" for controls.

        text  text encoder;  visual  region features;  ensemble  yes for a mean over trained models, else no
        """
        if self.kind == "control":
            return {"text": "", "visual": "", "ensemble": ""}
        averaged = {"trained": False, "ensemble": True}.get(self.kind, self.ensemble)
        return {
            "text": self.text_encoder or UNKNOWN,
            "visual": self.features or self.data.get("source", {}).get("features") or UNKNOWN,
            "ensemble": {True: "yes", False: "no", None: UNKNOWN}[averaged],
        }

    @property
    def tuning_looks(self) -> int | None:
        """Epochs after which a trial of the tuning looked at dev, of all trials; null where training is not known."""
        tuned = self.config.get("tuned") or {}
        return None if self.dev_looks is None else int(tuned.get("dev_looks", 0))

    @property
    def all_looks(self) -> int | None:
        """Looks at dev behind this run: after its own epochs, and in the tuning that its values came from."""
        return None if self.dev_looks is None or self.tuning_looks is None else self.dev_looks + self.tuning_looks


class Failure(_Facts):
    """`failure.json`: why a trainer gave up."""

    reason: str
    epoch: int | None = None
    when: str = ""


class Epoch(_Facts):
    """One line of `log.jsonl`."""

    epoch: int
    step: int
    seconds: float
    learning_rate: float
    loss: float
    grad_norm: float
    terms: dict[str, float] = Field(default_factory=dict)
    dev: dict[str, float]
    best: bool = False
    plateau: bool = False


@dataclass(frozen=True)
class Ranks:
    """`<split>/ranks.npz`, checked.

    i2t, t2i  (n_images,), (n_captions,) int32 0-based ranks over the whole gallery; *_fold inside the fold
    caption_image, image_fold  (n_captions,), (n_images,) int32: the image of a caption, the fold of an image
    protocol  canonical JSON; queries: sha256 of ids and folds, equal where runs answered the same questions
    """

    i2t: npt.NDArray[np.int32]
    t2i: npt.NDArray[np.int32]
    i2t_fold: npt.NDArray[np.int32]
    t2i_fold: npt.NDArray[np.int32]
    caption_image: npt.NDArray[np.int32]
    image_fold: npt.NDArray[np.int32]
    folds: int
    protocol: str
    queries: str
    sha256: str

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics per protocol: "full" over the whole gallery, and "folds" where there is more than one."""
        out = {"full": metrics(self.i2t, self.t2i)}
        if self.folds > 1:
            # Folds are of equal size, so pooling their ranks equals the mean of their recalls.
            out = {"folds": metrics(self.i2t_fold, self.t2i_fold), **out}
        return out


def read_facts(folder: Path) -> RunFacts:
    """The run's `run.json`; LgsfError where it is missing, broken or lacks a key."""
    path = folder / "run.json"
    raw = read_json(path, hint=TRAIN_AGAIN)
    if isinstance(raw, dict) and raw.get("kind") == "transductive":
        raise LgsfError(f"{path} is a record {NO_COMPARISON}")
    try:
        return RunFacts.model_validate(raw)
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error)}") from None


def read_failure(folder: Path) -> Failure | None:
    """What a trainer left when it gave up, or None."""
    path = folder / "failure.json"
    if not path.is_file():
        return None
    try:
        return Failure.model_validate(read_json(path, hint=TRAIN_AGAIN))
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error)}") from None


def read_log(folder: Path) -> list[Epoch]:
    """The epochs of `log.jsonl` in order; a control has none."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    epochs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            epochs.append(Epoch.model_validate_json(line))
        except ValidationError as error:
            raise LgsfError(f"{path}, line {number}: {explain(error)}") from None
    return epochs


def read_ranks(folder: Path, split: str = SPLIT) -> Ranks:
    """The ranks of one split; LgsfError where arrays are missing or do not fit each other."""
    path = folder / split / "ranks.npz"
    arrays = read_arrays(path, hint=EVALUATE_AGAIN)
    if absent := sorted(RANK_ARRAYS - set(arrays)):
        raise LgsfError(f"{path} lacks the array {absent[0]!r}: {EVALUATE_AGAIN}.")
    n_images, n_captions = len(arrays["image_id"]), len(arrays["caption_id"])
    lengths = {"image_fold": n_images, "i2t": n_images, "i2t_fold": n_images}
    lengths |= {"caption_image": n_captions, "t2i": n_captions, "t2i_fold": n_captions}
    for name, length in lengths.items():
        if arrays[name].shape != (length,):
            raise LgsfError(f"{path}: {name} has shape {arrays[name].shape}, not ({length},): {EVALUATE_AGAIN}.")
    try:
        protocol = json.dumps(json.loads(str(arrays["protocol"])), sort_keys=True)
    except json.JSONDecodeError as error:
        raise LgsfError(f"{path}: protocol is not JSON ({error}): {EVALUATE_AGAIN}.") from None
    if "transductive" in json.loads(protocol):
        raise LgsfError(f"{path} holds ranks {NO_COMPARISON}")
    return Ranks(
        i2t=arrays["i2t"],
        t2i=arrays["t2i"],
        i2t_fold=arrays["i2t_fold"],
        t2i_fold=arrays["t2i_fold"],
        caption_image=arrays["caption_image"],
        image_fold=arrays["image_fold"],
        folds=len(np.unique(arrays["image_fold"])),
        protocol=protocol,
        queries=_queries(arrays),
        sha256=sha256(path),
    )


def _queries(arrays: dict[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in ("image_id", "caption_id"):
        digest.update("\n".join(map(str, arrays[name])).encode() + b"\0")
    for name in ("caption_image", "image_fold"):
        digest.update(np.ascontiguousarray(arrays[name], np.int64).tobytes())
    return digest.hexdigest()


def twin_accuracy(folder: Path, split: str = SPLIT) -> dict[str, float]:
    """Share of pairs in percent whose own score beats the twin's, per kind of twin; {} without judged pairs.

    Judged rows of a kind that ends in "_twin" come in twos: the own pair (grade 1), then its twin (grade 0).
    A tie counts against the model.
    """
    path = folder / split / "top.npz"
    arrays = read_arrays(path, hint=EVALUATE_AGAIN)
    if JUDGED_ARRAYS[0] not in arrays or not len(arrays[JUDGED_ARRAYS[0]]):
        return {}
    for name in JUDGED_ARRAYS:
        if name not in arrays or len(arrays[name]) != len(arrays["judged_score"]):
            raise LgsfError(f"{path}: {name} is missing or not as long as judged_score: {EVALUATE_AGAIN}.")
    kind = arrays["judged_kind"].astype(str)
    rows = np.flatnonzero(np.char.endswith(kind, TWIN))
    score, grade, kind = arrays["judged_score"][rows], arrays["judged_grade"][rows], kind[rows]
    own, twin = slice(0, None, 2), slice(1, None, 2)
    paired = len(rows) % 2 == 0 and bool((kind[own] == kind[twin]).all())
    if not paired or (grade[own] != 1).any() or (grade[twin] != 0).any():
        raise LgsfError(f"{path}: the judged twins do not alternate own pair, twin: {EVALUATE_AGAIN}.")
    right = score[own] > score[twin]
    return {
        f"twin_{name.removesuffix(TWIN)}": 100.0 * float(right[kind[own] == name].mean())
        for name in sorted(set(kind.tolist()))
    }
