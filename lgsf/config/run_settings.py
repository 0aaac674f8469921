"""All that the runs of one method on one dataset depend on, as one model: `config.json`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from lgsf.config.tuned import Tuned
from lgsf.system.settings import ListOf, Name, Settings

CONFIG_SCHEMA_VERSION: Literal[1] = 1
MOST_THREADS = 256  # of one trainer; more than that no machine runs two of, and OpenMP ends the process
MOST_PROCESSES = 1024  # of one training
MOST_STEPS = 10**9  # of a run; a larger number is a slip, and floats no longer count in ones

Precision = Literal["float32", "tf32", "bfloat16"]


class Training(Settings):
    """How a model is trained. The same for every method unless a method overrides it."""

    batch_size: int = Field(128, ge=2, le=2**20, description="image-caption pairs per step")
    epochs: int = Field(15, ge=1, le=100_000, description="passes over the training captions")
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup_steps: int = Field(
        0, ge=0, le=MOST_STEPS, description="steps over which the learning rate grows linearly from zero"
    )
    decay_epochs: ListOf[int] = Field((), description="epochs after which the learning rate is multiplied")
    decay_factor: float = Field(0.1, gt=0, le=1)
    clip_norm: float = Field(2.0, gt=0, description="limit of the gradient norm")
    sum_steps: int = Field(
        300, ge=0, le=MOST_STEPS, description="steps with the sum of all violations before hardest negatives"
    )
    region_drop: float = Field(0.0, ge=0, lt=1, description="chance to drop a region in training")
    word_drop: float = Field(0.0, ge=0, lt=1, description="chance to drop or mask a word in training")
    length_buckets: int = Field(
        0, ge=0, le=100_000, description="batches at a time that are made up of captions of like length; 0 is off"
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="column of the images whose groups share a batch, such as twin on Scenes; null is off",
    )
    precision: Precision = Field(
        "float32",
        description="of a step's products: tf32 needs a GPU, bfloat16 is autocast; norms, scores and losses are float32",
    )

    @model_validator(mode="after")
    def _one_order(self) -> Training:
        if self.group is not None and self.length_buckets:
            raise ValueError("group and length_buckets both decide which captions share a batch: set one of them")
        return self

    @field_validator("decay_epochs", mode="after")
    @classmethod
    def _in_order(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(epoch < 1 for epoch in value) or any(a >= b for a, b in itertools.pairwise(value)):
            raise ValueError(f"epochs from 1 up, each later than the one before, are needed, not {list(value)}")
        return value


def check_shares(training: Training, processes: int) -> None:
    """ValueError unless a batch can be cut into one equal share for each process."""
    if training.batch_size % processes:
        raise ValueError(
            f"training.batch_size {training.batch_size} is not a multiple of processes {processes}, and each process "
            "takes an equal share of a batch: change one of them"
        )


# The budget of tuning is trials x epochs, the same for every method; precision is a matter of the machine.
TUNED_TRAINING = tuple(key for key in Training.model_fields if key not in ("epochs", "group", "precision"))


class RunSettings(Settings):
    """`config.json`: what decides the runs of one method on one dataset. Titles and reasons decide nothing.

    `parameters` are checked by the method's own class (lgsf.models.build.check_settings).
    """

    schema_version: Literal[1] = CONFIG_SCHEMA_VERSION
    dataset: Name
    method: Name
    model: str
    parameters: dict[str, Any]
    training: Training
    device: Literal["cpu", "cuda"]
    threads: int = Field(ge=1, le=MOST_THREADS)
    processes: int = Field(1, ge=1, le=MOST_PROCESSES)
    tuned: Tuned | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_words(cls, value: Any) -> Any:
        # Runs of before 0.2 carry a title and reasons here; they are read as any other.
        if isinstance(value, Mapping):
            return {key: own for key, own in value.items() if key not in ("title", "choices")}
        return value

    @model_validator(mode="after")
    def _equal_shares(self) -> RunSettings:
        check_shares(self.training, self.processes)
        return self

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        # Only what was tuned, or trains on several processes, says so: everything else keeps its hash.
        if self.tuned is None:
            plain.pop("tuned", None)
        if self.processes == 1:
            plain.pop("processes", None)
        return plain

    @property
    def module(self) -> str:
        """The module of the method's class."""
        return self.model.partition(":")[0]

    def plain(self) -> dict[str, Any]:
        """As JSON values, to write or to change."""
        return self.model_dump(mode="json")
