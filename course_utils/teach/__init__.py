"""For teachers: versions of a lesson to hand out and to grade, what there is, plans that fit the time, figures for slides.

    python -m course_utils.teach student notebooks/*.ipynb --out build/student      also: solution, grading
    python -m course_utils.teach list                                               lessons and exercises
    python -m course_utils.teach plan half-day                                      or --minutes 120 --lessons 02 03
    python -m course_utils.teach figures notebooks/05*.ipynb --out slides           PNG and alternative texts
    python -m course_utils.teach quiz --format moodle -o quiz.xml                   the questions: see course_utils.quiz

All is read from the lessons that are there: `versions.py` says what an exercise is made of, `lessons.py` what a lesson
says of itself, `plan.py` how minutes are filled.
"""

from .command import main
from .lessons import Lesson, Part, gather
from .plan import Plan, make_plan, named
from .versions import SOLUTION_FOLD, Exercise, exercises, grading_version, solution_version, split_folds, student_version

__all__ = ["SOLUTION_FOLD", "Exercise", "Lesson", "Part", "Plan", "exercises", "gather", "grading_version", "main", "make_plan",
           "named", "solution_version", "split_folds", "student_version"]
