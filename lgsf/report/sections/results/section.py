"""Results on one dataset: the picture and the main table; then what else the same runs say, a section for each idea."""

from __future__ import annotations

from collections.abc import Iterator

from lgsf.metrics.names import is_twin
from lgsf.render.block import said_once
from lgsf.render.flow import Details, Figures, Item, Paragraph
from lgsf.render.numbers import LOOKS, PROTOCOL_LABELS, RULE
from lgsf.report.collected import Collected
from lgsf.report.front.picture import clipped_words, picture
from lgsf.report.front.table import main_block, published_words, test_words
from lgsf.report.section import Section
from lgsf.report.sections.results.data import data_block
from lgsf.report.sections.results.every_run import every_run_block
from lgsf.report.sections.results.tuning import tuning_items
from lgsf.report.tested import UNTESTED, tested_rows
from lgsf.tables.results import results_block

DOTS = "Dots are seeds, the tick their mean, the dashed line the reference."
BARS = (
    "A bar is the 95 % interval of the difference to the reference, over seeds and images: where it meets the line, no "
    "difference is shown. † is tested better, ‡ worse."
)
CLAIMED = "A ring marks where the claimed gain would be."
METRICS = (
    "i2t: a picture asks for its captions; t2i: a caption asks for its picture. R@K: percent of questions with a right answer "
    "among the first K. rSum: the sum of the six, 600 at most."
)
BOLD = "Bold: the highest mean of a single model, and all that equal it."
FAIR = f"Ties count against the model. {RULE} {LOOKS}"
TWINS = (
    "A twin shows the same objects with attributes or relations exchanged. Accuracy is the share of pairs in which the "
    "right one scores higher than its twin; guessing gives 50 %."
)


def section(found: Collected, dataset: str) -> Section:
    title = f"Results on {dataset}"
    first, *more = found.protocols(dataset)
    items = [*_scores(found, dataset, first, opened=True)]
    items += [
        Details(PROTOCOL_LABELS[protocol].capitalize(), tuple(_scores(found, dataset, protocol))) for protocol in more
    ]
    return Section(dataset, title, nav=found.titled("Results", dataset), items=tuple(items))


def _scores(found: Collected, dataset: str, protocol: str, *, opened: bool = False) -> Iterator[Item]:
    wide, narrow = picture(found, dataset, protocol)
    yield Figures((wide,), listed=True, css="wide")
    yield Figures(tuple(narrow), css="narrow")
    tested = tested_rows(found, dataset, protocol, found.experiment.reference)
    bars = BARS if (tested["finding"] != UNTESTED).any() else ""
    claimed = CLAIMED if "claimed" in {shape.css for shape in wide.shapes} else ""
    words = (DOTS, bars, claimed, clipped_words(found, dataset, protocol))
    yield Paragraph(" ".join(filter(None, words)), css="note", page_only=True)
    yield main_block(found, dataset, protocol)
    said = (test_words(found, dataset, protocol), published_words(found, dataset))
    yield Paragraph(" ".join(filter(None, (BOLD, *said))), css="note")
    if opened:
        yield Paragraph(METRICS, css="note", page_only=True)
        yield Details("Which runs count", (Paragraph(FAIR, css="note"),))


def twins(found: Collected, dataset: str) -> Section | None:
    """Who tells twins apart; None where the data have none."""
    summary = found.of(found.summary, dataset, found.protocols(dataset)[0])
    kinds = [str(metric) for metric in dict.fromkeys(summary["metric"]) if is_twin(str(metric))]
    if not kinds:
        return None
    block = results_block(f"{dataset}-twins", f"Twin accuracy on {dataset}, percent", summary, metrics=kinds)
    items = (Paragraph(TWINS), said_once(block, "dev looks", "seeds"))
    return Section(f"{dataset}-twins-section", found.titled("Twins", dataset), nav="Twins", items=items)


def data(found: Collected, dataset: str) -> Section:
    """What the data hold and what looks wrong with them, every run by itself, and how values were chosen."""
    items: list[Item] = []
    if dataset in found.data:
        if doubts := [str(sentence) for sentence in found.data[dataset].get("warnings", [])]:
            items.append(Paragraph(f"What looks wrong with them: {' '.join(doubts)}", css="stamp"))
        block = data_block(f"{dataset}-data", f"What {dataset} holds", found.data[dataset]["splits"])
        items.append(Details(f"What {dataset} holds", (block,)))
    runs = found.of(found.runs, dataset, found.protocols(dataset)[0])
    every = every_run_block(f"{dataset}-runs", f"Every run on {dataset}", runs)
    items.append(Details(f"All runs on {dataset}, seed by seed", (every,)))
    items += tuning_items(found, dataset)
    return Section(
        f"{dataset}-data-section", found.titled("The data and every run", dataset), nav="Data", items=tuple(items)
    )
