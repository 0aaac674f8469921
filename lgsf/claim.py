"""The claim under test, and the four answers of the first screen: claimed, measured, on what data, how sure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lgsf.experiment import Experiment
from lgsf.formatting import decimal, listing, mean_sd
from lgsf.tables import differences

SUBJECT = "lgsf"
COCO_TEST_IMAGES, COCO_FOLDS = 5000, 5
CLAIM = {"t2i_r1": ("image retrieval", 6.4), "i2t_r1": ("text retrieval", 1.3)}
SOURCE_WORDS = {"scenes": "drawn scenes, made by this project", "precomp": "a feature pack in the field's SCAN layout"}
NOT_TESTABLE = "not testable on this data"


@dataclass(frozen=True)
class Paper:
    """Where the claim stands, or what stands near it."""

    title: str
    detail: str
    url: str


PAPERS = (
    Paper("局部语义与全局语义融合的图文检索方法", "the article with the claim (abstract in Chinese)",
          "http://www.stae.com.cn/jsygc/article/abstract/2503447"),
    Paper("Fine-Grained Local and Global Semantic Fusion for Multimodal Image–Text Retrieval",
          "a sister article of the same group: Big Data Cogn. Comput. 2025, 9(3), 53",
          "https://doi.org/10.3390/bdcc9030053"),
)  # fmt: skip


@dataclass(frozen=True)
class FirstScreen:
    """What a reader must know before the first table; every field is a list of sentences."""

    verdict: str
    claimed: list[str]
    measured: list[str]
    data: list[str]
    certainty: list[str]


def subject_of(experiment: Experiment) -> str:
    """The method that the first screen is about: LGSF, or else the first that is not the reference."""
    names = [method.name for method in experiment.methods]
    if SUBJECT in names:
        return SUBJECT
    return next((name for name in names if name != experiment.reference), names[0])


def untestable(dataset: str, data: Mapping[str, Any]) -> str | None:
    """Why the claim cannot be tested on a dataset, or None on COCO in its 1K protocol.

    data  the `data` of a run of this dataset; empty where no run finished
    """
    if not dataset.startswith("coco"):
        return f"the claim is about MS-COCO, and {dataset} is not"
    if not data:
        return f"no run on {dataset} has finished"
    images, folds = data["splits"]["test"]["images"], data["protocol"]["folds"]
    if (images, folds) != (COCO_TEST_IMAGES, COCO_FOLDS):
        return (
            f"the claim is about five folds of 1,000 test images (1K), and {dataset} has {images} test images in {folds} "
            f"{'fold' if folds == 1 else 'folds'}"
        )
    return None


def first_screen(
    experiment: Experiment, runs: pd.DataFrame, summary: pd.DataFrame, data: Mapping[str, Any]
) -> FirstScreen:
    """Answers for a whole experiment; `data` maps each dataset to the `data` of one of its finished runs."""
    reasons = [untestable(name, data.get(name, {})) for name in experiment.datasets]
    if all(reasons):
        verdict = f"The paper's claim is {NOT_TESTABLE}: {'; '.join(r for r in reasons if r)}."
    else:
        verdict = (
            "The paper's claim can be held against this data. Differences stand below beside the spread over seeds; "
            "without a test of significance they are no verdict."
        )
    if any(facts.get("source", {}).get("kind") == "scenes" for facts in data.values()):
        verdict += " Scenes is a test bench for the parts of the model, never evidence for the claim."
    return FirstScreen(
        verdict=verdict,
        claimed=_claimed(),
        measured=_measured(experiment, runs, summary),
        data=[_data_sentence(name, data.get(name, {})) for name in experiment.datasets],
        certainty=_certainty(experiment, runs, summary),
    )


def _claimed() -> list[str]:
    gains = listing([f"+{gain} % in {task}" for task, gain in CLAIM.values()])
    return [
        f"LGSF raises R@1 on MS-COCO 1K by {gains} over “the current method”.",
        "Most likely relative: the abstract does not say, a sister article does. It does not name that method.",
    ]


def _measured(experiment: Experiment, runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    subject, sentences = subject_of(experiment), []
    for dataset in experiment.datasets:
        protocol = runs.loc[runs["dataset"] == dataset, "protocol"].iloc[0]
        here = summary[(summary["dataset"] == dataset) & (summary["protocol"] == protocol)]
        own = here[(here["method"] == subject) & (here["metric"] == "rsum")].iloc[0]
        if own["n"] == 0:
            sentences.append(f"{own['title']} on {dataset}: no finished run.")
            continue
        sentences.append(f"{own['title']} on {dataset}: rSum {mean_sd(own['mean'], own['sd'])}.")
        for reference in experiment.references:
            changes = differences(here, reference)
            found = changes[changes["method"] == subject].set_index("metric").to_dict("index")
            if found and found["rsum"]["n_reference"]:
                sentences.append(_against(found, here[here["method"] == reference]["title"].iloc[0]))
    return sentences


def _against(found: Mapping[Hashable, Mapping[Hashable, Any]], title: str) -> str:
    """The two R@1 differences that the claim is about, and rSum, in one sentence."""
    parts = [
        f"{task} {decimal(found[metric]['difference'], sign=True)} "
        f"({decimal(found[metric]['relative_percent'], sign=True)} %)"
        for metric, (task, _) in CLAIM.items()
    ]
    rsum = found["rsum"]
    return (
        f"Against {title} (rSum {mean_sd(rsum['mean_reference'], rsum['sd_reference'])}), R@1 in points "
        f"and relative: {listing(parts)}."
    )


def _data_sentence(name: str, data: Mapping[str, Any]) -> str:
    if not data:
        return f"{name}: no run has finished."
    kind = data["source"].get("kind", "")
    counts = ", ".join(f"{split} {facts['images']:,}" for split, facts in data["splits"].items()).replace(",", ",")
    folds = data["protocol"]["folds"]
    test = data["splits"]["test"]
    gallery = f"{folds} folds of {test['images'] // folds:,} images" if folds > 1 else "the whole test split"
    return (
        f"{name}: {SOURCE_WORDS.get(kind, kind)}. Images: {counts}. "
        f"Every one of {test['images']:,} images and {test['captions']:,} captions is a query against {gallery}."
    )


def _certainty(experiment: Experiment, runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    seeds = len(experiment.seeds)
    spread = summary[(summary["metric"] == "rsum") & (summary["kind"] != "control")]["sd"].dropna()
    sentences = [f"{seeds} {'seed' if seeds == 1 else 'seeds'} per method."]
    if len(spread):
        sentences[0] = (
            f"{seeds} seeds per method; their SD of rSum is {decimal(spread.min())} to {decimal(spread.max())}."
        )
    elif seeds == 1:
        sentences.append("One seed shows no spread: a difference may be chance.")
    sentences += _overlaps(experiment, runs)
    sentences.append("No test of significance is part of this report yet: seed variance is shown, never tested.")
    once = runs.drop_duplicates(["dataset", "method", "seed"])
    counts = once["status"].value_counts()
    absent = [f"{counts[status]} {status}" for status in ("failed", "missing") if status in counts]
    finished = f"{counts.get('finished', 0)} of {len(once)} runs finished"
    sentences.append(f"{finished}{'; ' + listing(absent) if absent else ''}.")
    return sentences


def _overlaps(experiment: Experiment, runs: pd.DataFrame) -> list[str]:
    """Whether the seeds of the subject and of each reference can be told apart by eye, per dataset."""
    subject, sentences = subject_of(experiment), []
    for dataset in experiment.datasets:
        here = runs[(runs["dataset"] == dataset) & (runs["status"] == "finished")]
        here = here[here["protocol"] == here["protocol"].iloc[0]] if len(here) else here
        own = here[here["method"] == subject]
        for reference in experiment.references:
            other = here[here["method"] == reference]
            if reference == subject or own.empty or other.empty or len(experiment.seeds) == 1:
                continue
            one, two = own["title"].iloc[0], other["title"].iloc[0]
            if own["rsum"].min() > other["rsum"].max():
                sentences.append(f"Every seed of {one} has a higher rSum than every seed of {two} on {dataset}.")
            elif own["rsum"].max() < other["rsum"].min():
                sentences.append(f"Every seed of {one} has a lower rSum than every seed of {two} on {dataset}.")
            else:
                sentences.append(f"The seeds of {one} and {two} overlap in rSum on {dataset}.")
    return sentences
