"""A plan: which lessons and parts fill so many minutes, in which order, with breaks, and what is left out.

Lessons are taken in the order of their importance, each first without what may be cut, then with its core exercises; what
time is left goes to what could have been cut, and then to exercises that are good to know. So a plan follows the lessons:
without one of them, or with a longer one, it is another plan.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import names, paths
from .lessons import Lesson, Part
from .timetable import Session, sessions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = ("good to know", "extra")      # of exercises, after the core


@dataclass(frozen=True)
class Entry:
    """A lesson that a plan wants, and why; with `parts` these and no others."""
    number: str
    why: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What a plan is made from: sessions in minutes, a break of `pause` after `work` at most, lessons by importance.

    `before` is read at home before the first session; exercises of the kinds in `home` are left for afterwards; with `whole`
    no lesson runs over the end of a session; with `all_of_them` exercises go home before a lesson is left out.
    """
    name: str
    about: str
    sessions: tuple[int, ...]
    entries: tuple[Entry, ...]
    work: int = 50
    pause: int = 10
    before: tuple[str, ...] = ()
    home: tuple[str, ...] = ("extra",)
    whole: bool = False
    all_of_them: bool = False


def data() -> dict[str, Any]:
    return tomllib.loads(paths.shipped(paths.DATA / "plans.toml").read_text("utf-8"))


def named() -> dict[str, Wanted]:
    """Name -> plan, as data/plans.toml has them."""
    found = {}
    for plan in data()["plan"]:
        entries = tuple(Entry(e["number"], e["why"], tuple(e.get("parts", ()))) for e in plan.pop("lesson"))
        found[plan["name"]] = Wanted(entries=entries, **{k: tuple(v) if isinstance(v, list) else v for k, v in plan.items()})
    return found


def find(name: str) -> Wanted:
    """A named plan; ValueError with the known names for another."""
    return names.find("plan", name, named())


def of_minutes(minutes: int, numbers: Iterable[str] | None = None) -> Wanted:
    """One session of so many minutes, of these lessons, or of the most important ones in the order of data/plans.toml."""
    wanted = tuple(Entry(number) for number in dict.fromkeys(numbers or data()["order"]))
    return Wanted(f"{minutes} minutes", "", (minutes,), wanted, all_of_them=numbers is not None)


@dataclass(frozen=True)
class Plan:
    """Sessions whose rows add up, the lessons in them, and what is not in them.

    `left` are parts of these lessons that are in no session, `no_room` lessons that did not fit, `missing` numbers of lessons
    that are not there, `before` what helps to have read.
    """
    wanted: Wanted
    sessions: tuple[Session, ...]
    lessons: tuple[Lesson, ...]
    left: tuple[tuple[Lesson, Part], ...]
    no_room: tuple[Lesson, ...]
    missing: tuple[str, ...]
    before: tuple[str, ...]

    def foot(self) -> list[tuple[str, list[str]]]:
        """What stands below the sessions: a heading, and its lines."""
        limited = [x.number for x in self.lessons if any(e.parts for e in self.wanted.entries if e.number == x.number)]
        cut, home = [f"{', '.join(limited)}: all but what stands above."] * bool(limited), []
        for lesson in self.lessons:
            if lesson.number in limited:
                continue
            mine = [part for other, part in self.left if other is lesson]
            cut += [f'{lesson.number}: "{part.name}" ({part.minutes} min): {part.cut}' for part in mine if part.kind == "section"]
            if exercises := [part for part in mine if part.kind != "section"]:
                home.append(f"{lesson.number}: " + ", ".join(
                    f"{part.name.lower()} ({part.kind}, {part.minutes} min)" for part in exercises))
        why = [f"{e.number}: {e.why}" for e in self.wanted.entries if e.why and e.number in [x.number for x in self.lessons]]
        blocks = [("Helps to have read before", list(self.before)), ("Why these", why), ("Cut", cut),
                  ("Exercises for home", home),
                  ("Did not fit", [f"{x.number} {x.title}, {x.minutes} minutes" for x in self.no_room]),
                  ("Not in this copy of the course", list(self.missing))]
        return [(title, lines) for title, lines in blocks if lines]

    def __str__(self) -> str:
        text = [f"{self.wanted.name}. {self.wanted.about}".strip(), ""]
        for k, session in enumerate(self.sessions, start=1):
            text += [f"Session {k}: {session.sum}", *session.lines(), ""]
        for title, lines in self.foot():
            text += [f"{title}:", *(f"  {line}" for line in lines), ""]
        return "\n".join(text).rstrip()

    def as_markdown(self, level: int = 2) -> str:
        """The same for a page, under headings of this level and below."""
        text = [f"{'#' * level} {self.wanted.name}", *[self.wanted.about] * bool(self.wanted.about)]
        for k, session in enumerate(self.sessions, start=1):
            text.append(f"**Session {k}:** {session.sum}\n\n{session.as_markdown()}")
        text += [f"**{title}:**\n\n" + "\n".join(f"- {line}" for line in lines) for title, lines in self.foot()]
        return "\n\n".join(text)


def before(chosen: list[Lesson], there: Mapping[str, Lesson], home: tuple[str, ...]) -> list[str]:
    """What is read at home first, and the lessons that help with those chosen and are not among them, each with whom it helps."""
    numbers = {lesson.number for lesson in chosen}
    found = [f"{n} {there[n].title}, {there[n].minutes} minutes at home" for n in home if n in there]
    helped: dict[str, list[str]] = {}
    for lesson in chosen:
        wanted = [n for n in lesson.helps if n in there and n not in home]
        if lesson.any_one and not numbers & set(wanted):
            helped.setdefault(" or ".join(wanted), []).append(lesson.number)
        elif not lesson.any_one:
            for n in set(wanted) - numbers:
                helped.setdefault(f"{n} {there[n].title}", []).append(lesson.number)
    return found + [f"{name} (for {', '.join(who)})" for name, who in sorted(helped.items()) if name]


def make_plan(wanted: Wanted, there: Mapping[str, Lesson]) -> Plan:
    """The plan, of the lessons that are there.

    Raises:
        ValueError: not one of its lessons is there, or none fits into the time.
    """
    chosen: dict[str, list[Part]] = {}

    def laid(more: Mapping[str, list[Part]]) -> tuple[Session, ...] | None:
        both = {n: [p for p in there[n].parts if p in chosen.get(n, []) or p in more.get(n, [])] for n in {**chosen, **more}}
        return sessions([(there[n], both[n]) for n in sorted(both)], wanted)

    def add(number: str, parts: list[Part]) -> bool:
        fits = laid({number: parts}) is not None
        if fits:
            chosen.setdefault(number, []).extend(parts)
        return fits

    entries = [e for e in wanted.entries if e.number in there and e.number not in wanted.before]
    for e in entries:
        lesson = there[e.number]
        if e.parts:
            add(e.number, [part for part in lesson.parts if part.name in e.parts])
        elif add(e.number, [part for part in lesson.of("section") if not part.cut]) and not wanted.all_of_them:
            for part in lesson.of("core"):
                add(e.number, [part])
    for e in entries if wanted.all_of_them else ():
        for part in there[e.number].of("core") if e.number in chosen else ():
            add(e.number, [part])
    for kinds in (("section",), *((kind,) for kind in KINDS if kind not in wanted.home)):
        for e in entries:
            more = there[e.number].of(*kinds) if e.number in chosen and not e.parts else []
            for part in sorted(more, key=lambda part: -part.rank):      # what is cut first comes back last
                if part not in chosen[e.number]:
                    add(e.number, [part])
    if not chosen:
        if not entries:
            raise ValueError(f"of the lessons of this plan ({', '.join(e.number for e in wanted.entries)}) none is there. "
                             f"There are: {', '.join(there)}")
        least = min((sum(p.minutes for p in there[e.number].of("section") if not p.cut), e.number) for e in entries)
        raise ValueError(f"no lesson fits into {max(wanted.sessions)} minutes: {least[1]} takes the least, {least[0]} minutes "
                         "without exercises and without what may be cut.")
    lessons = [there[n] for n in sorted(chosen)]
    whole = [x for x in lessons if not any(e.parts for e in entries if e.number == x.number)]
    return Plan(wanted, laid({}), tuple(lessons), tuple((x, p) for x in lessons for p in x.parts if p not in chosen[x.number]),
                tuple(there[e.number] for e in entries if e.number not in chosen),
                tuple(e.number for e in wanted.entries if e.number not in there), tuple(before(whole, there, wanted.before)))
