"""HTML and SVG text that is escaped unless proved otherwise.

`tag` escapes every plain string it is given, as content or as attribute; only `Markup`, which
`tag` itself makes, goes in as it is. So a submission's name cannot become an element by oversight.
It knows nothing of leaderboards.
"""

import json
import re
from html import escape as html_escape

# Control characters, lone surrogates and the marks that reorder text: shown as U+FFFD, so that no
# name can hide a part of itself, turn a line around, or break the encoding of the page.
_UNPRINTABLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufffe\uffff\ud800-\udfff]"
)
_VOID = frozenset({"meta", "br", "rect", "line", "circle", "path", "polyline"})


class Markup(str):
    """Text that is already HTML or SVG."""

    __slots__ = ()


def printable(text: str) -> str:
    """Return `text` with every character that does not print replaced by U+FFFD.

    >>> printable("a\\x00b\\u202ec") == "a\\ufffdb\\ufffdc"
    True
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def escape(text: str) -> Markup:
    """Escape `text` for use as HTML content or attribute value.

    >>> escape('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return text if isinstance(text, Markup) else Markup(html_escape(printable(text)))


def join(*parts: str | None) -> Markup:
    """Concatenate the parts, escaping what is not markup; None is left out."""
    return Markup("".join(escape(part) for part in parts if part is not None))


def tag(name: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """Return one element.

    An attribute's name loses one trailing underscore, other underscores become hyphens; None and
    False leave it out, True gives it without a value.

    >>> tag("td", "a < b", class_="num", data_rank=1, hidden=True)
    '<td class="num" data-rank="1" hidden>a &lt; b</td>'
    """
    written = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.removesuffix("_").replace("_", "-")
        if attribute == "viewbox":
            attribute = "viewBox"
        elif attribute == "preserveaspectratio":
            attribute = "preserveAspectRatio"
        written.append(attribute if value is True else f'{attribute}="{escape(_plain(value))}"')
    head = " ".join(written)
    if name in _VOID and not children:
        return Markup(f"<{head}>" if name in {"meta", "br"} else f"<{head}/>")
    return Markup(f"<{head}>{join(*children)}</{name}>")


def scrolling(content: Markup, label: str) -> Markup:
    """Return what may be wider than the page in a region of its own, named for a screen reader."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def json_block(value: object) -> Markup:
    """Return `value` as JSON that may stand inside a script element.

    >>> json_block({"name": "</script>"})
    '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    dumped = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        dumped = dumped.replace(character, f"\\u{ord(character):04x}")
    return Markup(dumped)


def _plain(value: str | float) -> str:
    """Return an attribute's value: numbers with at most two decimals, no trailing zeros."""
    if isinstance(value, float):
        shown = f"{value:.2f}".rstrip("0").rstrip(".")
        return "0" if shown == "-0" else shown
    return str(value)
