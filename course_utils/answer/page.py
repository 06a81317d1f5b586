"""The answer on one page: HTML that stands by itself, and the same as one picture."""

from __future__ import annotations

import base64
import html
import os
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

from ..plots import gains, to_png
from ..plots.look import css_width
from .arms import what_is_wider
from .picture import picture
from .running import RESULTS
from .say import Answer, joined

HTML, PNG = "index.html", "answer.png"
STYLE = """:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.4rem; line-height: 1.3; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.answer { font-size: 1.15rem; border-left: .3rem solid #e69f00; padding-left: .8rem; }
.warn { border-left: .3rem solid #d55e00; padding-left: .8rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #8886; }
td { white-space: nowrap; } td + td { font-variant-numeric: tabular-nums; }
img { max-width: max(100%, 36rem); height: auto; background: #fff; border-radius: .3rem; }
pre.command { white-space: pre-wrap; } pre { overflow-x: auto; font-size: .8rem; line-height: 1.35; } small { opacity: .8; }
summary { cursor: pointer; }"""


def costs(answer: Answer) -> dict[str, str]:
    """Arm -> its cost in a few words, for the figure."""
    plain = answer.plan.timings["plain"]
    return {arm: f"{(t.parameters - plain.parameters) / plain.parameters:+.1%} weights, x{answer.times[arm]:.2f} time"
            for arm in answer.verdicts if (t := answer.plan.timings[arm])}


def figure(answer: Answer, title: str | None = None):
    """The differences to the plain host, seed by seed, with the costs beside; None before there are two seeds.

    On the page the sentence stands above it; elsewhere it takes a title.
    """
    return gains(answer.differences, costs(answer), title) if answer.differences else None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row) + "</tr>"
    body = "".join(cells("td", row) for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead>{cells("th", head)}</thead><tbody>{body}</tbody></table></div>'


def paragraphs(lines: Sequence[str], kind: str = "") -> str:
    return "".join(f"<p{kind}>{html.escape(line)}</p>" for line in lines)


def again(answer: Answer) -> str:
    """The command that makes the same study."""
    a = answer.plan.asked
    options = [("--host", a["host"]), ("--minutes", f"{a['minutes']:g}"), ("--seed", a["seed"]), ("--size", a["size"]),
               ("--lr", a["lr"])]
    given = " ".join(f"{name} {shlex.quote(str(value))}" for name, value in options if value is not None)
    return f"python -m course_utils.answer {shlex.quote(a['source'])} {given}" + (" --pretrained" if a["pretrained"] else "")


def time_used(answer: Answer, used: float | None) -> str:
    if used is None:
        return "The study has not been finished: the same command goes on."
    promised, few = answer.plan.seconds, len(answer.seeds) < answer.plan.seeds
    return (f"Time: {used / 60:.1f} of the {answer.plan.asked['minutes']:g} minutes that were given ({used / promised:.0%}); "
            f"{len(answer.seeds)} seeds, {answer.plan.seeds} were planned"
            + (": the machine was slower than when it was measured." if few else "."))


def as_html(answer: Answer, used: float | None = None) -> str:
    """The whole page as one text: its picture is inside, it asks nobody for anything, and holds no script."""
    plan, fig = answer.plan, figure(answer)
    head = f"Where to plug in attention: {Path(plan.survey.source).name or plan.survey.source}, {plan.base['host']}"
    shown = ""
    if fig is not None:
        png = to_png(fig)
        shown = (f'<div class="wide" tabindex="0"><img alt="{html.escape(fig.alt)}" width="{css_width(png)}" '
                 f'src="data:image/png;base64,{base64.b64encode(png).decode()}"></div><p><small>{html.escape(fig.alt)}</small></p>')
    what = "balanced accuracy (the mean over classes)" if plan.outcome == "balanced" else "accuracy"
    how = [f"Compared is the {what} on pictures that were not trained on, after the last step of {plan.base['steps']}; the "
           "arms of a seed begin as the same network and see the same pictures, so that they are pairs.",
           what_is_wider(plan.base["host"]).capitalize() + "." if "wider" in plan.arms else "",
           *(f"Failed and not compared: {arm}, {why}." for arm, why in answer.failed.items()), answer.visible, plan.short]
    doctors = "".join(f"<details open><summary>{html.escape(arm)}</summary><pre>{html.escape(words)}</pre></details>"
                      for arm, words in answer.doctors.items())
    warned = paragraphs(plan.survey.warnings, ' class="warn"')
    others = [line for line in plan.survey.words if line not in plan.survey.warnings]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(head)}</title><style>{STYLE}</style></head><body>
<h1>{html.escape(head)}</h1>
<p class="answer">{html.escape(answer.sentence)}</p>
{warned}{shown}
<h2>The arms</h2>{table(*answer.rows)}{paragraphs([line for line in how if line])}
<h2>The pictures</h2>{table(*plan.survey.rows)}{paragraphs(others)}
<h2>What was planned</h2>{table(*plan.rows)}{paragraphs(plan.words)}
<p>{html.escape(time_used(answer, used))}</p>
<h2>The doctor</h2><p>What was plugged in, in the trained networks of the first seed.</p>{doctors or "<p>Nobody was asked.</p>"}
<h2>Once more</h2><pre class="command">{html.escape(again(answer))}</pre>
<p>With another --seed, which the plan has not seen, a finding can be confirmed. Every run is a line of {RESULTS}, the plan is in
plan.json, beside this page. Made {date.today().isoformat()} on {html.escape(plan.machine)}, torch {torch.__version__}.</p>
</body></html>
"""


def write_page(answer: Answer, out: str | Path, used: float | None = None) -> tuple[Path, Path]:
    """The page and the picture into the folder; a draft first, so that there is never half of one.

        page, png = write_page(Answer(plan, tuple(results)), "report")
    """
    out, written = Path(out), []
    out.mkdir(parents=True, exist_ok=True)
    fig = figure(answer)
    notes = [f"{joined(list(answer.plan.arms))}; {len(answer.seeds)} seeds, {answer.plan.base['steps']} steps each.",
             answer.visible, answer.plan.short, *answer.plan.survey.warnings, time_used(answer, used), again(answer)]
    head = f"{Path(answer.plan.survey.source).name or answer.plan.survey.source}, {answer.plan.base['host']}"
    for name, content in ((HTML, as_html(answer, used).encode("utf-8")),
                          (PNG, picture(head, answer.sentence, None if fig is None else to_png(fig), answer.rows, notes))):
        draft = out / f"{name}.draft"
        draft.write_bytes(content)
        os.replace(draft, out / name)
        written.append(out / name)
    return tuple(written)
