"""One explanation as a page of its own: the leaderboard's style, no script, nothing fetched."""

from collections.abc import Mapping
from importlib.resources import files

from benchmarks.explaining.explanation import Explanation
from benchmarks.explaining.text import explanation_heading
from benchmarks.leaderboard.markup import Markup, tag
from benchmarks.leaderboard.where_it_errs import explained


def explain_page(explanation: Explanation, texts: Mapping[tuple[str, str], str]) -> str:
    """Return the page as HTML text; `texts` as in `where_it_errs.explained`."""
    style = files("benchmarks.leaderboard").joinpath("page.css").read_text(encoding="utf-8")
    title = f"{explanation.submission.name} on {explanation.task.name}: where it errs"
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            # The package's own style, which holds no text of others.
            tag("style", Markup(style)),
        ),
        tag(
            "body",
            tag(
                "main",
                tag("h1", title),
                *(tag("p", line, class_="rule") for line in explanation_heading(explanation)),
                tag("div", explained(explanation, texts), class_="errs"),
            ),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"
