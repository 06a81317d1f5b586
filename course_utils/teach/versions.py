"""Solution, grading and student versions of a lesson, all made from the lesson itself.

solution: exercises answered, checks asserted; runs through. grading: the same without its Solution folds,
the source for nbgrader's own commands. student: what nbgrader makes of that; stops at its first exercise.

An exercise is four cells in a row: box (Markdown, a heading that says "Exercise"); answer (nbgrader "ex2",
its placeholder between ### BEGIN SOLUTION and ### END SOLUTION); check (nbgrader "ex2_check", with points,
calls check.…(…)); fold (Markdown: hints, then a <details> titled "Solution", whose first ```python block is
the whole answer cell with the answer in it, without marks).
"""
import ast
import copy
import dis
import re
from dataclasses import dataclass

try:
    import nbformat
except ImportError as error:
    raise ImportError('course_utils.teach needs nbformat. Do: pip install -e ".[teach]"') from error

BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "raise NotImplementedError()"
MARK = re.compile(r"(?m)^.*\b(BEGIN|END) SOLUTION.*\n?")
SOLUTION_FOLD = re.compile(r"(?i)<details\b[^>]*>\s*<summary\b[^>]*>(?:[^\w<]|<[^>]*>)*solution")
CODE_BLOCK = re.compile(r"(?ms)^(`{3,})python[^\n]*\n(.*?)^\1[ \t]*$")
ANSWER = dict(schema_version=3, grade=False, solution=True, locked=False, task=False)
CHECK = dict(schema_version=3, grade=True, solution=False, locked=True, task=False)
STEPS = ("CheckCellMetadata", "LockCells", "ClearSolutions", "ClearOutput", "ClearHiddenTests",
         "ClearMarkScheme", "ComputeChecksums")


@dataclass(frozen=True)
class Exercise:
    """One exercise; `cells` are the indexes of box, answer, check and fold in nb.cells."""
    grade_id: str
    cells: range
    points: float
    solution: str  # the answer cell as the fold has it
    marked: str    # the same, nbgrader's marks around what a student has to find
    asserted: str  # the check cell, failing on a wrong answer


def need(ok, message: str) -> None:
    if not ok:
        raise ValueError(message)


def split_folds(text: str, where: str = "cell") -> list[str]:
    """A Markdown text in pieces: each <details>…</details>, and what stands between them."""
    pieces = re.split(r"(?i)(?=<details\b)|(?<=</details>)", text)
    need(all(p.lower().startswith("<details") == p.lower().endswith("</details>") for p in pieces),
         f"{where}: <details> and </details> do not pair. Close each fold before the next one opens.")
    return pieces


def mark_answer(source: str, solution: str, where: str) -> str:
    """The solution, marked so that clearing it gives the learner's cell with a stub for the placeholder."""
    source, solution = (re.sub(r"(?m)[ \t]+$", "", text.strip("\n")) + "\n" for text in (source, solution))
    parts = MARK.split(source)  # outside, "BEGIN", placeholder, "END", outside, ...
    outside, placeholders, marks = parts[::4], parts[2::4], parts[1::2]
    need(marks and marks == ["BEGIN", "END"] * len(placeholders),
         f"{where}: marks {marks or 'missing'}. Put {BEGIN} and {END}, in pairs, around the placeholder.")
    need(not MARK.search(solution), f"{where}: marks in the Solution fold too. Leave them out there.")
    answers = re.fullmatch(r"((?:.*\n)*?)".join(map(re.escape, outside)), solution)
    lost = [line for line in "".join(outside).split("\n") if line not in solution.split("\n")]
    need(answers, f"{where}: outside the marks, the Solution fold must repeat the learner's cell. "
                  f"It {f'lacks {lost[0]!r}' if lost else 'adds a line there, or changes the order'}.")
    need(not set(answers.groups()) & set(placeholders), f"{where}: the Solution fold holds a placeholder.")
    for narrow in (True, False):  # a stub in the middle of an expression is no Python: then mark all
        marked = outside[0]
        for old, new, after in zip(placeholders, answers.groups(), outside[1:], strict=True):
            old, new = old.splitlines(True), new.splitlines(True)
            head, tail = "", after
            while narrow and old and new and old[0] == new[0]:
                head, old, new = head + new[0], old[1:], new[1:]
            while narrow and old and new and old[-1] == new[-1]:
                tail, old, new = new[-1] + tail, old[:-1], new[:-1]
            indent = re.match(r"\s*?([ \t]*)(?=\S|$)", "".join(new + old))[1]
            marked += f"{head}{indent}{BEGIN}\n{''.join(new)}{indent}{END}\n{tail}"
        try:
            ast.parse(solution)
            ast.parse(re.sub(rf"(?s){BEGIN}\n.*?{END}\n", STUB + "\n", marked))
            return marked.rstrip("\n")
        except SyntaxError as error:
            problem = f"{error.msg}, line {error.lineno}"
    raise ValueError(f"{where}: the solution, or the answer cell with {STUB} between its marks, is not plain "
                     f"Python ({problem}). Correct it, or put the marks around whole statements.")


def names_set(cell) -> set[str]:
    """The names that a code cell leaves in the notebook; none for a cell that is no plain Python."""
    try:
        code = compile(cell.source, "cell", "exec")
    except SyntaxError:
        return set()
    return {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}


def exercises(nb) -> list[Exercise]:
    """The exercises of a notebook, in order. ValueError, naming the cell, where one is not well formed."""
    found, ids, beyond = [], set(), nbformat.v4.new_raw_cell()
    for i, answer in enumerate(nb.cells):
        meta, where = answer.metadata.get("nbgrader", {}), f"cells[{i}]"
        name = meta.get("grade_id")
        if any(meta.get(kind) for kind in ("grade", "solution", "locked")):
            need(name and name not in ids, f"{where}: grade_id {name!r} is taken or empty. Choose a new one.")
            ids.add(name)
        if answer.cell_type == "markdown":
            split_folds(answer.source, where)
        elif not meta.get("solution"):
            need(not MARK.search(answer.source), f"{where}: marks, but no nbgrader metadata {ANSWER}.")
            need(not meta.get("grade") or found and found[-1].cells[2] == i,
                 f"{where}: the check {name!r} has no exercise. Wanted: its answer right before it.")
        if not meta.get("solution") or meta.get("grade"):  # nbgrader's other kinds are left to nbgrader
            continue
        where, cells = f"{where} (exercise {name!r})", range(i - 1, i + 3)
        box, _, check, fold = [beyond, *nb.cells, beyond, beyond][i:i + 4]
        need(box.cell_type == "markdown" and re.search(r"(?m)^#+ .*\bExercise\b", box.source),
             f"{where}: no box before it. Wanted: Markdown with a heading such as '### Exercise 2 · …'.")
        for cell, want in (answer, ANSWER), (check, dict(CHECK, grade_id=f"{name}_check")):
            got = dict(cell.metadata.get("nbgrader", {}))
            need(cell.cell_type == "code" and all(got.get(k, False) == v for k, v in want.items()),
                 f"{where}: its {'answer' if cell is answer else 'check'} must be a code cell with nbgrader "
                 f"metadata {want}. Got a {cell.cell_type} cell with {got}.")
        need(isinstance(got.get("points"), (int, float)), f"{where}: no points for its check. Give it some.")
        asserted, calls = re.subn(r"(?m)^(?=check\.\w+\()", "assert ", check.source)
        need(calls and calls == len(re.findall(r"\bcheck\.\w+\(", check.source)),
             f"{where}: its check is {check.source!r}. Wanted: check.…(…), each at the start of a line.")
        pieces = split_folds(fold.source, where) if fold.cell_type == "markdown" else []
        code = CODE_BLOCK.search(next(filter(SOLUTION_FOLD.match, pieces), ""))
        need(code, f"{where}: no Solution fold with a ```python block after its check. Wanted: Markdown with "
                   "<details><summary>Solution</summary>, the whole answer cell as code, </details>.")
        asked = set(re.findall(r"(?m)^check\.\w+\((\w+)\)", check.source))
        for j, cell in enumerate(nb.cells[:i]):
            taken = asked & names_set(cell) if cell.cell_type == "code" else ()
            need(not taken, f"{where}: its check is of {', '.join(map(repr, taken))}, which cells[{j}] sets too. Left empty, "
                            "the exercise would be judged by that. Choose another name in one of them.")
        found.append(Exercise(name, cells, got["points"], code[2].strip("\n"),
                              mark_answer(answer.source, code[2], where), asserted))
    return found


def solution_version(nb):
    """A copy with the answers in place, marked for nbgrader, the checks asserted, the outputs cleared."""
    nb, found = copy.deepcopy(nb), exercises(nb)
    for e in found:
        nb.cells[e.cells[1]].source, nb.cells[e.cells[2]].source = e.marked, e.asserted
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nb.metadata.pop("widgets", None)
    return nb


def grading_version(nb):
    """The solution version without its Solution folds: what nbgrader generates an assignment from."""
    nb = solution_version(nb)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = "".join(p for p in split_folds(cell.source) if not SOLUTION_FOLD.match(p)).strip()
    return nb


def student_version(nb):
    """The grading version after nbgrader's own preprocessors. ImportError without nbgrader."""
    try:
        from nbgrader import preprocessors
    except ImportError as error:
        raise ImportError('student versions need nbgrader. Do: pip install -e ".[teach]"') from error
    nb, resources = grading_version(nb), {}
    for step in STEPS:
        nb, resources = getattr(preprocessors, step)().preprocess(nb, resources)
    return nb
