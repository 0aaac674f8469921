"""The model card of a published run, made from its record and ranks alone: no number in it is typed."""

from __future__ import annotations

from typing import Any

import yaml

from lgsf.metrics.names import HEADLINE, metric_label
from lgsf.render.markdown import markdown_text
from lgsf.render.numbers import PROTOCOL_LABELS, decimal, duration
from lgsf.runs.facts import RunFacts
from lgsf.runs.ranks import Ranks

LIBRARY = "lgsf-benchmark"


def model_card(facts: RunFacts, ranks: Ranks | None, *, repo: str, licence: str | None) -> str:
    """README.md of a repository on the Hugging Face hub: front matter with the results, then words.

    ranks    of the test split; None where it was not evaluated, and then the card has no result
    licence  of the weights, in the hub's words; None says nothing, and the hub shows that it is unknown
    """
    title = facts.title or facts.method
    metrics = {} if ranks is None else ranks.metrics()
    front: dict[str, Any] = {"library_name": LIBRARY, "tags": ["image-text-retrieval", facts.method]}
    if licence:
        front["license"] = licence
    if metrics:
        front["model-index"] = [{"name": title, "results": [_result(facts, *entry) for entry in metrics.items()]}]
    lines = ["---", yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(), "---", ""]
    lines += [f"# {markdown_text(title)} on {facts.dataset}, seed {facts.seed}", "", *_origin(facts), ""]
    for protocol, values in metrics.items():
        labels = [metric_label(name) for name in HEADLINE]
        lines += [
            f"Test, {PROTOCOL_LABELS[protocol]}; percent, ties against the model; one training, so no spread:", "",
            "| " + " | ".join(labels) + " |", "|" + "---:|" * len(labels),
            "| " + " | ".join(decimal(values[name]) for name in HEADLINE) + " |", "",
        ]  # fmt: skip
    if not metrics:
        lines += ["Its test split was not evaluated.", ""]
    code = ["```python", "import lgsf", "", f'run = lgsf.load_run("hub:{repo}")']
    lines += [*code, 'texts = run.encode_texts(["a red circle left of a blue square"])', "```", ""]
    lines += [
        "Images are encoded from region features as those of its data, "
        f"{facts.data['splits']['train']['region_dim']} numbers per region. `run.json` holds settings, versions and "
        "checksums; files that are not the ones it names are refused.",
        "",
    ]
    return "\n".join(lines)


def _result(facts: RunFacts, protocol: str, values: dict[str, float]) -> dict[str, Any]:
    return {
        "task": {"type": "image-text-retrieval", "name": "Image-text retrieval"},
        "dataset": {
            "type": facts.dataset,
            "name": f"{facts.dataset} ({PROTOCOL_LABELS[protocol]})",
            "split": "test",
        },
        "metrics": [{"type": name, "name": metric_label(name), "value": round(values[name], 4)} for name in HEADLINE],
    }


def _origin(facts: RunFacts) -> list[str]:
    """What was trained, how, and by which code."""
    training = facts.config.get("training", {})
    parts = [
        f"`{facts.config['model']}` of the LGSF benchmark, {_count(facts.parameters)} weights",
        f"text: {facts.inputs['text']}; region features: {facts.inputs['visual']}",
    ]
    if facts.kind == "trained":
        parts.append(
            f"{training.get('epochs')} epochs of batches of {training.get('batch_size')}, {duration(facts.seconds)}; "
            f"epoch {facts.best_epoch} was chosen on dev"
            + ("" if not facts.dev else f" (rSum {decimal(facts.dev.get('rsum'))})")
        )
    elif facts.checkpoint is not None:
        parts.append(f"imported from the authors' {facts.checkpoint.file}, sha256 {facts.checkpoint.sha256}")
        parts.append(facts.checkpoint.note)
    if terms := facts.data.get("source", {}).get("licence"):
        parts.append(f"terms of its data: {terms}")
    if facts.git.commit:
        parts.append(f"code: commit {facts.git.commit}" + (", with changes" if facts.git.dirty else ""))
    return [f"* {markdown_text(part)}" for part in parts if part]


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"
