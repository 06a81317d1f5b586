"""The mutation script: its mutants follow the code; one of them is planted and caught at every run, five more with --full.

The whole list takes a quarter of an hour or more: python tests/mutate.py
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import mutate  # noqa: E402  (a script beside this file, not a package)

ONE = ("nothing", mutate.BASE, 'return x * self.note("gate", self.gate(x))', 'return self.note("gate", self.gate(x)) * x')


@pytest.mark.parametrize("name, file, line, mistake", mutate.MUTANTS, ids=[m[0] for m in mutate.MUTANTS])
def test_the_line_of_a_mutant_stands_once_in_the_code(name, file, line, mistake):
    source = (mutate.ROOT / file).read_text(encoding="utf-8")
    assert source.count(line) == 1, f"{name}: the list in mutants.py has to follow the code"
    compile(source.replace(line, mistake), file, "exec")      # a mutant that is no Python would be caught by nothing


def test_every_attention_file_has_mutants_and_every_mutant_a_name():
    files = {f"course_utils/attention/{path.name}" for path in (mutate.ROOT / "course_utils/attention").glob("*.py")}
    sockets = {f"course_utils/sockets/{path.name}" for path in (mutate.ROOT / "course_utils/sockets").glob("[!_]*.py")}
    assert {m[1] for m in mutate.MUTANTS} == files | sockets and mutate.NOTICE.keys() == sockets
    names = [m[0] for m in mutate.MUTANTS]
    assert len(set(names)) == len(names) and set(names) >= mutate.EQUIVALENT.keys()


def test_every_mechanism_is_tried_through_some_file():
    from course_utils import attention
    files = {m[1] for m in mutate.MUTANTS} - {mutate.BASE, mutate.EXPORT, mutate.REGISTRY, mutate.INTERVENTIONS}
    assert {name for file in files for name in mutate.names_in(file)} == attention.REGISTRY.keys()
    assert mutate.names_in("course_utils/attention/kernel.py") == ["sk", "split", "condconv", "dynamic_conv", "deform_conv"]


def test_a_file_of_gates_is_tried_with_their_parity_first():
    chosen = mutate.choice("course_utils/attention/gather.py")
    assert chosen[0] == "tests/test_parity_gates.py" and "tests/test_parity_mixing.py" not in chosen
    words = chosen[-1].split(" or ")
    assert words == ["test_parity_gates", "test_reading", "[ge]", "[ge-", "[ge_learned]", "[ge_learned-"]
    assert mutate.choice(mutate.BASE) == [*mutate.PARITY, *mutate.PROPERTIES]
    assert all((mutate.ROOT / test).exists() for test in mutate.choice(mutate.BASE))


@pytest.mark.parametrize("name", [
    "ECA: convolves over the batch",
    *(pytest.param(name, marks=pytest.mark.full) for name in (
        "coordinate: forgotten transpose", "mask: skips from the wrong end", "BoT: relative position reversed",
        "dynamic: routing averaged over the batch", "patches: weights not normalised")),
])
def test_a_planted_mistake_is_caught(name, capsys):
    assert mutate.main([name, "--planted-only"]) == 0
    assert "1 of 1 mutants caught" in capsys.readouterr().out


def test_a_mistake_that_changes_nothing_is_reported(monkeypatch, capsys):
    """The script must be able to say no: its verdict comes from the tests and not from the planting."""
    monkeypatch.setattr(mutate, "MUTANTS", [ONE])
    monkeypatch.setattr(mutate, "first_failure", lambda folder, file: None)
    assert mutate.main([]) == 1
    assert "NOT CAUGHT" in capsys.readouterr().out


def test_tests_that_fail_without_a_mistake_stop_the_script(monkeypatch):
    """Otherwise every mutant would seem to be caught."""
    monkeypatch.setattr(mutate, "first_failure", lambda folder, file: "test_x")
    with pytest.raises(SystemExit, match="course_utils/attention/channel.py: test_x fails without any mistake"):
        mutate.main(["SE: max for mean"])


def test_the_mistake_is_planted_in_a_copy_and_taken_out_again(monkeypatch):
    seen = []
    monkeypatch.setattr(mutate, "MUTANTS", [ONE, ("other", mutate.BASE, "return 2 * gate if", "return gate if")])
    monkeypatch.setattr(mutate, "first_failure", lambda folder, file: seen.append((folder / file).read_text(encoding="utf-8")))
    mutate.main(["--planted-only"])
    assert ["self.gate(x)) * x" in text for text in seen] == [True, False]
    assert ["return 2 * gate if" in text for text in seen] == [True, False]
    assert 'return x * self.note("gate", self.gate(x))' in (mutate.ROOT / mutate.BASE).read_text(encoding="utf-8")


def test_an_equivalent_mutant_is_printed_and_not_counted(monkeypatch, capsys):
    monkeypatch.setattr(mutate, "MUTANTS", [ONE])
    monkeypatch.setattr(mutate, "EQUIVALENT", {"nothing": "a product has no order"})
    assert mutate.main([]) == 1      # nothing was tried
    out = capsys.readouterr().out
    assert "not counted: a product has no order" in out and "0 of 0 mutants caught" in out


def test_shards_have_every_mutant_once():
    parts = [mutate.part(mutate.MUTANTS, f"{i}/5") for i in range(1, 6)]
    assert [m for one in parts for m in one] == mutate.MUTANTS and all(parts)
    for wrong in ("0/3", "4/3", "2", "a/b"):
        with pytest.raises(SystemExit, match="--shard wants I/N"):
            mutate.part(mutate.MUTANTS, wrong)


def test_a_mutant_that_no_longer_fits_the_code_is_an_error(monkeypatch):
    monkeypatch.setattr(mutate, "MUTANTS", [("old", mutate.BASE, "no such line", "pass")])
    with pytest.raises(SystemExit, match="mutant 'old': its line stands 0 times"):
        mutate.main([])
