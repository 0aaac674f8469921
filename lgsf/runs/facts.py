"""What tables say of a run beside its numbers, from its `run.json`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict

from lgsf.runs.names import UNKNOWN
from lgsf.runs.record import RunRecord, parsed


class RunFacts(RunRecord):
    """A run's record, and what follows from it."""

    model_config = ConfigDict(extra="ignore")

    @property
    def inputs(self) -> dict[str, str]:
        """What a score rests on beside the method, in the words of config/published.csv; "" for controls.

        text  text encoder;  visual  region features;  ensemble  yes for a mean over trained models, else no
        """
        if self.kind == "control":
            return {"text": "", "visual": "", "ensemble": ""}
        averaged = {"trained": False, "zero_shot": False, "ensemble": True}.get(self.kind, self.ensemble)
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


def read_facts(folder: Path) -> RunFacts:
    """The facts of the run in `folder`; LgsfError where its `run.json` is missing, broken or lacks a key."""
    return parsed(folder, RunFacts)
