"""Write the repository's name and branch, from pyproject.toml, into every badge and every first cell.

    python tools/set_repo.py                          after a change of [project.urls] Repository
    python tools/set_repo.py OWNER/NAME               changes that line first
    python tools/set_repo.py OWNER/NAME --branch DEV
    python tools/set_repo.py --check                  changes nothing; exit code 1 if something would change

Also writes the lessons' first cell, which is the same everywhere: its text is FIRST_CELL below.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]

FIRST_CELL = """\
# The same in every lesson. It finds the course's folder, or fetches it. It installs nothing.
import os, pathlib, subprocess, sys
REPO, BRANCH = "@REPO@", "@BRANCH@"
here, name = pathlib.Path.cwd(), REPO.split("/")[1]
root = next((p for p in (here, *here.parents) if (p / "course_utils").is_dir()), here / name)
if not root.is_dir():
    url = os.environ.get("COURSE_REPO_URL", f"https://github.com/{REPO}.git")
    subprocess.run(["git", "clone", "-q", "--depth=1", "-b", BRANCH, url, str(root)], check=True)
sys.path.insert(0, str(root))
from course_utils import setup; course = setup()"""

BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/@REPO@/blob/@BRANCH@/notebooks/@NOTEBOOK@)"
)

# In pyproject.toml: with a regular expression, since Python 3.10 cannot read TOML.
SETTING = re.compile(r'^(Repository\s*=\s*"https://github\.com/)([^/"\s]+/[^/"\s]+)/tree/([^"\s]+)"', re.M)
COLAB_LINK = re.compile(
    r"(https://colab\.research\.google\.com/github/)"
    r"[^/\s)\"]+/[^/\s)\"]+/blob/[^\s)\"]+?/notebooks/([^/\s)\"]+\.ipynb)"
)
# The README's clone command, with the `cd` into the folder that follows it.
GIT_CLONE = re.compile(
    r"(git clone (?:-\S+ )*https://github\.com/)[\w.-]+/[\w.-]+?(\.git)?(?![\w.-])"
    r"(\s+(?:&& )?cd )?(?(3)[\w.-]+)"
)
CITED = re.compile(r'^(repository-code: "https://github\.com/)[^"]+', re.M)


class Mistake(Exception):
    """Something in the input or in the files that the user can put right."""


def checked_repo(text):
    # GitHub's own rules: 39 letters, digits and single hyphens; 100 letters, digits, ., _ and -.
    form = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}"
    name = text.rpartition("/")[2]
    if not re.fullmatch(form, text) or name in (".", "..") or name.endswith(".git"):
        raise Mistake(f"{text!r} is not of the form OWNER/NAME, for example ada/attention-in-cnns")
    return text


def checked_branch(text):
    parts = text.split("/")
    plain = all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", p) for p in parts)
    if not plain or ".." in text or any(p.endswith((".", ".lock")) for p in parts):
        raise Mistake(f"{text!r} is not a branch name of letters, digits and . _ - /, for example main")
    return text


def read_setting(text):
    """Owner/name and branch from the text of pyproject.toml."""
    found = SETTING.search(text)
    if not found:
        raise Mistake('pyproject.toml has no line: Repository = "https://github.com/OWNER/NAME/tree/BRANCH"')
    return checked_repo(found[2]), checked_branch(found[3])


def current(root=ROOT):
    return read_setting(read(root / "pyproject.toml"))


def first_cell(repo, branch):
    return FIRST_CELL.replace("@REPO@", repo).replace("@BRANCH@", branch)


def badge(repo, branch, notebook):
    return BADGE.replace("@REPO@", repo).replace("@BRANCH@", branch).replace("@NOTEBOOK@", notebook)


def set_links(text, repo, branch, notebook=None):
    def link(found):
        return f"{found[1]}{repo}/blob/{branch}/notebooks/{notebook or found[2]}"

    return COLAB_LINK.sub(link, text)


def set_clone_commands(text, repo):
    def command(found):
        start, git, cd = found.groups(default="")
        return start + repo + git + (cd and cd + repo.split("/")[1])

    return GIT_CLONE.sub(command, text)


def is_first_cell(source):
    """Only a cell that is ours in an older version is rewritten, never a teacher's own."""
    return "\nREPO, BRANCH = " in source and "course_utils" in source


def new_notebook_text(text, name, repo, branch):
    nb = json.loads(text)
    changed = False
    for kind in ("markdown", "code"):
        cell = next((c for c in nb["cells"] if c["cell_type"] == kind), {"source": ""})
        old = new = "".join(cell["source"])
        if kind == "markdown":
            new = set_links(old, repo, branch, quote(name))
        elif is_first_cell(old):
            new = first_cell(repo, branch)
        if new != old:
            cell["source"] = new.splitlines(keepends=True)
            changed = True
    # As Jupyter writes it; a notebook without a change keeps its bytes.
    return json.dumps(nb, indent=1, ensure_ascii=False) + "\n" if changed else text


def new_texts(root, repo=None, branch=None):
    """{path: (old text, new text)} for every file that names the repository; writes nothing."""
    pyproject = root / "pyproject.toml"
    settings = read(pyproject)
    old_repo, old_branch = read_setting(settings)
    repo = old_repo if repo is None else checked_repo(repo)
    branch = old_branch if branch is None else checked_branch(branch)
    texts = {pyproject: (settings, SETTING.sub(rf'\g<1>{repo}/tree/{branch}"', settings))}

    if (root / "README.md").exists():
        old = read(root / "README.md")
        texts[root / "README.md"] = old, set_clone_commands(set_links(old, repo, branch), repo)
    if (root / "CITATION.cff").exists():
        old = read(root / "CITATION.cff")
        texts[root / "CITATION.cff"] = old, CITED.sub(rf"\g<1>{repo}", old)
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        try:
            old = read(path)
            texts[path] = old, new_notebook_text(old, path.name, repo, branch)
        except (ValueError, KeyError, TypeError) as error:
            raise Mistake(f"{path.relative_to(root)} is not a notebook: {error!r}") from error
    return texts


def read(path):
    return path.read_bytes().decode("utf-8")  # bytes: line ends stay as they are


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("repo", nargs="?", metavar="OWNER/NAME", help="write this into pyproject.toml first")
    parser.add_argument("--branch", help="and this branch")
    parser.add_argument("--check", action="store_true", help="change nothing, list what would change")
    args = parser.parse_args(argv)
    try:
        # Everything is worked out before the first file is written.
        texts = new_texts(ROOT, args.repo, args.branch)
    except (Mistake, OSError) as error:
        print(f"set_repo: {error}", file=sys.stderr)
        return 2
    changed = {path: new for path, (old, new) in texts.items() if new != old}
    for path, new in changed.items():
        print("would change" if args.check else "changed", path.relative_to(ROOT).as_posix())
        if not args.check:
            path.write_bytes(new.encode("utf-8"))
    return 1 if args.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
