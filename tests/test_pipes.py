"""`... | head`: a command whose reader has gone ends, prints no error, and says so in its code."""

import contextlib
import os
import subprocess
import sys

import pytest

from course_utils import progress, teach
from course_utils.pipes import READER_GONE, ends_with_its_reader
from course_utils.studies import __main__ as studies


@contextlib.contextmanager
def nobody_reads():
    """Standard output is a pipe whose other end is closed. In the test, not a fixture: pytest puts its own in place between."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output, contextlib.redirect_stdout(output):
        yield


@pytest.mark.parametrize("command", [
    lambda: teach.main(["list"]), lambda: teach.main(["plan", "half-day"]),
    lambda: progress.main([]), lambda: progress.main(["--json"]),
    lambda: studies.main(["list"]), lambda: studies.main(["answer"]), lambda: studies.main(["claims"]),
    lambda: studies.main(["status", "09_pre"]), lambda: studies.main(["table", "09_pre"]),
    lambda: studies.main(["--help"]), lambda: teach.main(["plan", "--help"]),
], ids=["teach list", "teach plan", "progress", "progress --json", "list", "answer", "claims", "status", "table", "--help",
        "teach plan --help"])
def test_a_command_ends_with_its_reader(command, capfd):
    with nobody_reads(), pytest.raises(SystemExit) as end:
        command()
    assert (end.value.code, capfd.readouterr()) == (READER_GONE, ("", ""))


def test_another_broken_pipe_is_an_error(capfd):
    """Between processes, for example: what a run loses must not end in silence."""
    @ends_with_its_reader
    def main():
        raise BrokenPipeError(32, "a worker is gone")
    with pytest.raises(BrokenPipeError, match="a worker is gone"):
        main()


def test_what_went_wrong_is_said_though_nobody_reads_the_rest():
    code = ("import sys, time\nfrom course_utils.pipes import ends_with_its_reader\n"
            "ends_with_its_reader(lambda: [print('half of it'), time.sleep(0.5), sys.exit('the disk is full')])()")
    done = subprocess.run(["bash", "-c", '"$0" -c "$1" | true', sys.executable, code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONUNBUFFERED": ""})      # else it is the first line that ends it
    assert "the disk is full" in done.stderr


def test_a_command_that_is_read_to_the_end_gives_what_it_gave(capsys):
    @ends_with_its_reader
    def main(code):
        print("said")
        return code
    assert (main(3), capsys.readouterr().out) == (3, "said\n")


def test_in_a_shell():
    """The whole process: nothing of the error at the end of the interpreter either."""
    code = ("from course_utils.pipes import ends_with_its_reader\n"
            "ends_with_its_reader(lambda: [print('line', n) for n in range(100_000)])()")
    done = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -n 1', sys.executable, code],
                          capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("line 0\n", "", READER_GONE)
