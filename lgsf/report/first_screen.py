"""The first screen of the report answers four questions: what was claimed, what measured, on what data, how sure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lgsf.config.experiment import Experiment, subject_of
from lgsf.data.layout import SPLITS
from lgsf.render.numbers import decimal, interval, listing, mean_sd
from lgsf.runs.names import UNKNOWN
from lgsf.statistics import format_p
from lgsf.verdict.claim import CLAIM, NOT_TESTABLE
from lgsf.verdict.judge import NOT_APPLICABLE
from lgsf.verdict.section import counted

FINDINGS = {
    "beats": "better",
    "is beaten by": "worse",
    "no difference shown": "no difference shown",
}
HEADLINES = FINDINGS | {"n/a": "untested, too few seeds"}
Record = Mapping[Hashable, Any]


@dataclass(frozen=True)
class FirstScreen:
    """What a reader must know before the first table; every field but the verdict is a list of sentences."""

    verdict: str
    claimed: list[str]
    measured: list[str]
    data: list[str]
    certainty: list[str]

    @property
    def answers(self) -> tuple[tuple[str, list[str]], ...]:
        """The four questions with their answers; the second is the one that most readers come for."""
        return (
            ("What was claimed", self.claimed),
            ("What was measured", self.measured),
            ("On what data", self.data),
            ("How sure", self.certainty),
        )


def first_screen(
    experiment: Experiment,
    *,
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    tests: pd.DataFrame,
    verdicts: pd.DataFrame,
    claims: pd.DataFrame,
    data: Mapping[str, Mapping[str, Any]],
) -> FirstScreen:
    """Answers for a whole experiment, from its tables.

    tests  as lgsf.tables.tests.experiment_tests makes them
    verdicts, claims   as lgsf.verdict.judge makes them
    data         dataset -> the `data` of one of its finished runs
    """
    primary = {name: str(runs.loc[runs["dataset"] == name, "protocol"].iloc[0]) for name in experiment.datasets}
    return FirstScreen(
        verdict=_verdict(experiment, tests, verdicts, claims, data, primary),
        claimed=_claimed(),
        measured=_measured(experiment, summary, tests, primary),
        data=[_data_sentence(name, data.get(name, {}), experiment.sources) for name in experiment.datasets],
        certainty=_certainty(experiment, runs, summary, tests, primary),
    )


def _verdict(
    experiment: Experiment,
    tests: pd.DataFrame,
    verdicts: pd.DataFrame,
    claims: pd.DataFrame,
    data: Mapping[str, Mapping[str, Any]],
    primary: Mapping[str, str],
) -> str:
    titles = {method.name: method.title for method in experiment.methods}
    sentences = []
    absent = list(dict.fromkeys(claims.loc[claims["verdict"] == NOT_APPLICABLE, "reason"]))
    reference = experiment.reference
    for dataset, own in claims[claims["reference"] == reference].groupby("dataset", sort=False):
        words = [
            f"{row['task']} {decimal(row['measured'], sign=True)} % ({row['verdict']})"
            for row in own[own["reading"] == "relative"].to_dict("records")
        ]
        sentences.append(f"On {dataset}, read as relative gains over {titles[reference]}: {listing(words)}.")
    if absent:
        sentences.append(f"The paper's claim is {NOT_TESTABLE}: {'; '.join(absent)}.")
    sentences += _headlines(experiment, tests, primary)
    for dataset, own in verdicts.groupby("dataset", sort=False):
        sentences.append(f"On {dataset}, {counted(own)}.")
    if any(facts.get("source", {}).get("kind") == "scenes" for facts in data.values()):
        sentences.append("Scenes is a test bench for the parts of the model, never evidence for the claim.")
    return " ".join(sentences)


def _headlines(experiment: Experiment, tests: pd.DataFrame, primary: Mapping[str, str]) -> list[str]:
    """Per dataset what the tests of R@1 say of the subject against each reference, in a few words."""
    subject = subject_of(experiment)
    titles = {method.name: method.title for method in experiment.methods}
    sentences = []
    for dataset, protocol in primary.items():
        parts = []
        for reference in experiment.references:
            if found := _subject_rows(tests, dataset, protocol, subject, reference):
                words = {task: HEADLINES[found[metric]["finding"]] for metric, (task, _) in CLAIM.items()}
                same = set(words.values())
                said = same.pop() if len(same) == 1 else listing([f"{word} in {task}" for task, word in words.items()])
                parts.append(f"against {titles[reference]} {said}")
        if parts:
            sentences.append(f"R@1 of {titles[subject]} on {dataset}: {'; '.join(parts)}.")
    return sentences


def _claimed() -> list[str]:
    gains = listing([f"+{gain} % in {task}" for task, gain in CLAIM.values()])
    return [
        f"LGSF (graph attention over an image's regions, attention between samples, a triangular constraint in the "
        f"loss) raises R@1 on MS-COCO 1K by {gains} over “the current method”.",
        "Most likely relative: the abstract does not say, a sister article does. It does not name that method.",
    ]


def _measured(
    experiment: Experiment, summary: pd.DataFrame, tests: pd.DataFrame, primary: Mapping[str, str]
) -> list[str]:
    subject, sentences = subject_of(experiment), []
    for dataset, protocol in primary.items():
        here = summary[(summary["dataset"] == dataset) & (summary["protocol"] == protocol)]
        own = here[(here["method"] == subject) & (here["metric"] == "rsum")].iloc[0]
        if own["n"] == 0:
            sentences.append(f"{own['title']} on {dataset}: no finished run.")
            continue
        sentences.append(f"{own['title']} on {dataset}: rSum {mean_sd(own['mean'], own['sd'])}.")
        for reference in experiment.references:
            found = _subject_rows(tests, dataset, protocol, subject, reference)
            if found:
                base = here[(here["method"] == reference) & (here["metric"] == "rsum")].iloc[0]
                parts = [
                    f"{task} {decimal(found[metric]['difference'], sign=True)} "
                    f"({decimal(found[metric]['relative'], sign=True)} %)"
                    for metric, (task, _) in CLAIM.items()
                ]
                level = f"{base['title']} (rSum {mean_sd(base['mean'], base['sd'])})"
                sentences.append(f"Against {level}, R@1 in points and relative: {listing(parts)}.")
    return sentences


def _subject_rows(
    tests: pd.DataFrame, dataset: str, protocol: str, subject: str, reference: str
) -> dict[Hashable, dict[Hashable, Any]]:
    """Metric -> the row about the method itself (seeds and images vary); {} where nothing was compared."""
    chosen = tests[
        (tests["dataset"] == dataset)
        & (tests["protocol"] == protocol)
        & (tests["method"] == subject)
        & (tests["reference"] == reference)
        & (tests["scope"] == "methods")
    ]
    return chosen.set_index("metric").to_dict("index")


def _data_sentence(name: str, data: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    if not data:
        return f"{name}: no run has finished."
    kind = data["source"].get("kind", "")
    counts = ", ".join(f"{split} {decimal(data['splits'][split]['images'], 0)}" for split in SPLITS)
    folds, test = data["protocol"]["folds"], data["splits"]["test"]
    gallery = f"{folds} folds of {decimal(test['images'] // folds, 0)} images" if folds > 1 else "the whole test split"
    return (
        f"{name}: {sources.get(name, kind)}. Images: {counts}. Every one of {decimal(test['images'], 0)} images "
        f"and {decimal(test['captions'], 0)} captions is a query against {gallery}. "
        f"Region features: {data['source'].get('features', UNKNOWN)}."
    )


def _certainty(
    experiment: Experiment,
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    tests: pd.DataFrame,
    primary: Mapping[str, str],
) -> list[str]:
    sizes = {len(m.seeds or experiment.seeds) for m in experiment.methods if not m.zero_shot}
    seeds = max(sizes)
    told = str(seeds) if len(sizes) == 1 else f"{min(sizes)} to {seeds}"  # imports have seeds of their own
    spread = summary[(summary["metric"] == "rsum") & (summary["kind"] != "control")]["sd"].dropna()
    sentences = [f"{told} {'seed' if seeds == 1 else 'seeds'} per method."]
    if len(spread):
        bounds = dict.fromkeys((decimal(spread.min()), decimal(spread.max())))
        sentences[0] = f"{told} seeds per method; their SD of rSum is {' to '.join(bounds)}."
    elif seeds == 1:
        sentences.append("One seed shows no spread: a difference may be chance.")
    subject = subject_of(experiment)
    titles = {method.name: method.title for method in experiment.methods}
    for dataset, protocol in primary.items():
        for reference in experiment.references:
            found = _subject_rows(tests, dataset, protocol, subject, reference)
            if found:
                against = f"{titles[subject]} against {titles[reference]} on {dataset}"
                sentences.append(f"{against}: {_tested(found)}.")
    once = runs.drop_duplicates(["dataset", "method", "seed"])
    counts = once["status"].value_counts()
    absent = [f"{counts[status]} {status}" for status in ("failed", "missing") if status in counts]
    finished = f"{counts.get('finished', 0)} of {len(once)} runs finished"
    sentences.append(f"{finished}{'; ' + listing(absent) if absent else ''}.")
    return sentences


def _tested(found: Mapping[Hashable, Record]) -> str:
    """What the tests say of both R@1, or why there is none."""
    words = []
    for metric, (task, _) in CLAIM.items():
        row = found[metric]
        if row["finding"] == "n/a":
            return f"no test, {row['note']}"
        p = format_p(row["p_corrected"])
        words.append(
            f"{task} {FINDINGS[row['finding']]} (95 % interval {interval(row['low'], row['high'])} points, "
            f"corrected p {p if p.startswith('<') else '= ' + p})"
        )
    return listing(words)
