"""Building the leaderboard: reports and runs in, one self-contained page and its pictures out.

The same input gives the same bytes: no clock, no machine, no order of files enters. Files appear
whole or not at all.
"""

import json
from pathlib import Path

from benchmarks.leaderboard.data import LeaderboardError, merged, read_board
from benchmarks.leaderboard.page import render, standings
from benchmarks.leaderboard.pictures import learning_curve_picture, standings_picture
from benchmarks.leaderboard.results import markdown, with_results
from benchmarks.leaderboard.studies import study_section
from benchmarks.strict_json import JsonRefused
from pipelines.shards import write_atomically

PUBLISHED = Path(__file__).parent.parent / "published.json"
"""The figures of the paper, as reported there."""


def build(
    reports_dir: Path,
    runs_dir: Path | None,
    out_dir: Path,
    *,
    published: Path | None = None,
    readme: Path | None = None,
    compression: Path | None = None,
    studies: Path | None = None,
) -> None:
    """Write the leaderboard of all reports below `reports_dir` to `out_dir`.

    Writes `index.html`, `results.md`, `learning-curve.svg`, `standings.svg` and `reports.json`.
    `runs_dir` holds one folder a training run with its `metrics.jsonl`; None draws no curves.
    `published` replaces the figures that come with the package. `readme` is a Markdown file whose
    part between `<!-- results -->` and `<!-- /results -->` becomes the key metrics' tables.
    `compression` holds results of `bgpt-bench compress`; by default it is that folder of `out_dir`.
    `studies` is the folder that studies were written to; None, or an empty one, shows none.

    Raises:
        LeaderboardError: something to be shown is missing, unreadable or not comparable.
    """
    if published is None and PUBLISHED.exists():
        published = PUBLISHED
    board = read_board(reports_dir, runs_dir, published, compression or out_dir / "compression")
    tasks = standings(board)
    try:
        section = None if studies is None else study_section(studies, out_dir)
    except JsonRefused as error:
        raise LeaderboardError(str(error)) from error
    data = json.dumps(merged(board), ensure_ascii=True, allow_nan=False, indent=1, sort_keys=True)
    contents = {
        "reports.json": data + "\n",
        "results.md": markdown(tasks),
        "learning-curve.svg": learning_curve_picture(board),
        "standings.svg": standings_picture(tasks),
        "index.html": render(board, section),
    }
    text = None if readme is None else with_results(readme.read_text(encoding="utf-8"), tasks)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(out_dir / name, content.encode("utf-8"))
    if readme is not None and text is not None:
        write_atomically(readme, text.encode("utf-8"))
