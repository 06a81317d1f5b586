"""The mutation script: its mutants follow the code, and a fixed sample of them is planted and caught at every run.

The whole list takes minutes: python tests/mutate.py
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import mutate  # noqa: E402  (a script beside this file, not a package)


@pytest.mark.parametrize("name, file, line, mistake", mutate.MUTANTS, ids=[m[0] for m in mutate.MUTANTS])
def test_the_line_of_a_mutant_stands_once_in_the_code(name, file, line, mistake):
    source = (mutate.ROOT / file).read_text(encoding="utf-8")
    assert source.count(line) == 1, f"{name}: the list in mutate.py has to follow the code"
    compile(source.replace(line, mistake), file, "exec")      # a mutant that is no Python would be caught by nothing


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["gate: no sigmoid", "ECA: convolves over the batch", "GCT: second root missing"])
def test_a_planted_mistake_is_caught(pattern, capsys):
    assert mutate.main(pattern) == 0
    assert "1 of 1 mutants caught" in capsys.readouterr().out


def test_a_mistake_that_changes_nothing_is_reported(monkeypatch, capsys):
    """The script must be able to say no: its verdict comes from the tests and not from the planting."""
    monkeypatch.setattr(mutate, "MUTANTS", [("nothing", mutate.BASE, "return x * self.gate(x)", "return self.gate(x) * x")])
    monkeypatch.setattr(mutate, "first_failure", lambda folder: None)
    assert mutate.main() == 1
    assert "NOT CAUGHT" in capsys.readouterr().out
