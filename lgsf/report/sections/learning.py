"""How methods learned: dev rSum and every logged term over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lgsf.render.block import Block, Cell, finite, numbers, table_block
from lgsf.render.curves import Curve, colour, curve_plot, dash
from lgsf.render.flow import Details, Figures, Item, Paragraph
from lgsf.render.numbers import decimal
from lgsf.render.plots import Plot, Point, outside, padded
from lgsf.report.collected import Collected, Trained
from lgsf.report.section import Section

TERM_LABELS = {
    "hinge": "hinge loss",
    "angular": "angular term (triangular constraint)",
    "angular_active": "active share of the angular term",
    "fullhn": "sides of the quadrilateral (FullHN)",
    "fullhn_images": "share of image sides that are active",
    "fullhn_captions": "share of caption sides that are active",
    "fullhn_negatives": "share of sides between negatives that are active",
    "structure": "structure term (captions of one image)",
    "structure_active": "active share of the structure term",
    "structure_neighbours": "share of captions with a sibling in the batch",
    "intra_band": "intra-modal band (IMC)",
    "intra_band_active": "share of intra-modal pairs in the band",
    "interaction_active": "share of steps with interaction",
    "positive_score": "score of positives",
    "hardest_score": "score of hardest negatives",
}


CURVES = (
    "Recall on the development split after every epoch, mean over the seeds that got there. The plots of each method show "
    "its seeds one by one; rings are epochs on the collapse plateau."
)


def section(found: Collected, dataset: str) -> Section:
    trained = found.trained(dataset)
    items: list[Item] = [Paragraph("No training log was found.")]
    if plots := learning_plots(dataset, trained):
        means = mean_curves(trained)
        order = sorted(means, key=lambda method: method != found.subject)
        items = [
            Paragraph(CURVES),
            Figures((overview_plot(dataset, {method: means[method] for method in order}, found.titles),), listed=True),
            Details("Every method, seed by seed", (Figures(tuple(plots), listed=True),)),
            Details("Dev rSum after every epoch", (epochs_block(dataset, trained),)),
        ]
        terms = term_plots(dataset, trained).items()
        folded = tuple(Details(f"Loss terms of {title}", (Figures(tuple(own)),)) for title, own in terms)
        items.append(Details("Loss terms of every method", folded))
    title = found.titled("How they learned", dataset)
    return Section(f"{dataset}-learning", title, nav="Learning", items=tuple(items))


def mean_curves(runs: Sequence[Trained]) -> dict[str, list[Point]]:
    """Method -> (step, dev rSum) after every epoch, each a mean over the seeds that have it."""
    curves: dict[str, list[Point]] = {}
    for method in dict.fromkeys(run.method for run in runs if run.log):
        logs = [run.log for run in runs if run.method == method and run.log]
        epochs = [[log[k] for log in logs if len(log) > k] for k in range(max(map(len, logs)))]
        curves[method] = [(float(own[0].step), sum(epoch.dev["rsum"] for epoch in own) / len(own)) for own in epochs]
    return curves


def overview_plot(prefix: str, means: Mapping[str, Sequence[Point]], titles: Mapping[str, str]) -> Plot:
    """All methods on one scale, a line each."""
    curves = [Curve(titles[method], points, css=colour(k)) for k, (method, points) in enumerate(means.items())]
    far = outside({method: points[-1][1] for method, points in means.items()})
    values = [y for method, points in means.items() for _, y in points if method not in far]
    last = max(x for curve in curves for x, _ in curve.points)
    said = "; ".join(f"{c.label} from {decimal(c.points[0][1])} to {decimal(c.points[-1][1])}" for c in curves)
    return curve_plot(
        f"{prefix}-learning", "Dev rSum over training steps", curves, axes=("step", ""),
        domain=((0.0, last), padded(values)), description=f"Dev rSum, mean over seeds, first to last epoch: {said}.",
        height=260.0,
    )  # fmt: skip


def epochs_block(dataset: str, runs: Sequence[Trained]) -> Block:
    """Epoch x method: mean dev rSum over the seeds that got there."""
    methods = dict.fromkeys((run.method, run.title) for run in runs if run.log)
    curves = mean_curves(runs)
    rows = []
    for k in range(max(len(points) for points in curves.values())):
        values = [curves[method][k][1] if k < len(curves[method]) else float("nan") for method, _ in methods]
        rows.append([Cell(str(k + 1), sort=float(k + 1)), *(Cell(decimal(v), sort=finite(v)) for v in values)])
    columns = [*numbers("epoch"), *numbers(*(title for _, title in methods))]
    return table_block(f"{dataset}-epochs", f"Dev rSum on {dataset} after every epoch, mean over seeds", columns, rows)


def learning_plots(prefix: str, runs: Sequence[Trained]) -> list[Plot]:
    """Dev rSum over steps: one plot per method with all its seeds, every other run in grey behind them."""
    points = {(run.method, run.seed): [(float(e.step), e.dev["rsum"]) for e in run.log] for run in runs if run.log}
    if not points:
        return []
    everything = [p for line in points.values() for p in line]
    domain = ((0.0, max(x for x, _ in everything)), padded([y for _, y in everything]))
    plots = []
    for method in dict.fromkeys(run.method for run in runs if run.log):
        own = [run for run in runs if run.method == method and run.log]
        curves = [_curve(run, points[method, run.seed], number) for number, run in enumerate(own)]
        switch = own[0].facts.hardest_from_step
        plots.append(
            curve_plot(
                f"{prefix}-learning-{method}",
                own[0].title,
                curves,
                axes=("step", "dev rSum"),
                domain=domain,
                description=_learning_words(own),
                context=[line for (other, _), line in points.items() if other != method],
                switch=None if switch is None else float(switch),
            )
        )
    return plots


def _curve(run: Trained, points: Sequence[Point], number: int) -> Curve:
    marked = [point for point, epoch in zip(points, run.log, strict=True) if epoch.plateau]
    return Curve(f"seed {run.seed}", points, marked, dash(number))


def _learning_words(own: Sequence[Trained]) -> str:
    words = []
    for run in own:
        best = max(run.log, key=lambda e: e.dev["rsum"])
        stuck = [str(e.epoch) for e in run.log if e.plateau]
        words.append(
            f"seed {run.seed} is best at epoch {best.epoch} with {decimal(best.dev['rsum'])}"
            + (f" and sat on the collapse plateau in epoch {', '.join(stuck)}" if stuck else "")
        )
    switch = own[0].facts.hardest_from_step
    start = "" if switch is None else f" Hardest negatives start at step {switch}."
    return f"Dev rSum of {own[0].title} over training steps: {'; '.join(words)}.{start}"


def term_plots(prefix: str, runs: Sequence[Trained]) -> dict[str, list[Plot]]:
    """Per method, one plot for each logged loss term, and for the gradient norm before clipping."""
    out: dict[str, list[Plot]] = {}
    for method in dict.fromkeys(run.method for run in runs if run.log):
        own = [run for run in runs if run.method == method and run.log]
        plots = []
        for term in [*dict.fromkeys(name for run in own for e in run.log for name in e.terms), "grad_norm"]:
            curves = [
                Curve(f"seed {run.seed}", points, css=dash(number))
                for number, run in enumerate(own)
                if (points := _term(run, term))
            ]
            ys = [y for curve in curves for _, y in curve.points]
            high = padded([0.0, *ys], least=0.05)[1]
            domain = ((0.0, max(x for c in curves for x, _ in c.points)), (min(ys) if min(ys) < 0 else 0.0, high))
            label = "gradient norm before clipping" if term == "grad_norm" else TERM_LABELS.get(term, term)
            ends = "; ".join(f"{c.label} from {c.points[0][1]:.3g} to {c.points[-1][1]:.3g}" for c in curves)
            words = f"{label} of {own[0].title} over training steps, mean of each epoch: {ends}."
            plots.append(
                curve_plot(f"{prefix}-term-{method}-{term}", label, curves, axes=("step", ""), domain=domain,
                           description=words, switch=_switch(own[0]), height=170.0)
            )  # fmt: skip
        out[own[0].title] = plots
    return out


def _term(run: Trained, term: str) -> list[Point]:
    if term == "grad_norm":
        return [(float(e.step), e.grad_norm) for e in run.log]
    return [(float(e.step), e.terms[term]) for e in run.log if term in e.terms]


def _switch(run: Trained) -> float | None:
    return None if run.facts.hardest_from_step is None else float(run.facts.hardest_from_step)
