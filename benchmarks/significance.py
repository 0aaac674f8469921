"""How fast the statistics are, how often they cry wolf, and what they find: prints Markdown tables.

    python benchmarks/significance.py            # some four minutes on one core
    python benchmarks/significance.py --repetitions 10000

Speed is measured at the size of COCO 5K against a loop that draws queries resample by resample, in the same
process; alarms and power on simulated runs whose captions depend on each other.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from lgsf.runs.provenance import peak_memory_mb
from lgsf.statistics import (
    VarianceTable,
    bootstrap_recalls,
    combinations,
    factorial_effects,
    mcnemar,
    method_tests,
    outcomes,
    percentile_interval,
    randomisation_p,
    signed_recalls,
)
from lgsf.statistics.simulation import Population, SimulatedRanks

RESAMPLES = 499
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated experiments per line")
    repetitions = parser.parse_args().repetitions
    # two runs with the same recall: nothing that the comparison column could lose precision of
    warnings.filterwarnings("ignore", message="Precision loss", category=RuntimeWarning)
    speed()
    false_alarms_checkpoints(repetitions)
    false_alarms_methods(repetitions)
    power(max(repetitions // 5, 1))
    factorial(max(repetitions // 3, 1))  # three main effects in each


def speed() -> None:
    """12 methods x 5 seeds, 5,000 images, 25,000 captions, 10,000 resamples."""
    generator = np.random.default_rng(0)
    population = Population(images=5000, captions=5, seed=0.05)
    runs = {f"m{k}": population.draw(generator, seeds=(5, 1))["a"] for k in range(12)}
    print("## Speed: 12 methods x 5 seeds, 5,000 images, 25,000 captions, 10,000 resamples\n")
    print("| what | pairs | seconds | peak MiB |\n|---|---:|---:|---:|")
    for title, compared in (
        ("methods, all seeds together", runs),
        ("every checkpoint with every other", {f"{m}/{s}": [r] for m, rs in runs.items() for s, r in enumerate(rs)}),
    ):
        start = time.perf_counter()
        table = method_tests(compared, next(iter(compared)), pairs="all", resamples=10_000)
        print(f"| {title} | {len(table) // 14} | {time.perf_counter() - start:.1f} | {peak_memory_mb():.0f} |")
    every = [run for group in runs.values() for run in group]
    data = outcomes({str(k): [run] for k, run in enumerate(every)})
    start = time.perf_counter()
    bootstrap_recalls(data, resamples=10_000, seed=0)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(10):
        resample_in_a_loop(every, generator)
    loop = (time.perf_counter() - start) * 1000
    print(f"| bootstrap of 60 checkpoints alone | - | {ours:.1f} | - |")
    print(f"| the same in a loop over resamples (10 measured) | - | {loop:.0f} | - |")
    print(f"\nRatio {loop / ours:.0f}.\n")


def resample_in_a_loop(runs: list[SimulatedRanks], generator: np.random.Generator) -> Floats:
    """One bootstrap resample the plain way: draw images, gather their captions, average hits."""
    image = generator.integers(0, len(runs[0].i2t), len(runs[0].i2t))
    caption = (image[:, None] * 5 + np.arange(5)).ravel()
    return np.array(
        [
            [100.0 * float((ranks[drawn] < k).mean()) for k in (1, 5, 10)]
            for run in runs
            for ranks, drawn in ((run.i2t, image), (run.t2i, caption))
        ]
    )


def false_alarms_checkpoints(repetitions: int) -> None:
    """Two equal checkpoints: how often each test at 5 % says that they differ."""
    print(f"## False alarms in percent, fixed checkpoints, nominal 5 % ({repetitions} experiments per line)\n")
    print("300 images, 5 captions each, swaps and resamples: 499. ICC is that of the paired t2i difference.\n")
    print("| scenario | ICC | randomisation: i2t R@1 | t2i R@1 | rSum | bootstrap: t2i R@1 | rSum | McNemar: i2t R@1 |"
          " per caption, not used: McNemar t2i R@1 |")  # fmt: skip
    print("|---|" + "---:|" * 8)
    for title, effect in (("independent", 0.0), ("weak", 0.3), ("middle", 0.6), ("strong", 1.2)):
        population = Population(images=300, method_image=effect, seed_image=0.0)

        def experiment(generator: np.random.Generator, population: Population = population) -> list[float]:
            runs = population.draw(generator, seeds=(1, 1))
            data = outcomes(runs)
            difference = data.recalls()[0] - data.recalls()[1]
            swaps = signed_recalls(data, resamples=RESAMPLES, seed=int(generator.integers(2**31)))
            p = randomisation_p(difference, swaps[:, 0] - swaps[:, 1])
            resampled = bootstrap_recalls(data, resamples=RESAMPLES, seed=int(generator.integers(2**31)))
            low, high = percentile_interval(resampled[:, 0] - resampled[:, 1])
            outside = (low > 0) | (high < 0)
            a, b = runs["a"][0], runs["b"][0]
            hit_a, hit_b = a.t2i < 1, b.t2i < 1
            caption = (hit_a.astype(float) - hit_b).reshape(-1, 5)
            between, within = 5 * caption.mean(axis=1).var(ddof=1), caption.var(axis=1, ddof=1).mean()
            icc = (between - within) / (between + 4 * within)
            exact = [mcnemar(a.i2t < 1, b.i2t < 1).p, mcnemar(hit_a, hit_b).p]
            alarms = [*(p[[0, 3, 6]] <= 0.05 + 1e-9), *outside[[3, 6]], *(q <= 0.05 for q in exact)]
            return [icc, *(100.0 * alarm for alarm in alarms)]

        icc, *rates = averages(experiment, repetitions)
        print(f"| {title} | {icc:.2f} | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |")
    print(f"\nMonte-Carlo standard error {100 * np.sqrt(0.05 * 0.95 / repetitions):.1f}.\n")


def false_alarms_methods(repetitions: int) -> None:
    """Two equal methods whose seeds vary: how often each test at 5 % says that the methods differ."""
    print(f"## False alarms in percent, methods, nominal 5 % ({repetitions} experiments per line)\n")
    print("300 images, 5 captions each. Seed SD: spread of t2i R@1 between runs of one method, points.\n")
    print("| seeds | seed SD | our test: i2t R@1 | t2i R@1 | rSum | not used: images alone, t2i R@1 |"
          " seeds alone (Welch), t2i R@1 |")  # fmt: skip
    print("|---|" + "---:|" * 6)
    for seeds in ((3, 3), (5, 5), (3, 10)):
        for effect in (0.0, 0.03, 0.06, 0.15):
            population = Population(images=300, seed=effect)

            def experiment(
                generator: np.random.Generator, population: Population = population, seeds: tuple[int, int] = seeds
            ) -> list[float]:
                data = outcomes(population.draw(generator, seeds=seeds))
                recalls = data.recalls()
                first, second = recalls[: seeds[0]], recalls[seeds[0] :]
                difference = first.mean(axis=0) - second.mean(axis=0)
                table = VarianceTable(data)
                ours = table.methods(0, 1).p(difference)[[0, 3, 6]] < 0.05
                images = table.checkpoints(0, 1).p(difference)[3] < 0.05
                welch = stats.ttest_ind(first[:, 3], second[:, 3], equal_var=False).pvalue < 0.05
                return [float(first[:, 3].var(ddof=1)), *(100.0 * alarm for alarm in (*ours, images, welch))]

            variance, *rates = averages(experiment, repetitions)
            cells = " | ".join(f"{rate:.1f}" for rate in rates)
            print(f"| {seeds[0]} and {seeds[1]} | {np.sqrt(variance):.2f} | {cells} |")
    print()


def power(repetitions: int) -> None:
    """How often a true difference is found, and whether that grows with it."""
    print(f"## Power in percent for t2i R@1 at 5 % ({repetitions} experiments per cell)\n")
    print("1,000 images, 5 captions each, seed SD about one point. The first test compares single checkpoints and")
    print("finds what their seeds did, too; the others are about methods.\n")
    print("| true difference, points | checkpoints | methods, 3 seeds | 5 seeds | 10 seeds |\n|---:|" + "---:|" * 4)
    population = Population(images=1000, seed=0.03)
    for ability in (0.0, 0.02, 0.04, 0.08, 0.16):

        def experiment(generator: np.random.Generator, ability: float = ability) -> list[float]:
            found: list[float] = []
            for count in (1, 3, 5, 10):
                data = outcomes(population.draw(generator, seeds=(count, count), ability=ability))
                difference = data.system_recalls()[0] - data.system_recalls()[1]
                if count == 1:
                    swaps = signed_recalls(data, resamples=RESAMPLES, seed=int(generator.integers(2**31)))
                    p = randomisation_p(difference, swaps[:, 0] - swaps[:, 1])[3]
                else:
                    p = VarianceTable(data).methods(0, 1).p(difference)[3]
                found.append(100.0 * float(p < 0.05 + 1e-9))
            return [float(difference[3]), *found]

        true, *rates = averages(experiment, repetitions)
        print(f"| {true:.1f} | " + " | ".join(f"{rate:.0f}" for rate in rates) + " |")


def factorial(repetitions: int) -> None:
    """A 2^3 factorial: alarms where no part does anything, and what is found of one part that does."""
    print(f"\n## Factorial of three parts, percent, nominal 5 % ({repetitions} experiments per line)\n")
    print(
        "300 images, 5 captions each, eight cells. Single tests are not corrected; any: Holm finds at least one of the"
    )
    print("six primary effects where there is none. Power is that of the single test of a part worth two points.\n")
    print("| seeds per cell | seed SD | main effect: i2t R@1 | t2i R@1 | rSum | interactions of two, t2i R@1 | any (Holm) |"
          " power, t2i R@1 |")  # fmt: skip
    print("|---:|---:|" + "---:|" * 6)
    factors = ("a", "b", "c")
    cells = {"".join(on) or "none": on for on in combinations(factors, least=0)}
    for seeds in (3, 5):
        for effect in (0.0, 0.03, 0.06, 0.15):
            population = Population(images=300, seed=effect)

            def experiment(
                generator: np.random.Generator, population: Population = population, seeds: int = seeds
            ) -> list[float]:
                runs = population.draw_methods(generator, dict.fromkeys(cells, (seeds, 0.0)))
                table = factorial_effects(runs, factors, cells)
                alarm = table.assign(alarm=100.0 * (table["p"] < 0.05)).groupby(["order", "metric"])["alarm"].mean()
                spread = np.var([100.0 * (run.t2i < 1).mean() for run in runs["none"]], ddof=1)
                holm = 100.0 * (table.loc[table["primary"], "p_corrected"] < 0.05).any()
                better = population.draw_methods(
                    generator, {name: (seeds, 0.05 * ("a" in on)) for name, on in cells.items()}
                )
                found = factorial_effects(better, factors, cells).set_index(["effect", "metric"])["p"]["a", "t2i_r1"]
                single = [alarm[1, metric] for metric in ("i2t_r1", "t2i_r1", "rsum")]
                return [float(spread), *single, alarm[2, "t2i_r1"], float(holm), 100.0 * float(found < 0.05)]

            variance, *rates = averages(experiment, repetitions)
            print(f"| {seeds} | {np.sqrt(variance):.2f} | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |")


def averages(experiment: Callable[[np.random.Generator], list[float]], repetitions: int) -> list[float]:
    """Means of what `experiment` returns, each repetition with its own seed."""
    return [float(x) for x in np.mean([experiment(np.random.default_rng([7, k])) for k in range(repetitions)], axis=0)]


if __name__ == "__main__":
    main()
