"""Closed-form errors by hand, against textbook tests, and calibrated by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lgsf.statistics import VarianceTable, outcomes, randomisation_p, signed_recalls
from lgsf.statistics.simulation import Population
from tests.support.examples import drawn, hand


def test_one_caption_per_image_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    a, b = (drawn(generator, np.ones(200, int)) for _ in range(2))
    data = outcomes({"a": [a], "b": [b]})
    error = VarianceTable(data).checkpoints(0, 1)
    difference = data.recalls()[0] - data.recalls()[1]
    for column, x, y in ((0, a.i2t < 1, b.i2t < 1), (5, a.t2i < 10, b.t2i < 10)):
        theirs = stats.ttest_rel(x.astype(float), y.astype(float))
        assert error.p(difference)[column] == pytest.approx(theirs.pvalue)
        low, high = theirs.confidence_interval()
        assert error.half_width()[column] == pytest.approx(100 * (high - low) / 2)


def test_without_image_effects_it_is_welchs_test_over_seeds() -> None:
    # the runs of "a" are 100, 50 and 0 % on every pair of images: all spread between runs is mixed with images,
    # so the seed part is checked where images agree: each run is right about all or about none of its captions
    right, wrong = hand([0] * 50, [[0]] * 50), hand([99] * 50, [[99]] * 50)
    data = outcomes({"a": [right, right, wrong], "b": [wrong, wrong, right, wrong]})
    error = VarianceTable(data).methods(0, 1)
    theirs = stats.ttest_ind([100.0, 100.0, 0.0], [0.0, 0.0, 100.0, 0.0], equal_var=False)
    difference = data.system_recalls()[0] - data.system_recalls()[1]
    assert error.images[0] == 0
    assert error.df[0] == np.floor(theirs.df)
    assert difference[0] / error.se[0] == pytest.approx(theirs.statistic)
    assert error.p(difference)[0] == pytest.approx(2 * stats.t.sf(theirs.statistic, np.floor(theirs.df)))


def test_seed_times_image_is_counted_once() -> None:
    # runs differ by independent noise per image only: the spread between runs is that noise and nothing more
    generator = np.random.default_rng(2)
    population = Population(images=4000, captions=1, seed=0.0, seed_image=1.0)
    data = outcomes(population.draw(generator, seeds=(8, 8)))
    table = VarianceTable(data)
    assert data.recalls()[:8].std(axis=0, ddof=1)[0] > 0.3
    fixed, free = table.checkpoints(0, 1).se[0], table.methods(0, 1).se[0]
    assert fixed <= free < 1.25 * fixed


def test_equal_systems_have_no_error_and_p_one() -> None:
    generator = np.random.default_rng(3)
    runs = [drawn(generator, np.full(30, 5)) for _ in range(3)]
    data = outcomes({"a": runs, "b": runs})
    error = VarianceTable(data).checkpoints(0, 1)
    assert (error.se == 0).all()
    assert (error.p(np.zeros(7)) == 1).all()


def test_false_alarms_of_the_checkpoint_test_are_five_percent() -> None:
    # captions of an image share its luck; counted singly they would alarm two to four times as often
    alarms, per_caption = _alarms(Population(images=120, method_image=0.6), seeds=(1, 1), reps=1500)
    assert 3.5 <= alarms <= 6.5
    assert per_caption > 8


def test_false_alarms_of_the_method_test_stay_below() -> None:
    generator = np.random.default_rng(11)
    for population, seeds in (
        (Population(images=120, seed=0.0), (3, 3)),
        (Population(images=120, seed=0.15), (3, 3)),
        (Population(images=120, seed=0.15), (3, 5)),
        (Population(images=120, seed=0.4), (3, 10)),
    ):
        reps, alarms, averaged = 300, np.zeros(7), np.zeros(7)
        for _ in range(reps):
            data = outcomes(population.draw(generator, seeds=seeds))
            difference = data.system_recalls()[0] - data.system_recalls()[1]
            table = VarianceTable(data)
            alarms += table.methods(0, 1).p(difference) < 0.05
            averaged += table.checkpoints(0, 1).p(difference) < 0.05
        assert (100 * alarms / reps)[[0, 3, 6]].mean() <= 6.5
        if population.seed > 0.3:  # what happens when the seeds of the two methods are taken for the methods
            assert (100 * averaged / reps)[3] > 20


def test_power_grows_with_the_effect() -> None:
    found = []
    for ability in (0.0, 0.15, 0.3):
        generator = np.random.default_rng(5)
        p = []
        for _ in range(150):
            data = outcomes(Population(images=200, seed=0.05).draw(generator, seeds=(3, 3), ability=ability))
            p.append(VarianceTable(data).methods(0, 1).p(data.system_recalls()[0] - data.system_recalls()[1])[3])
        found.append(float(np.mean(np.array(p) < 0.05)))
    assert found[0] < 0.08
    assert found[0] + 0.2 < found[1] < found[2] - 0.2


def _alarms(population: Population, *, seeds: tuple[int, int], reps: int) -> tuple[float, float]:
    """False alarms in percent at nominal 5 %: randomisation per image, and a z-test per caption."""
    generator = np.random.default_rng(10)
    alarms = per_caption = 0
    for rep in range(reps):
        runs = population.draw(generator, seeds=seeds)
        data = outcomes(runs)
        swaps = signed_recalls(data, resamples=199, seed=rep)
        difference = data.system_recalls()[0] - data.system_recalls()[1]
        alarms += bool(randomisation_p(difference, swaps[:, 0] - swaps[:, 1])[3] < 0.05 + 1e-9)
        d = (runs["a"][0].t2i < 1).astype(float) - (runs["b"][0].t2i < 1)
        per_caption += bool(abs(d.mean()) > 1.96 * d.std(ddof=1) / np.sqrt(len(d)))
    return 100 * alarms / reps, 100 * per_caption / reps
