"""What tuning leaves in a method's settings; apart from its ranges, whose edit must retrain nothing."""

from __future__ import annotations

from pydantic import Field

from lgsf.system.settings import ListOf, Settings


class Tuned(Settings):
    """What a tuned method carries into its runs: how its values were found, and at what cost in dev looks."""

    trials: int = Field(ge=1, description="trainings that were tried")
    failed: int = Field(0, ge=0, description="of these without a finite loss")
    dev_looks: int = Field(ge=0, description="epochs after which a trial looked at dev, over all trials")
    paths: ListOf[str] = Field(description="settings that were tuned")
    dev_rsum: float = Field(description="dev rSum of the chosen trial")
    dev_rsum_configured: float | None = Field(description="dev rSum of the first trial; null if it failed")
    trials_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of trials.jsonl")
