"""Keys of recorded trials: a key that changes makes a result look as if it had not been run."""

import hashlib
import json

import pytest

from course_utils.studies import CATALOGUE, Trial
from course_utils.studies.follow import FOLLOW

# Up to lesson 07 the hosts built a mechanism in, with other initial weights: such a trial must not have its old key.
BUILT_IN = tuple(name for name, study in CATALOGUE.items() if name < "08" and study not in FOLLOW)
# How many keys of a study are those of the first results, and the SHA-256 of them, sorted, one a line: its first 16 digits.
KEPT = {
    "00_what": (5, "75d77b3c612e134a"), "01_ceilings": (20, "281133b662fe5d00"), "02_channel": (5, "75d77b3c612e134a"),
    "03_spatial": (5, "76e6f32d0770394d"), "04_combined": (10, "3e8c863f3b2b1098"), "05_mixing": (5, "055e9e7b0f6eebdc"),
    "06_kernel": (5, "75d77b3c612e134a"), "07_large": (25, "34e297a22c48e2df"), "07_confirmed": (10, "ffa4fc9fe13506af"),
    "07_two_places": (5, "9e78820e764a082d"), "07_pools": (10, "7d6b58bfb0292732"), "09_pre": (30, "b9115de3ba821b88"),
    "09_again": (20, "f65b106166821eb7"), "10_alike": (35, "b8660d1ac7e6ad50"), "10_alike_again": (35, "971596806d3791bf"),
    "10_fashion": (35, "09e369358a37b35b"), "10_fashion_again": (15, "ca028413366e549a"), "11_both": (60, "f786f101a23328c6"),
    "11_again": (30, "9707f915fd9198df"), "11_stages": (20, "3239c49b99171c45"), "13_swap": (80, "8649231a558e19c4"),
    "13_again": (80, "5f7d69239b5a4e9a"),
    "09_depth_what": (136, "4c2aa2edce8c7ff3"),
    "10_depth_nearest": (160, "ecdc87f48baf267a"),
    "10_depth_relate": (120, "2f1c9426c070af78"),
    "09_depth_apart": (80, "eb814dbc86bab9c2"),
    "09_depth_shuffled": (48, "5e8f246d322674eb"),
    "09_depth_longer": (40, "7808a23dd48496a5"),
    "11_both_long": (112, "99e09121471f2a5f"),
    "10_subtle": (144, "ff94c169ea9af47b"),
    "09_clutter": (160, "345b06b10465aaf0"),
    "13_norms": (150, "ec2dd3c8026da50f"),
    "09_depth_what_again": (56, "8814499a6a7f66df"),
    "10_depth_nearest_again": (72, "46fcee5b0c4ddf42"),
    "09_depth_shuffled_again": (32, "97ee7d5852010a01"),
    "10_depth_reach": (32, "93e97f460cbe8239"),
    "10_depth_gc": (40, "68661858f3b82c0f"),
    "09_depth_apart_again": (40, "4169453e996da55c"),
    "09_depth_residual": (48, "75f23f917e43dab5"),
    "10_clothes": (45, "81b455c889f58336"),
    "10_photographs": (60, "8423dcfea981187f"),
    "13_norms_again": (40, "075a991670b2c507"),
    "09_depth_relu_again": (16, "145dea8a4d2195c7"),
    "10_depth_reach_again": (32, "1e3683667fab7417"),
    "09_depth_longer_again": (40, "f1db173bc6ea2fdd"),
    "09_depth_residual_again": (40, "65ff399ca5750848"),
    "02_multiply": (24, "285e05ae61bad468"),
    "03_reach": (32, "aa7e429a86da2348"),
    "04_curves": (32, "4cc404d9eb2eac2a"), "05_curves": (48, "719639c7343a0e7d"),
    "05_bot": (24, "f045476b570d546a"),
    "06_cooled": (24, "6922128d3d7d17d4"),
    "01_votes": (20, "7cba7dd0c08430b6"),
    "07_by_hand": (16, "d6b236c88adbdf4f"),
    "07_limits": (15, "b08b3e4bc4d291bf"),
    "15_find": (128, "d6c30e752ab74d30"), "15_paint": (80, "9b058277e515c373"),
    "15_find_again": (64, "94433db1b5e5609d"),
}

LITERAL = {
    "plain": (
        Trial("what", seed=200),
        '{"batch_size": 32, "host": "small_host", "lr": 0.01, "mechanism": null, "options": [], "seed": 200, "socket": "none", '
        '"start": "paper", "steps": 800, "task": "what", "test_size": 2000}'),
    "plugged": (
        Trial("alike", "small_resnet", "se", "pre", options={"reduction": 4}, seed=200, steps=400),
        '{"batch_size": 32, "host": "small_resnet", "lr": 0.01, "mechanism": "se", "options": [["reduction", 4]], '
        '"plugged": true, "seed": 200, "socket": "pre", "start": "identity", "steps": 400, "task": "alike", "test_size": 2000}'),
    "twice": (
        Trial("what", mechanism="se", at="pre", options={"reduction": 4}, times=2, seed=200),
        '{"batch_size": 32, "host": "small_host", "lr": 0.01, "mechanism": "se", "options": [["reduction", 4]], "plugged": true, '
        '"seed": 200, "socket": "pre", "start": "identity", "steps": 800, "task": "what", "test_size": 2000, "times": 2}'),
    "stages": (
        Trial("alike", "small_resnet", "se", "both", options={"reduction": 4}, stages=1, seed=200, steps=400),
        '{"batch_size": 32, "host": "small_resnet", "layers": [1], "lr": 0.01, "mechanism": "se", "options": [["reduction", 4]], '
        '"plugged": true, "seed": 200, "socket": "both", "start": "identity", "steps": 400, "task": "alike", "test_size": 2000}'),
    "before and had": (
        Trial("twins", mechanism="eca", before=400, had="se", lr=2e-3, seed=200, steps=0),
        '{"batch_size": 32, "before": 400, "had": "se", "host": "small_host", "lr": 0.002, "mechanism": "eca", "options": [], '
        '"plugged": true, "seed": 200, "socket": "post", "start": "identity", "steps": 0, "task": "twins", "test_size": 2000}'),
}


def kept(name):
    """The keys of a study that its first results had too."""
    return sorted(t.key for t in CATALOGUE[name].trials() if name not in BUILT_IN or t.mechanism is None)


@pytest.mark.parametrize("kind", LITERAL)
def test_a_key_is_the_text_that_it_was(kind):
    trial, key = LITERAL[kind]
    assert trial.key == key


@pytest.mark.parametrize("kind", LITERAL)
def test_the_trial_of_each_literal_key_is_in_the_catalogue(kind):
    assert any(trial == LITERAL[kind][0] for study in CATALOGUE.values() for trial in study.trials())


@pytest.mark.parametrize("name", CATALOGUE)
def test_trials_that_are_what_they_were_keep_their_keys(name):
    keys = kept(name)
    found = (len(keys), hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16])
    wanted = KEPT.get(name, (0, hashlib.sha256(b"").hexdigest()[:16]))
    assert found == wanted, f'its line in KEPT, if the study is a new one: "{name}": ({found[0]}, "{found[1]}")'


@pytest.mark.parametrize("name", BUILT_IN)
def test_trials_whose_host_is_another_one_have_another_key(name):
    """The key of a plugged trial says so, and no key of a mechanism that was built in did."""
    for trial in CATALOGUE[name].trials():
        assert ("plugged" in json.loads(trial.key)) == (trial.mechanism is not None)


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_two_trials_of_a_study_share_a_key_and_all_arms_come_before_the_next_seed(name):
    study = CATALOGUE[name]
    trials = study.trials()
    assert len({trial.key for trial in trials}) == len(trials) == len(study.arms) * len(study.seeds)
    assert [trial.seed for trial in trials] == [seed for seed in study.seeds for _ in study.arms]
    assert [trial.arm for trial in trials] == [study.trial(arm, 0) for _ in study.seeds for arm in study.arms]
