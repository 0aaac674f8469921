"""What a reader must know of the first table: what was claimed, on what data and how it was measured, how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lgsf.data.layout import SPLITS
from lgsf.render.numbers import decimal, listing
from lgsf.report.collected import Collected
from lgsf.report.section import Section
from lgsf.report.seeds import seeds_told
from lgsf.runs.names import UNKNOWN
from lgsf.verdict.claim import CLAIM, NOT_TESTABLE
from lgsf.verdict.judge import NOT_APPLICABLE
from lgsf.verdict.section import counted

METHOD = (
    "Every method is trained on the same features, words and batches, with the same schedule unless its recipe differs; the "
    "epoch is chosen on dev, and test is ranked once. A test asks about methods: seeds and images both vary."
)


@dataclass(frozen=True)
class Answers:
    """What the section's own template shows: (question, sentences)."""

    answers: tuple[tuple[str, list[str]], ...]


def section(found: Collected) -> Section:
    answers = (
        ("What was claimed", _claimed(found)),
        ("On what data", [_data_sentence(name, found) for name in found.experiment.datasets]),
        ("By what method", [METHOD]),
        ("What to doubt", doubts(found)),
    )
    return Section(
        "answers", "Claim, data, method, doubts", nav="Claim and doubts", template="answers", data=Answers(answers)
    )


def _claimed(found: Collected) -> list[str]:
    gains = listing([f"+{gain} % in {task}" for task, gain in CLAIM.values()])
    sentences = [
        f"LGSF (graph attention over an image's regions, attention between samples, a triangular constraint in the loss) "
        f"raises R@1 on MS-COCO 1K by {gains} over “the current method”: most likely relative, the abstract does not say.",
    ]
    claims, reference = found.claims, found.experiment.reference
    for dataset, own in claims[claims["reference"] == reference].groupby("dataset", sort=False):
        words = [
            f"{row['task']} {decimal(row['measured'], sign=True)} % ({row['verdict']})"
            for row in own[own["reading"] == "relative"].to_dict("records")
        ]
        sentences.append(f"On {dataset}, read as relative gains over {found.titles[reference]}: {listing(words)}.")
    if absent := list(dict.fromkeys(claims.loc[claims["verdict"] == NOT_APPLICABLE, "reason"])):
        sentences.append(f"The paper's claim is {NOT_TESTABLE}: {'; '.join(absent)}.")
    for dataset, own in found.verdicts.groupby("dataset", sort=False):
        sentences.append(f"On {dataset}, {counted(own)}.")
    return sentences


def _data_sentence(name: str, found: Collected) -> str:
    data: Mapping[str, Any] = found.data.get(name, {})
    if not data:
        return f"{name}: no run has finished."
    kind = data["source"].get("kind", "")
    counts = ", ".join(f"{split} {decimal(data['splits'][split]['images'], 0)}" for split in SPLITS)
    folds, test = data["protocol"]["folds"], data["splits"]["test"]
    gallery = f"{folds} folds of {decimal(test['images'] // folds, 0)} images" if folds > 1 else "the whole test split"
    return (
        f"{name}: {found.experiment.sources.get(name, kind)}. Images: {counts}. Each of {decimal(test['images'], 0)} images "
        f"and {decimal(test['captions'], 0)} captions is a query against {gallery}. "
        f"Region features: {data['source'].get('features', UNKNOWN)}."
    )


def doubts(found: Collected) -> list[str]:
    """Why the numbers may mean less than they seem to."""
    seeds, summary = seeds_told(found.experiment), found.summary
    spread = summary[(summary["metric"] == "rsum") & (summary["kind"] != "control")]["sd"].dropna()
    sentences = [f"{seeds} per method."]
    if len(spread):
        bounds = dict.fromkeys((decimal(spread.min()), decimal(spread.max())))
        sentences[0] = f"{seeds} per method; their SD of rSum is {' to '.join(bounds)}."
    elif seeds == "1 seed":
        sentences.append("One seed shows no spread: a difference may be chance.")
    once = found.runs.drop_duplicates(["dataset", "method", "seed"])
    counts = once["status"].value_counts()
    absent = [f"{counts[status]} {status}" for status in ("failed", "missing") if status in counts]
    finished = f"{counts.get('finished', 0)} of {len(once)} runs finished"
    sentences.append(f"{finished}{'; ' + listing(absent) if absent else ''}.")
    if any(facts.get("source", {}).get("kind") == "scenes" for facts in found.data.values()):
        sentences.append("Scenes is a test bench for the parts of the model, never evidence for the claim.")
    for name, facts in found.data.items():
        if number := len(facts.get("warnings", [])):
            sentences.append(f"{name}: {number} {'thing looks' if number == 1 else 'things look'} wrong with the data.")
    return sentences
