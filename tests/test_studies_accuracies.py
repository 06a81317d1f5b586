"""What is read off results: one configuration by seed, and nothing that is not comparable."""

import pytest

from course_utils.stats import difference
from course_utils.studies import Result, Trial, accuracies

OURS, CONTROL = {0: 0.9, 1: 0.7, 2: 0.95, 3: 0.6}, {0: 0.3, 1: 0.5, 2: 0.4, 3: 0.45}


def results_of(**arms):
    """name=(mechanism, {seed: accuracy}) -> results."""
    return [Result(Trial("what", mechanism=m, seed=seed), accuracy=a, seconds=1.0)
            for m, values in arms.values() for seed, a in values.items()]


def test_accuracies_are_those_of_one_configuration_by_seed():
    results = results_of(plain=(None, CONTROL), se=("se", dict(reversed(OURS.items()))))
    results.append(Result(Trial("what", mechanism="se", seed=9), error="ValueError: no"))
    assert accuracies(results, mechanism="se") == OURS and list(accuracies(results, mechanism="se")) == [0, 1, 2, 3]
    assert accuracies(results, mechanism=None) == CONTROL
    assert accuracies(results, mechanism="se", seed=2) == {2: 0.95}


def test_options_are_asked_for_as_they_were_given():
    results = [Result(Trial("what", mechanism="se", options={"reduction": r, "bias": True}, seed=s), accuracy=s + r / 100)
               for r in (4, 16) for s in (0, 1)]
    for form in ({"bias": True, "reduction": 4}, (("bias", True), ("reduction", 4)), [("reduction", 4), ("bias", True)]):
        assert accuracies(results, options=form) == {0: 0.04, 1: 1.04}


def test_places_are_asked_for_as_they_were_given():
    results = [Result(Trial("what", mechanism="se", stages=k, layers=f"layer{k}.*"), accuracy=k / 10) for k in (3, 4)]
    for layers in ("layer3.*", ["layer3.*"], ("layer3.*",)):
        assert accuracies(results, layers=layers) == {0: 0.3}
    for stages in (4, [4], (4,)):
        assert accuracies(results, stages=stages) == {0: 0.4}


def test_accuracies_of_several_configurations_are_not_mixed():
    results = results_of(plain=(None, CONTROL), se=("se", OURS))
    with pytest.raises(ValueError, match="2 configurations"):
        accuracies(results)
    results.append(Result(Trial("what", mechanism="se", seed=7, steps=10), accuracy=0.2))
    with pytest.raises(ValueError, match="2 configurations"):
        accuracies(results, mechanism="se")
    assert accuracies(results, mechanism="se", steps=10) == {7: 0.2}


def test_what_cannot_be_compared_is_refused_with_the_reason():
    results = results_of(plain=(None, CONTROL))
    with pytest.raises(ValueError, match="unknown setting mechansim. Known: task, host, mechanism"):
        accuracies(results, mechansim="se")
    with pytest.raises(ValueError, match="no finished result with {'mechanism': 'gct'}"):
        accuracies(results, mechanism="gct")
    for control in ({}, {3: 0.1}, {7: 0.1, 8: 0.2}):
        with pytest.raises(ValueError, match="at least two seeds"):
            difference(OURS, control)
