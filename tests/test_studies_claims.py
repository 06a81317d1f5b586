"""The register of published claims: complete, each number with its place, and nothing broken gets in."""

import re
import statistics

import pytest

from course_utils import paths
from course_utils.studies.claims import ASKS, ENTRIES, FILE, Arm, Claim, claim, claims, show, tomllib

REGISTER = claims()
ENTRY = {"name": "mine", "says": "Before is better.", "source": "Me 2030", "paper": "arXiv 2030.12345", "where": "table 1",
         "read": "paper, table 1", "compared": [{"arm": "pre", "value": 1.5, "metric": "error, %"},
                                                {"arm": "post", "value": 2, "metric": "error, %"}, {"arm": "none"}],
         "host": "ResNet", "data": "digits", "n": 1, "interval": "", "asks": "real", "caution": "One run."}


def test_there_are_enough_claims_and_no_name_is_there_twice():
    assert len(REGISTER) >= 18 and len({one.name for one in REGISTER}) == len(REGISTER)


@pytest.mark.parametrize("one", REGISTER, ids=lambda one: one.name)
def test_every_claim_is_complete(one):
    for entry in ("name", "says", "source", "paper", "where", "read", "host", "data", "caution"):
        assert getattr(one, entry).strip() == getattr(one, entry) != "", entry
    assert len(one.compared) >= 2 and len({(arm.arm, arm.metric) for arm in one.compared}) == len(one.compared)
    assert one.says.endswith(".") and one.caution.endswith("."), "a sentence each"


@pytest.mark.parametrize("one", REGISTER, ids=lambda one: one.name)
def test_no_number_without_the_place_where_it_was_read(one):
    """A paper as a whole is no place; and what was read of it is that place, or holds it."""
    if any(arm.value is not None for arm in one.compared):
        assert re.search(r"table|README|issue|results at|comparison|\.csv", one.where), one.where
        assert not re.search(r"abstract|memory|secondary|blog", one.read), one.read
    kind, what = one.read.split(", ", 1)
    assert kind in ("paper", "repository") and what.strip() and not what.startswith("not read")


def test_the_studies_that_are_asked_are_the_ones_of_the_answer():
    assert {one.asks for one in REGISTER} <= {*ASKS, ""}
    assert sum(bool(one.asks) for one in REGISTER) >= 15


def test_the_verdict_of_our_studies_is_not_written_by_hand():
    known = set(ENTRIES)
    assert known == ENTRY.keys()
    for entry in tomllib.loads(FILE.read_text("utf-8"))["claim"]:
        assert entry.keys() == known, entry["name"]


def test_what_is_said_of_the_twenty_five_cells_is_what_they_hold():
    one = next(c for c in REGISTER if c.paper == "doi 10.1038/s41598-025-95502-z")
    plain, *cells = [arm.value for arm in one.compared]
    assert one.compared[0].arm == "none" and len(cells) == 25
    best = [arm.arm[:2] for arm in one.compared if arm.value == max(cells)]
    assert round(max(cells) - plain, 1) == 0.3 and len(best) == 4 and set(best) == {"C2", "C3", "C4"}
    assert sum(value > plain for value in cells) == 9 and round(plain - statistics.fmean(cells), 1) == 0.4
    for said in ("25", "gains 0.3", "four cells", "9 of 25", "0.4 below"):
        assert said in one.caution


def test_what_is_said_of_the_price_is_what_the_speeds_give():
    one = next(c for c in REGISTER if c.name == "The place sets the price")
    wide, with_wide, narrow, with_narrow = [arm.value for arm in one.compared]
    assert round(100 * (1 - with_wide / wide)) == 13 and round(100 * (1 - with_narrow / narrow)) == 3
    assert "by 13 percent" in one.says and "by 3." in one.says


# ---- what is refused

def test_the_entry_that_the_others_are_broken_from_is_accepted():
    one = claim(ENTRY)
    assert one.compared[1] == Arm("post", 2, "error, %") and one.compared[2] == Arm("none") and one.range == "1.5 to 2.0 error, %"
    assert claim({**ENTRY, "paper": "arXiv 1406.6247"}).paper == "arXiv 1406.6247", "up to 2014 the numbers had four digits"


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_missing_entry_is_refused(entry):
    broken = {key: value for key, value in ENTRY.items() if key != entry}
    with pytest.raises(ValueError, match=f"claim '{'without a name' if entry == 'name' else 'mine'}': {entry} is missing"):
        claim(broken)


@pytest.mark.parametrize("entry, value", [
    (entry, value) for entry in ENTRIES if entry not in ("compared", "n") for value in ("", "  \n", 3, None, ["x"])
    if value != "" or entry not in ("interval", "asks")])
def test_an_empty_entry_or_one_that_is_no_text_is_refused(entry, value):
    with pytest.raises(ValueError, match=f"(?s)^claim .*: {entry} "):
        claim({**ENTRY, entry: value})


@pytest.mark.parametrize("entry, value, said", [
    ("asks", "dept", "one of depth, clutter"), ("asks", "Real", "one of depth, clutter"),
    ("n", 0, "number of runs"), ("n", -1, "number of runs"), ("n", True, "number of runs"), ("n", 1.0, "number of runs"),
    ("n", "", "number of runs"), ("n", "many", "number of runs"),
    ("read", "not read", "'paper, ...'"), ("read", "paper", "'paper, ...'"), ("read", "a blog, table 2", "'paper, ...'"),
    ("paper", "1709.01507", "arXiv NUMBER"), ("paper", "arXiv 1709", "arXiv NUMBER"), ("paper", "doi 11.2/3", "arXiv NUMBER"),
    ("paper", "arXiv 1709.015071", "arXiv NUMBER"), ("paper", "arXiv 1709.015", "arXiv NUMBER"),
    ("compared", [], "two arms"), ("compared", "pre", "is a list"), ("compared", ["pre", "post"], "is a list"),
    ("compared", ENTRY["compared"][:1], "two arms"),
])
def test_a_wrong_entry_is_refused_with_the_names_of_claim_and_entry(entry, value, said):
    with pytest.raises(ValueError) as caught:
        claim({**ENTRY, entry: value})
    assert str(caught.value).startswith(f"claim 'mine': {entry} ") and said in str(caught.value)


@pytest.mark.parametrize("arm", [
    {"value": 1.0, "metric": "error, %"}, {"arm": "", "value": 1.0, "metric": "error, %"}, {"arm": 3}, {"arm": "x", "value": 1.0},
    {"arm": "x", "value": 1.0, "metric": " "}, {"arm": "x", "metric": "error, %"}, {"arm": "x", "value": "", "metric": "%"},
    {"arm": "x", "value": True, "metric": "error, %"}, {"arm": "x", "value": float("nan"), "metric": "error, %"},
    {"arm": "x", "value": 1.0, "metric": 5}, {"arm": "x", "value": 1.0, "metric": "error, %", "seed": 3}, "x",
])
def test_an_arm_without_name_or_with_half_a_number_is_refused(arm):
    with pytest.raises(ValueError, match="claim 'mine': compared "):
        claim({**ENTRY, "compared": [*ENTRY["compared"], arm]})


def test_an_entry_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="claim 'mine': unknown entry 'verdict'.*Known: name, says"):
        claim({**ENTRY, "verdict": "it holds"})


def test_a_claim_made_by_hand_is_checked_too():
    with pytest.raises(ValueError, match="claim 'mine': source wants words"):
        Claim(**{**ENTRY, "compared": (Arm("pre"), Arm("post")), "source": ""})


def written(tmp_path, *entries):
    path = tmp_path / "claims.toml"
    text = "".join(f"[[claim]]\n{re.sub(r'(?m)^name = .*$', f'name = {name!r}', TEXT)}\n" for name in entries)
    path.write_text(text, "utf-8")
    return path


TEXT = """name = 'mine'\nsays = 'So.'\nsource = 'Me'\npaper = 'doi 10.1/2'\nwhere = 'table 1'\nread = 'paper, table 1'
compared = [{arm = 'pre'}, {arm = 'post'}]\nhost = 'ResNet'\ndata = 'größe'\nn = 'not said'\ninterval = ''\nasks = ''
caution = 'No.'
"""


def test_two_claims_of_one_name_are_refused(tmp_path):
    assert [one.name for one in claims(written(tmp_path, "a", "b"))] == ["a", "b"]
    with pytest.raises(ValueError, match="claim 'a': name is there twice"):
        claims(written(tmp_path, "a", "b", "a"))


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.toml is missing"):
        claims(tmp_path / "no.toml")
    (tmp_path / "claims.toml").write_text("claim = [", "utf-8")
    with pytest.raises(ValueError):
        claims(tmp_path / "claims.toml")


# ---- what is shown

def test_a_claim_shows_every_number_with_its_digits_its_place_and_its_caution():
    one = next(c for c in REGISTER if c.where == "table 14")
    text = str(one)
    assert "before the block (SE-PRE): 22.23 (top-1 error, %)" in text and "on the shortcut (SE-Identity): 22.20 (top" in text
    for part in (one.says, one.source, one.paper, "table 14", one.read, "runs per cell: not said", "no interval", one.caution):
        assert part in text
    assert "Our study: real" in text and "Our study" not in str(claim({**ENTRY, "asks": ""}))
    assert "95 % interval" in str(claim({**ENTRY, "interval": "95 % interval 1 to 2"}))


def test_the_table_has_a_line_for_every_claim_in_text_and_in_html():
    text, html = show(REGISTER), REGISTER._repr_html_()
    lines = text.splitlines()
    assert str(REGISTER) == repr(REGISTER) == text and len(lines) == len(REGISTER) + 3
    for one, line in zip(REGISTER, lines[2:], strict=False):
        assert line.startswith(one.name) and one.paper in line and one.range in line
        assert f">{one.paper}<" in html
    with_numbers = sum(any(arm.value is not None for arm in one.compared) for one in REGISTER)
    assert lines[-1].startswith(f"{len(REGISTER)} claims, {with_numbers} with numbers, 0 known to rest on more than one run ")
    assert lines[-1] in html and html.count("<tr>") == len(REGISTER) + 1


def test_the_foot_counts_what_it_says():
    repeated = claim({**ENTRY, "n": 5, "interval": "95 %: 1 to 2", "asks": ""})
    assert show([repeated, claim(ENTRY)]).endswith("\n2 claims, 2 with numbers, 1 known to rest on more than one run per cell, "
                                                   "1 with an interval. Our studies can speak to 1.")
    told = claim({**ENTRY, "compared": [{"arm": "a", "value": "0.1 lower", "metric": "points"}, {"arm": "b"}]})
    assert told.range == "in words" and claim({**ENTRY, "compared": [{"arm": "a"}, {"arm": "b"}]}).range == "none read"


def test_the_file_ships_with_the_course_and_its_readme_names_it():
    assert FILE == paths.DATA / "claims.toml" and FILE.is_file()
    assert "`claims.toml`" in (paths.DATA / "README.md").read_text("utf-8")
