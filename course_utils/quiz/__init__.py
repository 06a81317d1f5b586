"""Questions on the lessons, as data: to fold into a page, to recall earlier lessons, to import into Moodle.

    quiz.read("02").questions[0]      a question, its options, and the error behind each wrong one
    quiz.folded("02")                 all of lesson 02 as Markdown, the answers folded
    quiz.recall("09")                 three questions of lessons before the ninth; quiz.ask("09") shows them below a cell
    quiz.moodle_xml(["02"])           for Moodle; quiz.gift(["02"]) for most others

`python -m course_utils.teach quiz` writes them to a file.
"""

from .bank import Lesson, Option, Question, lessons, parse, read
from .command import main
from .exchange import gift, moodle_xml
from .pages import ask, folded, markdown, recall, shown

__all__ = ["Lesson", "Option", "Question", "ask", "folded", "gift", "lessons", "main", "markdown", "moodle_xml", "parse", "read",
           "recall", "shown"]
