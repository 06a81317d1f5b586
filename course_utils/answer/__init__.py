"""Which attention, where, and does it pay on your pictures? From a folder to one page, by a command or step by step.

    python -m course_utils.answer my_pictures --minutes 30

    survey = look("my_pictures")                             what is there, and what is wrong with it
    plan = make_plan(survey, "small_resnet", minutes=30)     what to run, how long it takes, what it can show
    results = carry_out(plan, "report")                      run it; stopped, call it again
    answer = Answer(plan, tuple(results))                    the table, and the verdict in a sentence
    write_page(answer, "report")                             report/index.html and report/answer.png

`looking` and `survey` are the pictures, `arms` what is compared, `measure` how long a step takes, `prepare` and `plan` make the
plan, `running` runs it, `say` puts it into words, `page` and `picture` on a page.
"""

from .looking import look
from .page import figure, write_page
from .plan import Plan
from .prepare import make_plan
from .running import carry_out
from .say import Answer
from .survey import Survey

__all__ = ["Answer", "Plan", "Survey", "carry_out", "figure", "look", "make_plan", "write_page"]
