"""A built site, looked at by code: does every link lead somewhere, has every picture words, is nothing loaded from elsewhere?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

NESTED = {"article", "details", "div", "main", "nav", "ol", "pre", "section", "table", "ul"}      # closed, and in order
LOADED = {"src", "srcset", "poster", "data"}      # attributes whose target a browser fetches by itself
CSS_ADDRESS = re.compile(r"""url\(\s*["']?([^"')\s]+)|@import\s+["']([^"']+)""")


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, its anchors, and its pictures as (address, alternative text or None)."""

    text: str
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    pictures: list[tuple[str, str | None]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_endtag(self, tag: str) -> None:
        if tag in NESTED and self.open[-1:] == [tag]:
            self.open.pop()
        elif tag in NESTED:
            where = f"inside of <{self.open[-1]}>" if self.open else "and nothing is open"
            self.crossed.append(f"</{tag}> in line {self.getpos()[0]} {where}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in NESTED:
            self.open.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if "href" in given:
            (self.links if tag in ("a", "area") else self.loads).append(given["href"])
        self.loads += [given[name] for name in LOADED & given.keys() if tag != "object" or name == "data"]
        self.loads += addresses(given.get("style", ""))
        if tag == "img":
            self.pictures.append((given.get("src", ""), given.get("alt")))


@dataclass(frozen=True)
class Site:
    """The pages of a folder by their place in it, and its other files."""

    folder: Path
    pages: dict[str, Page]
    files: frozenset[str]

    def told(self) -> str:
        links = [link for page in self.pages.values() for link in page.links if not urlsplit(link).scheme]
        pictures = sum(len(page.pictures) for page in self.pages.values())
        return f"{len(self.pages)} pages, {len(links)} links inside and {pictures} pictures checked"


def read(folder: Path) -> Site:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    pages = {names[path]: Page(path.read_text("utf-8")) for path in paths
             if path.suffix == ".html" and names[path].split("/")[0] != "_static"}      # templates of the theme lie there
    return Site(folder, pages, frozenset(names.values()))


def addresses(css: str) -> list[str]:
    return [one or other for one, other in CSS_ADDRESS.findall(css)]


def elsewhere(address: str) -> bool:
    return bool(re.match(r"(https?:)?//", address))


def faults(site: Site) -> list[str]:
    """What is wrong, a line each; nothing for a site that is whole."""
    return [*crossed_tags(site), *dead_links(site), *silent_pictures(site), *loaded_from_elsewhere(site)]


def crossed_tags(site: Site) -> Iterator[str]:
    """Where HTML in a page crosses the sections around it, browsers guess, and columns become narrower from one to the next."""
    for name, page in site.pages.items():
        yield from (f"{name}: {fault}" for fault in page.crossed[:1] or [f"<{tag}> stays open" for tag in page.open[:1]])


def dead_links(site: Site) -> Iterator[str]:
    for name, page in site.pages.items():
        for link in page.links + page.loads:
            if urlsplit(link).scheme or elsewhere(link) or link == "#":
                continue
            path, place = urldefrag(urljoin(name, link))
            path = unquote(path or name).split("?")[0]
            if path not in site.files:
                yield f"{name}: {link} leads to no file"
            elif place and path in site.pages and unquote(place) not in site.pages[path].anchors:
                yield f"{name}: {link} leads to no place in {path}"


def silent_pictures(site: Site) -> Iterator[str]:
    for name, page in site.pages.items():
        for address, alt in page.pictures:
            if not alt or alt == address:      # Sphinx writes the address where it was given no words
                yield f"{name}: {address[:80]} has no alternative text"


def loaded_from_elsewhere(site: Site) -> Iterator[str]:
    for name, page in site.pages.items():
        styles = re.findall(r"<style[^>]*>(.*?)</style>", page.text, re.S)
        for address in page.loads + [found for css in styles for found in addresses(css)]:
            if elsewhere(address):
                yield f"{name} loads {address}"
    for name in sorted(file for file in site.files if file.endswith(".css")):
        for address in addresses((site.folder / name).read_text("utf-8")):
            if elsewhere(address):
                yield f"{name} loads {address}"
