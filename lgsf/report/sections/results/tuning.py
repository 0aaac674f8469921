"""How the values of tuned methods were found: one row per method, from the records of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from lgsf.config.tuned import Tuned
from lgsf.render.block import Block, Cell, numbers, table_block, words
from lgsf.render.flow import Heading, Item, Paragraph
from lgsf.render.numbers import NOTHING, decimal
from lgsf.report.collected import Collected
from lgsf.report.sections.methods import flatten, show
from lgsf.runs.facts import RunFacts
from lgsf.system.errors import LgsfError
from lgsf.system.settings import explain

EQUAL = (
    "Every method had the same number of trials on the development split over the same shared ranges; the first trial of "
    "each has the configured values. Trials train with a seed of their own and never read the test split. A trial whose "
    "loss was not finite counts as failed."
)


def tuning_items(found: Collected, dataset: str) -> Iterator[Item]:
    """Nothing where nothing was tuned."""
    caption = f"How values were chosen on the dev split of {dataset}"
    block = tuning_block(f"{dataset}-tuning", caption, found.facts(dataset))
    if block is not None:
        yield Heading("How values were chosen")
        yield Paragraph(EQUAL, page_only=True)
        yield block


def tuning_block(id_: str, caption: str, records: Iterable[RunFacts]) -> Block | None:
    """The budget and the choice of every method of one dataset; None where nothing was tuned.

    A method that was not tuned has a row of dashes: its neighbours had looks at dev that it had not.
    """
    methods = {facts.method: facts for facts in records if facts.kind == "trained"}
    rows = [_row(facts) for facts in methods.values()]
    if not any("tuned" in facts.config for facts in methods.values()):
        return None
    columns = [*words("method"), *numbers("trials", "failed", "dev looks", "dev rSum as configured", "of the chosen")]
    return table_block(id_, caption, [*columns, *words("chosen values", "trials.jsonl sha256")], rows)


def _row(facts: RunFacts) -> tuple[Cell, ...]:
    name = Cell(facts.title or facts.method)
    if "tuned" not in facts.config:
        return (name, *(Cell(NOTHING) for _ in range(7)))
    try:
        tuned = Tuned.model_validate(facts.config["tuned"])
    except ValidationError as error:
        raise LgsfError(f"run.json of {facts.method}, seed {facts.seed}: config.tuned: {explain(error)}") from None
    settings = flatten(facts.config)
    values = ", ".join(f"{path.removeprefix('parameters.')} {show(settings.get(path))}" for path in tuned.paths)
    counts = [Cell(str(number), sort=float(number)) for number in (tuned.trials, tuned.failed, tuned.dev_looks)]
    scores = [Cell(decimal(score), sort=score) for score in (tuned.dev_rsum_configured, tuned.dev_rsum)]
    return (name, *counts, *scores, Cell(values, css="prose"), Cell(tuned.trials_sha256, css="hash"))
