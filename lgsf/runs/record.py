"""run.json and failure.json: what a run was, where it ran, what it cost, how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgsf.system.errors import LgsfError
from lgsf.system.files import read_json
from lgsf.system.settings import explain

SPLIT = "test"


EVALUATE_AGAIN = "evaluate the run again"


TRAIN_AGAIN = "run the training command of this run again"


NO_COMPARISON = (
    "of the transductive diagnostic, whose scores depend on the other test queries: they stand in no comparison; "
    "move them back into the run's folder 'transductive'."
)


UNKNOWN = "unknown"


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Git(Facts):
    """The state of the source tree; null where the code did not run from a repository."""

    commit: str | None = None
    dirty: bool | None = None


class Device(Facts):
    """Where training or scoring happened."""

    type: str
    name: str = ""


class Checkpoint(Facts):
    """Where an imported model comes from; epoch and best score as its authors' file has them."""

    file: str
    sha256: str
    epoch: int | None = None
    best_score: float | None = None
    selection: str = ""
    note: str = ""


class RunFacts(Facts):
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


class Failure(Facts):
    """`failure.json`: why a trainer gave up."""

    reason: str
    epoch: int | None = None
    when: str = ""


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
