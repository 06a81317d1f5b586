"""What stands between two marks of a page, written anew."""


def between(text: str, begin: str, end: str, body: str, page: str = "README.md") -> str:
    """The text with `body` between its marks `begin` and `end`, which are lines.

    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{page} must hold {begin.strip()!r} and, after it, {end.strip()!r}, once each")
    before, _, rest = text.partition(begin)
    return before + begin + body + "\n" + end + rest.partition(end)[2]
