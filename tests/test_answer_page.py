"""What the page says: the sentence, the table, the costs; nothing on it is asked for from elsewhere."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from answer_folders import TIMING, plan, results, survey
from PIL import Image

from course_utils.answer import Answer, write_page
from course_utils.answer import page as module
from course_utils.answer.page import as_html
from course_utils.answer.survey import Twins

SAME = (0.001, -0.001, 0.002, -0.002, 0.0)
MORE = (0.030, 0.028, 0.031, 0.033, 0.029)


def answer(p=None, seeds=5, **gains):
    p = p or plan()
    return Answer(p, tuple(results(p, seeds, **gains)))


def test_no_clear_difference_is_an_answer_with_what_it_would_take():
    said = answer(SE_at_post=SAME, wider=SAME).sentence
    assert said.startswith("On these pictures nothing is clearly better than the plain host with 5 seeds; of attention the best "
                           "is SE at post: +0.0 points (interval -0.2 to +0.2). To see one point you would need about 7 seeds, ")


@pytest.mark.parametrize("sign, words", [
    (1, "On these pictures SE at post is clearly better than the plain host, after correction for 2 comparisons, with 5 .* +3.0"),
    (-1, "nothing is clearly better than the plain host with 5 seeds; .* Clearly worse: SE at post, -3.0 points")])
def test_a_gain_and_a_loss_are_told_apart(sign, words):
    said = answer(SE_at_post=tuple(sign * v for v in MORE), wider=SAME).sentence
    assert re.search(words.replace("+", "\\+"), said), said


def test_where_all_is_right_already_it_is_said():
    p = plan()
    full = Answer(p, tuple(replace(r, accuracy=1.0) for r in results(p)))
    assert "The plain host is right in 100.0 % already: little is left to gain." in full.sentence and as_html(full)


def test_pairs_that_happen_to_agree_do_not_make_the_spread_nothing():
    p = plan(spread=0.03)
    few, many = (Answer(p, tuple(results(p, seeds, SE_at_post=(0.0,) * seeds))).spread for seeds in (2, 20))
    assert few == pytest.approx(0.03 * (2 / 3) ** 0.5) and many == pytest.approx(0.03 * (2 / 21) ** 0.5)
    wide = Answer(p, tuple(results(p, 20, SE_at_post=(0.2, -0.2) * 10))).spread
    assert 0.18 < wide < 0.21


def test_a_wider_host_that_gains_too_is_told_and_is_no_attention():
    said = answer(SE_at_post=MORE, wider=MORE).sentence
    assert "A wider host without attention gains too, +3.0 points" in said
    assert answer(SE_at_post=SAME, wider=MORE).sentence.startswith("On these pictures nothing is clearly better")


def test_holm_counts_all_comparisons():
    """A p of 0.03 alone is below 0.05, and is not among two."""
    edge = (0.030, 0.002, 0.021, 0.006, 0.024)
    p = plan()
    two = answer(p, SE_at_post=edge, wider=SAME).verdicts["SE at post"]
    one = answer(replace(p, arms={k: v for k, v in p.arms.items() if k != "wider"}), SE_at_post=edge).verdicts["SE at post"]
    assert one.adjusted < 0.05 < two.adjusted and one.clear and not two.clear


def test_a_host_that_has_learnt_nothing_gives_no_answer():
    p = plan()
    low = tuple(replace(r, accuracy=r.accuracy - 0.2) for r in results(p, SE_at_post=MORE))
    assert "the plain host has hardly learnt, 52 % right against 50 % by a guess" in Answer(p, low).sentence


def test_an_arm_that_failed_is_named_and_not_compared_and_the_others_are():
    p = plan()
    broken = tuple(replace(r, accuracy=None, error="ValueError: the loss became nan")
                   if r.trial.host == "wide_resnet" and r.trial.seed > 2 else r for r in results(p, SE_at_post=MORE))
    found = Answer(p, broken)
    assert list(found.verdicts) == ["SE at post"] and found.failed == {"wider": "ValueError: the loss became nan"}
    assert "Failed and not compared: wider, ValueError: the loss became nan" in as_html(found)
    gone = tuple(replace(r, accuracy=None, error="E") if r.trial.mechanism is None and r.trial.host == "small_resnet" else r
                 for r in broken)
    assert "the plain host failed" in Answer(p, gone).sentence and as_html(Answer(p, gone))


@pytest.mark.parametrize("seeds", [0, 1])
def test_before_two_whole_seeds_there_is_no_answer(seeds, tmp_path):
    found = answer(seeds=seeds)
    assert f"no answer yet: {seeds} whole seeds" in found.sentence
    write_page(found, tmp_path)


def test_the_table_has_every_arm_with_its_interval_and_its_costs():
    p = plan(timings={**plan().timings, "SE at post": replace(TIMING, parameters=1200, forward=0.03)})
    busy = 3      # the seed that met a busy machine
    slower = tuple(replace(r, seconds=(60 if r.trial.seed == busy else 2) * r.seconds) if r.trial.mechanism else r
                   for r in results(p, SE_at_post=MORE))
    head, rows = Answer(p, slower).rows
    row = dict(zip(head, next(row for row in rows if row[0] == "SE at post"), strict=True))
    assert row["points more than plain"] == "+3.0" and row["95 % interval"] == "+2.8 to +3.3"
    assert row["parameters"] == "+200" and row["training time, ratio"] == "2.00" and row["time to answer, ratio"] == "3.00"
    assert [r[0] for r in rows] == list(p.arms)


def test_balanced_accuracy_is_what_is_compared_where_it_was_planned():
    p = plan(outcome="balanced")
    assert answer(p, SE_at_post=MORE).verdicts["SE at post"].difference.mean == 0
    assert "balanced accuracy, %" in answer(p).rows[0]


# ---- the page

class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_by_itself(tmp_path):
    page, png = write_page(answer(SE_at_post=MORE, wider=SAME), tmp_path, used=170.0)
    found = Page(page.read_text("utf-8"))
    assert not [tag for tag, _ in found.tags if tag in ("script", "link", "iframe", "object", "form")]
    for _, attributes in found.tags:
        assert not any(str(value).startswith(("http", "//", "javascript")) for value in attributes.values())
    assert "url(" not in page.read_text("utf-8") and "@import" not in page.read_text("utf-8")
    image = next(attributes for tag, attributes in found.tags if tag == "img")
    assert "SE at post: mean +3.0 points, 95 % interval +2.8 to +3.3, 5 seeds" in image["alt"]
    assert Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))).width > 800
    assert Image.open(png).width == 1680 and sorted(f.name for f in tmp_path.iterdir()) == ["answer.png", "index.html"]


def test_the_page_has_every_part(tmp_path):
    warned = survey(twins=Twins(1, 0, (), 2, ("a = b",)), source="my <pets>")
    p = plan(survey=warned, left_out={"GC at post": "for want of time"})
    p = replace(p, asked={**p.asked, "source": "my <pets>"})
    text = as_html(answer(p, SE_at_post=MORE, wider=SAME), used=170.0)
    command = "python -m course_utils.answer &#x27;my &lt;pets&gt;&#x27; --host small_resnet --minutes 3 --seed 0"
    for part in ("SE at post is clearly better", "2 pictures are there under two labels", "What this can show", "all is well",
                 "Left out: GC at post; for want of time", "of the 3 minutes that were given (94%); 5 seeds, 5 were planned",
                 command, "color-scheme: light dark", 'lang="en"', "width=device-width"):
        assert part in text, part
    assert "my <pets>" not in text, "what a folder is called must not become a tag"


def test_a_page_is_never_half_written(tmp_path, monkeypatch):
    write_page(answer(SE_at_post=SAME), tmp_path)
    before = (tmp_path / "index.html").read_bytes()
    monkeypatch.setattr(module.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
    with pytest.raises(OSError):
        write_page(answer(SE_at_post=MORE), tmp_path)
    assert (tmp_path / "index.html").read_bytes() == before


def test_the_command_on_the_page_says_all_that_was_asked():
    p = plan()
    p = replace(p, asked={**p.asked, "pretrained": True, "size": 96, "lr": 0.001})
    assert module.again(answer(p)).endswith("--minutes 3 --seed 0 --size 96 --lr 0.001 --pretrained")


def test_long_names_and_letters_of_other_scripts_fit_the_picture(tmp_path):
    p = plan(survey=survey(source="кошки 猫 " + "x" * 300, twins=Twins(0, 0, (), 3, ("ä" * 400,))))
    assert Image.open(write_page(answer(p, SE_at_post=SAME), tmp_path)[1]).width == 1680
