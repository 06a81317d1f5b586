"""One command gives the course a new version everywhere; what names one agrees, and can be read by others' tools."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import set_version
import yaml

ROOT = Path(__file__).resolve().parents[1]
FILES = ("pyproject.toml", "course_utils/__init__.py", "CITATION.cff", "CHANGELOG.md", "tools/set_version.py")
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", re.M)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.fixture
def copy(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(root, *arguments):
    return subprocess.run([sys.executable, str(root / "tools/set_version.py"), *arguments], capture_output=True, text=True)


def contents(root):
    return {name: (root / name).read_text("utf-8") for name in FILES}


def test_the_newest_release_of_the_changelog_is_the_version_and_its_date():
    version, date = RELEASE.search((ROOT / "CHANGELOG.md").read_text("utf-8")).groups()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert version == set_version.current() == citation["version"] and date == str(citation["date-released"])


def test_the_changelog_has_the_form_that_it_says():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heads = re.findall(r"^## (.+)$", text, re.M)
    assert heads[0] == "[Unreleased]" and [f"[{version}] - {date}" for version, date in RELEASE.findall(text)] == heads[1:]
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= KINDS
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.M)
        assert len(kinds) == len(set(kinds)), "a kind of change that comes twice in one version"


def test_the_citation_has_what_its_form_asks_for():
    """The required keys of Citation File Format 1.2.0, and types that its readers check."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation) and citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset") and citation["authors"] and citation["keywords"]
    assert all(set(author) & {"name", "family-names"} for author in citation["authors"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"]) and isinstance(citation["version"], str)


def test_a_new_version_is_everywhere_and_nothing_else_changes(copy):
    before = contents(copy)
    done = run(copy, "7.0.1", "--date", "2031-02-03")
    assert done.returncode == 0, done.stderr
    after = contents(copy)
    assert 'version = "7.0.1"' in after["pyproject.toml"] and '__version__ = "7.0.1"' in after["course_utils/__init__.py"]
    assert "\nversion: 7.0.1\n" in after["CITATION.cff"] and '\ndate-released: "2031-02-03"\n' in after["CITATION.cff"]
    assert "## [Unreleased]\n\n## [7.0.1] - 2031-02-03\n\n### " in after["CHANGELOG.md"]
    for name in FILES[:3]:
        old, new = before[name].splitlines(), after[name].splitlines()
        assert len(old) == len(new) and sum(a != b for a, b in zip(old, new, strict=True)) == (2 if "CITATION" in name else 1)
    assert after["CHANGELOG.md"].replace("## [7.0.1] - 2031-02-03\n\n", "") == before["CHANGELOG.md"]


@pytest.mark.parametrize("arguments, words", [
    (["1.0"], "three numbers"), (["v1.0.0"], "three numbers"), (["01.0.0"], "three numbers"), (["0.0.9"], "not above"),
    ([set_version.current()], "not above"), (["9.0.0", "--date", "tomorrow"], "not a date"),
])
def test_a_wrong_version_or_date_changes_nothing(copy, arguments, words):
    before = contents(copy)
    refused = run(copy, *arguments)
    assert refused.returncode == 2 and words in refused.stderr and "Traceback" not in refused.stderr
    assert contents(copy) == before


@pytest.mark.parametrize("name, change, words", [
    ("CHANGELOG.md", lambda text: text.replace("## [Unreleased]", "## Next"), "nothing under"),
    ("CITATION.cff", lambda text: text.replace("version: ", "release: "), "wanted one line"),
    ("pyproject.toml", lambda text: text.replace("version = ", "release = "), "no line"),
])
def test_a_broken_file_stops_it_before_anything_is_written(copy, name, change, words):
    (copy / name).write_text(change((copy / name).read_text("utf-8")), "utf-8")
    before = contents(copy)
    refused = run(copy, "9.0.0")
    assert refused.returncode == 2 and words in refused.stderr
    assert contents(copy) == before


def test_a_version_without_changes_is_refused(copy):
    assert run(copy, "8.0.0").returncode == 0
    refused = run(copy, "9.0.0")
    assert refused.returncode == 2 and "write there what has changed" in refused.stderr
