"""The summary table as LaTeX (booktabs), ready for a paper: best values bold, daggers where a test allows them."""

from __future__ import annotations

import pandas as pd

from lgsf.config.experiment import Experiment
from lgsf.metrics.names import HEADLINE
from lgsf.render.numbers import PROTOCOL_LABELS, kind_mark
from lgsf.tables.inputs import INPUTS, best_means, printed_inputs, single_models

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}
MARKS = {"beats": r"\textsuperscript{\dag}", "is beaten by": r"\textsuperscript{\ddag}"}


def latex_text(text: object) -> str:
    """Free text that LaTeX prints literally, on one line."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(str(text).split()))


def latex(experiment: Experiment, summary: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """`summary.tex`: one table environment per dataset and protocol; needs the package booktabs.

    comparisons  as lgsf.tables.comparisons.compare_runs makes them; only the claim about methods earns a dagger
    """
    parts = ["% needs \\usepackage{booktabs}"]
    titles = {method.name: method.title for method in experiment.methods}
    for (dataset, protocol), group in summary.groupby(["dataset", "protocol"], sort=False):
        tests = comparisons[
            (comparisons["dataset"] == dataset)
            & (comparisons["gallery"] == protocol)
            & (comparisons["reference"] == experiment.reference)
            & (comparisons["claim"] == "methods")
        ]
        findings = dict(zip(zip(tests["method"], tests["metric"], strict=True), tests["finding"], strict=True))
        reference = latex_text(titles.get(experiment.reference, experiment.reference))
        caption = (
            f"Retrieval on {latex_text(dataset)}, {PROTOCOL_LABELS[str(protocol)]}: mean and standard deviation over "
            f"seeds. Bold: highest mean of a single model. $\\dag$ ($\\ddag$): better (worse) than {reference}, corrected "
            "$p < 0.05$ over seeds and images. Dev looks: training and tuning, per run."
        )
        if note := printed_inputs(group).note:
            caption += f" {latex_text(note)}"
        label = f"tab:{dataset}-{protocol}"
        parts += ["", *_table(group, findings, caption, label)]
    return "\n".join(parts) + "\n"


def _table(group: pd.DataFrame, findings: dict[tuple[str, str], str], caption: str, label: str) -> list[str]:
    """The lines of one table; a row that lacks seeds says how many it has."""
    scores = single_models(group)
    best = best_means(scores)
    inputs = printed_inputs(group).columns
    first_metric = 2 + len(inputs)  # LaTeX counts columns from one
    rules = [f"\\cmidrule(lr){{{start}-{start + 2}}}" for start in (first_metric, first_metric + 3)]
    heads = [latex_text(INPUTS[name].capitalize()) for name in inputs]
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{caption}}}",
        f"\\label{{{label}}}",
        r"\begin{tabular}{l" + "l" * len(inputs) + "r" * (len(HEADLINE) + 1) + "}",
        r"\toprule",
        " &" * len(inputs) + r" & \multicolumn{3}{c}{image to text} & \multicolumn{3}{c}{text to image} & & \\",
        "".join(rules),
        " & ".join(["Method", *heads, *["R@1", "R@5", "R@10"] * 2, "rSum", r"Dev looks \\"]),
        r"\midrule",
    ]
    for method in dict.fromkeys(group["method"]):
        own = group[group["method"] == method].set_index("metric").to_dict("index")
        first = own["rsum"]
        name = latex_text(first["title"]) + (f" \\emph{{({mark})}}" if (mark := kind_mark(first["kind"])) else "")
        if not first["complete"]:
            name += f" ({first['n']} of {first['expected']} seeds)"
        cells = [latex_text(first[column]) or "--" for column in inputs]
        for metric in HEADLINE:
            mean, sd = own[metric]["mean"], own[metric]["sd"]
            if pd.isna(mean):
                cells.append("--")
                continue
            value = f"{mean:.1f}"
            if method in set(scores["method"]) and mean == best[metric]:
                value = f"\\textbf{{{value}}}"
            spread = "" if pd.isna(sd) else f" {{\\scriptsize$\\pm$\\,{sd:.1f}}}"
            cells.append(value + MARKS.get(findings.get((method, metric), ""), "") + spread)
        looks = first["dev_looks"]
        cells.append("--" if pd.isna(looks) else f"{looks:.{0 if looks == round(looks) else 1}f}")
        lines.append(f"{name} & {' & '.join(cells)} \\\\")
    return [*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
