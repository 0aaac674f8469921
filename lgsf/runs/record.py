"""`run.json`: what a run was, where it ran, what it cost, how it ended. One model, written and read here.

What follows from these facts for a table is lgsf.runs.facts: trainings hang on this file, and a new word in a table
must not repeat them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lgsf.runs.names import NO_COMPARISON, TRAIN_AGAIN
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object, write_json
from lgsf.system.settings import explain

FILE = "run.json"


class Facts(BaseModel):
    """Base: frozen; what an earlier or later version says besides is no error."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Git(Facts):
    """The state of the source tree; null where the code did not run from a repository."""

    commit: str | None = None
    dirty: bool | None = None


class Gpu(Facts):
    """A GPU: its number as the process saw it, and what it is called wherever it is."""

    index: int
    uuid: str


class Device(Facts):
    """Where training or scoring happened; of several processes, the GPU of each in their order."""

    type: str
    name: str = ""
    gpus: list[Gpu] = Field(default_factory=list)


class Checkpoint(Facts):
    """Where an imported model comes from; epoch, steps and best score as its authors' file has them."""

    file: str
    sha256: str
    text_files: dict[str, str] = Field(default_factory=dict)
    epoch: int | None = None
    best_score: float | None = None
    steps: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    selection: str = ""
    note: str = ""


class Member(Facts):
    """A run whose scores an ensemble averages, so that the mean can be followed back to weights."""

    dataset: str
    method: str
    title: str = ""
    seed: int
    config_sha256: str | None = None
    weights_sha256: str
    run_sha256: str
    dev_rsum: float | None = None


class RunRecord(Facts):
    """What a run was, where it ran and what it cost; training facts are null for controls.

    text_encoder, features, ensemble  what only the record knows: features and ensemble are given with imported
    scores alone
    seconds, cpu_seconds  of the clock on the wall, and of processors; of finished epochs where a run was interrupted
    peak_memory_mb, peak_gpu_memory_mb  of all processes that trained together, and of the GPU that held most
    files  sha256 of the run's files that were there when this was written (lgsf.runs.origin); {} of older versions
    """

    model_config = ConfigDict(extra="forbid")  # a writer's slip of the pen

    schema_version: Literal[1]
    kind: Literal["trained", "control", "ensemble", "imported", "zero_shot"]
    dataset: str
    method: str
    title: str = ""
    seed: int
    text_encoder: str | None = None
    features: str | None = None
    ensemble: bool | None = None
    pretrained: dict[str, Any] = Field(default_factory=dict)
    learning_rate_factors: dict[str, float] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    config_sha256: str | None = None
    checkpoint: Checkpoint | None = None
    members: list[Member] = Field(default_factory=list)
    dataset_sha256: str
    files: dict[str, str] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    git: Git = Git()
    packages: dict[str, str] = Field(default_factory=dict)
    python: str = ""
    device: Device
    threads: int | None = None
    started: str
    ended: str
    seconds: float | None = None
    cpu_seconds: float | None = None
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
    combined_costs: dict[str, str] = Field(default_factory=dict)
    ending: str = ""
    resumed: int = 0


R = TypeVar("R", bound=RunRecord)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `run.json` with what its writer said and nothing else."""
    write_json(folder / FILE, record.model_dump(mode="json", exclude_unset=True))


def read_record(folder: Path) -> RunRecord:
    """The run's `run.json`; LgsfError where it is missing, broken or lacks a key."""
    return parsed(folder, RunRecord)


def parsed(folder: Path, model: type[R]) -> R:
    """`run.json` as a record or a model with more to say; keys that this version does not know are left out."""
    path = folder / FILE
    raw = read_object(path, hint=TRAIN_AGAIN)
    if raw.get("kind") == "transductive":
        raise LgsfError(f"{path} is a record {NO_COMPARISON}")
    try:
        return model.model_validate({key: value for key, value in raw.items() if key in model.model_fields})
    except ValidationError as error:
        raise LgsfError(f"{path}: {explain(error)}") from None
