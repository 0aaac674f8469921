"""Read what the transductive diagnostic wrote, as one table; nothing here ever joins the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from lgsf.config.experiment import Experiment
from lgsf.config.names import EVAL_INTERACTION
from lgsf.metrics.names import HEADLINE
from lgsf.system.errors import LgsfError
from lgsf.system.files import read_object
from lgsf.system.hashes import sha256
from lgsf.system.settings import explain

FOLDER = "transductive"
AGAIN = "run the target transductive again"


class Diagnosis(BaseModel):
    """`diagnosis.json`: metrics of one run per mode and protocol ("full", and "folds" where there are any)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1]
    kind: Literal["transductive"]
    dataset: str
    method: str
    seed: int
    run_sha256: str
    batch_size: int
    interaction_steps: int | None
    modes: dict[str, dict[str, dict[str, float]]]


def read_diagnoses(experiment: Experiment, results: Path, dataset: str) -> list[Diagnosis]:
    """The diagnoses of one dataset that exist, in the order of the tables; one of an older training is left out."""
    found = []
    for expected in experiment.expected():
        path = results / expected.folder / FOLDER / "diagnosis.json"
        if expected.dataset != dataset or not path.is_file():
            continue
        try:
            diagnosis = Diagnosis.model_validate(read_object(path, hint=AGAIN))
        except ValidationError as error:
            raise LgsfError(f"{path}: {explain(error).removesuffix('.')}: {AGAIN}.") from None
        if set(diagnosis.modes) != set(EVAL_INTERACTION):
            raise LgsfError(f"{path} has not the modes {', '.join(EVAL_INTERACTION)}: {AGAIN}.")
        record = results / expected.folder / "run.json"
        if record.is_file() and sha256(record) == diagnosis.run_sha256:
            found.append(diagnosis)
    return found


def diagnosis_table(diagnoses: Sequence[Diagnosis]) -> pd.DataFrame:
    """One row per run, protocol and mode: the headline metrics, and `delta_<metric>` to the same weights with "off"."""
    rows = [
        {
            **{"dataset": one.dataset, "method": one.method, "seed": one.seed, "protocol": protocol},
            **{"eval_interaction": mode, "batch_size": one.batch_size, "interaction_steps": one.interaction_steps},
            **{metric: values[metric] for metric in HEADLINE},
            **{f"delta_{m}": values[m] - one.modes["off"][protocol][m] for m in HEADLINE},
        }
        for one in diagnoses
        for mode in EVAL_INTERACTION
        for protocol, values in one.modes[mode].items()
    ]
    return pd.DataFrame(rows)
