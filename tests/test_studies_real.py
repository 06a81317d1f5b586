"""Trials on real data: any data set, any folder of pictures, and a record that says what was trained on."""

import json
import re
from pathlib import Path

import pytest
import torch
from folders import numbered
from trials import plain_surroundings, tiny  # noqa: F401  (plain_surroundings is a fixture)

from course_utils import tasks
from course_utils.studies import Trial, network, run_trial
from course_utils.studies import trial as module
from course_utils.studies.results import read, write
from course_utils.tasks import Images


@pytest.fixture(autouse=True)
def nothing_kept():
    module.real.cache_clear()
    yield
    module.real.cache_clear()


def made_up(name, split="train", root=None, download=False, device=None, size=None):
    """Stands in for the files: as many classes and as large as the set, few pictures."""
    classes, side = tasks.outline(name)
    n = 2 * classes if split == "train" else classes
    g = torch.Generator().manual_seed(len(split))
    x = torch.randint(0, 256, (n, 1 if side == 28 else 3, side, side), generator=g, dtype=torch.uint8)
    return Images(x, torch.arange(n) % classes, [str(i) for i in range(classes)])


@pytest.mark.parametrize("name", tasks.DATA_SETS)
def test_a_trial_on_a_data_set_says_what_it_was_trained_on(name, monkeypatch):
    monkeypatch.setattr(tasks, "load", made_up)
    classes, side = tasks.outline(name)
    result = run_trial(Trial(name, steps=2, batch_size=8, test_size=9))
    assert result.error is None
    assert result.data == (f"{name}: {2 * classes} pictures of {side}x{side} (2 a class), crop 2 px and flip; tested on 9")
    assert network(result.trial)(torch.rand(2, 3, side, side)).shape == (2, classes)


def test_a_trial_on_a_folder_trains_and_tests_on_its_splits(tmp_path, monkeypatch):
    numbered(tmp_path, cat=10, dog=40)
    seen = {}

    def fit(net, stream, **_):
        seen["train"] = torch.cat([batch.x for batch in stream])
        return module.History()
    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(module, "evaluate", lambda net, batch: seen.update(test=batch) or 0.5)
    result = run_trial(Trial(f"folder:{tmp_path}", mechanism="se", steps=5, batch_size=8))
    assert result.error is None and result.trial.task == f"folder:{tmp_path}"
    assert result.data == f"folder:{tmp_path}: 40 pictures of 64x64 (8 to 32 a class), crop 2 px and flip; tested on 10"
    inner = (slice(None), 0, 32, 32)      # of one colour each, so that crop and flip do not change it
    trained, tested = ({round(v * 255) for v in x[inner].tolist()} for x in (seen["train"], seen["test"].x))
    assert len(trained) == 40 and len(tested) == 10 and not trained & tested
    assert tested == set(tasks.folder(tmp_path, "test").x[inner].tolist())


def test_what_a_record_says_of_the_augmentation_is_what_was_done(monkeypatch):
    monkeypatch.setattr(tasks, "load", made_up)
    trial = Trial("cifar10", steps=2, batch_size=8)
    stream, _ = module.material(trial, torch.device("cpu"))
    assert "crop 2 px and flip" in stream.says
    before = tasks.load("cifar10").x.float()
    x = torch.cat([(batch.x * 255).round() for batch in stream])
    assert not all(any(torch.equal(picture, known) for known in before) for picture in x), "it says so and does not do it"
    assert tasks.Steps(tasks.load("cifar10"), 2, augment=False).says.endswith(", not augmented")


def test_the_record_keeps_it_and_older_records_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "load", made_up)
    result = run_trial(Trial("cifar10", steps=2, batch_size=8))
    write(result, tmp_path / "new.jsonl")
    assert read(tmp_path / "new.jsonl") == [result] and "crop 2 px" in result.data
    line = json.loads((tmp_path / "new.jsonl").read_text())
    del line["data"]
    (tmp_path / "old.jsonl").write_text(json.dumps(line) + "\n")
    assert read(tmp_path / "old.jsonl")[0].data == ""
    assert run_trial(tiny()).data == "", "of a diagnostic task there is nothing more to say"


def test_two_data_sets_in_one_process_are_not_taken_for_each_other(monkeypatch):
    monkeypatch.setattr(tasks, "load", made_up)
    sizes = [module.material(Trial(name, steps=2, batch_size=4), torch.device("cpu"))[1].x.shape
             for name in ("cifar10", "cifar100", "cifar10")]
    assert sizes == [(10, 3, 32, 32), (100, 3, 32, 32), (10, 3, 32, 32)]


@pytest.mark.parametrize("task, words", [
    ("cifar11", "unknown task or data set 'cifar11'. Did you mean 'cifar10'. Known: what, .*cifar100, .*folder:PATH"),
    ("wat", "unknown task or data set 'wat'. Did you mean 'what'"),
    (str(Path(__file__).parent), "It is a folder here: of pictures, write 'folder:.*tests'"),
    ("folder:/no/such/place", "FileNotFoundError: /no/such/place is not there"),
    ("cifar100", "FileNotFoundError: cifar100 is not in .*download=True"),
])
def test_data_that_is_not_there_becomes_an_error_of_the_trial(task, words, tmp_path, monkeypatch):
    monkeypatch.setenv(tasks.real.VARIABLE, str(tmp_path))
    error = run_trial(Trial(task, steps=2, batch_size=4)).error
    assert error and re.search(words, error), error
