"""The leaderboard in headless Chromium: sorting, ties, width on a phone, hostile names, contrast.

All results in `fixtures/leaderboard` are made up, for these tests only.
"""

import html
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from benchmarks.leaderboard import build
from tests.benchmarks.made_up_examples import made_up_examples
from tests.benchmarks.made_up_explanations import explain_beside

FIXTURE = Path(__file__).parent / "fixtures" / "leaderboard"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HACK = "document.documentElement.dataset.hacked=1"
HOSTILE = f"<script>{HACK}</script><img src=x onerror={HACK}>"
LONG = "unbroken-" * 12 + "x" * 40

WIDTHS = (320, 390, 768, 1024, 1600)
MEASURE = """
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    const reports = JSON.parse(page.getElementById("data").textContent).reports.length;
    for (const fold of page.querySelectorAll("details")) fold.open = true;
    const widths = `${root.scrollWidth} of ${root.clientWidth}`;
    document.documentElement.dataset["width-" + root.clientWidth] =
      `${widths}, ${reports} reports, hacked: ${root.dataset.hacked}`;
  }
});
"""

in_chromium = [
    pytest.mark.chromium,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page of the fixture with one more, hostile entry and a very long name."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(FIXTURE / "reports", folder / "reports")
    report = json.loads((FIXTURE / "reports" / "cpu-toy" / "xz.json").read_text(encoding="utf-8"))
    for number, name in enumerate((HOSTILE, LONG)):
        report["submission"].update(name=name, description=name + LONG)
        report["environment"] = {LONG: name}
        report["breakdowns"] = {
            kind: [{"name": name, "n": 9, "teacher_forced_accuracy": 0.5}]
            for kind in ("instruction", "register", "distance")
        }
        report["submission"]["kind"] = "model"
        path = folder / "reports" / f"hostile-{number}.json"
        path.write_text(json.dumps(report))
        explain_beside(path, name)
    for task in ("abc-to-midi", "midi-to-abc"):
        for name in ("fixture-compact", "fixture-blind"):
            path = folder / "reports" / task / f"{name}.json"
            report = json.loads(path.read_text(encoding="utf-8"))
            report.update(schema_version=3, examples=made_up_examples(task))
            path.write_text(json.dumps(report))
    build(
        folder / "reports", FIXTURE / "runs", folder / "out", published=FIXTURE / "published.json"
    )
    return folder / "out" / "index.html"


def dump(page: Path, profile: Path, fragment: str, width: int = 1280) -> str:
    """Return the page's elements after its script has run, opened as a file with `#fragment`.

    What the browser's console says (errors, violations of the content policy) fails the test.
    """
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--enable-logging=stderr",
        f"--user-data-dir={profile}", f"--window-size={width},2000",
        "--virtual-time-budget=3000", "--dump-dom", f"{page.as_uri()}#{fragment}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    text = done.stdout.decode("utf-8")
    said = done.stderr.decode("utf-8", "replace")
    assert "</html>" in text, said[-2000:]
    assert [line for line in said.split("\n") if "CONSOLE" in line] == []
    return text


def rows(dumped: str, task: str) -> list[str]:
    """Return the measured rows of a task's table, in the order they stand in."""
    section = dumped.split(f'id="task-{task}"')[1].split("</section>")[0]
    body = section.split('<tbody class="measured">')[1].split("</tbody>")[0]
    return body.split("<tr ")[1:]


def entries(dumped: str, task: str) -> list[str]:
    return [re.findall('data-entry="([^"]*)"', row)[0] for row in rows(dumped, task)]


class TestInChromium:
    """What only a browser can say."""

    pytestmark = in_chromium

    def test_the_address_sorts_a_table_and_ranks_follow(self, page: Path, tmp_path: Path) -> None:
        dumped = dump(page, tmp_path, "sort=cpu-toy:teacher_forced_bits_per_byte")
        order = entries(dumped, "cpu-toy")
        assert order[:3] == ["fixture-compact", "fixture-compact-wide", "ngram-8"]
        assert order[-2:] == ["copy-previous-state", "rule"]  # n/a is last
        assert len(order) == 15
        ranks = [re.findall('class="rank">([^<]*)<', row)[0] for row in rows(dumped, "cpu-toy")]
        assert ranks[:4] == ["1 tie", "1 tie", "3", "4"]
        assert ranks[-2:] == ["–", "–"]
        section = dumped.split('id="task-cpu-toy"')[1].split("</section>")[0]
        assert re.findall('data-column="([^"]*)"[^>]* aria-sort="([^"]*)"', section) == [
            ("teacher_forced_bits_per_byte", "ascending")
        ]
        assert 'class="rank-by">Bits per byte<' in section
        other = entries(dumped, "abc-to-midi")
        assert other[0] == "fixture-compact"
        assert other[-1] == "uniform"

    def test_the_other_order_keeps_what_is_not_defined_last(
        self, page: Path, tmp_path: Path
    ) -> None:
        dumped = dump(page, tmp_path, "sort=cpu-toy:teacher_forced_bits_per_byte:descending")
        order = entries(dumped, "cpu-toy")
        assert order[:2] == ["uniform", "zlib"]
        assert order[-2:] == ["copy-previous-state", "rule"]

    def test_a_press_sorts_says_so_and_the_reported_figures_stay_apart(
        self, page: Path, tmp_path: Path
    ) -> None:
        dumped = dump(page, tmp_path, "selftest&click=teacher_forced_byte_accuracy")
        order = entries(dumped, "cpu-toy")
        assert order[:4] == ["fixture-compact", "fixture-compact-wide", "rule", "ngram-8"]
        assert entries(dumped, "midi-to-abc")[:2] == ["fixture-compact", "fixture-blind"]
        status = dumped.split('id="status">')[1].split("<")[0]
        assert status == "Sorted by Bytes, descending."
        assert dumped.count('<tr class="banner">') == 2
        last_body = dumped.split('id="task-cpu-toy"')[1].split("</table>")[0].split("<tbody")[-1]
        assert last_body.startswith(' class="reported"')

    def test_the_page_tests_itself_when_asked_to(self, page: Path, tmp_path: Path) -> None:
        found = root_data(dump(page, tmp_path, "selftest"))
        assert found["scroll-width"] == found["client-width"]
        assert found["reports"] == "38"
        assert "hacked" not in found

    @pytest.mark.parametrize(
        ("place", "notes"),
        [
            ("truth/the-patch-of-sixteen", 116),
            ("abc-to-midi/fixture-compact/march-of-the-small-machines", 41),
            ("midi-to-abc/fixture-blind/lamplight-on-the-wharf", 149),
        ],
    )
    def test_a_press_plays_every_note_of_a_conversion(
        self, page: Path, tmp_path: Path, place: str, notes: int
    ) -> None:
        dumped = dump(page, tmp_path, f"selftest&play={place}")
        found = root_data(dumped)
        assert (found["pressed"], found["audio"]) == ("true", "running")
        assert (found["playing"], found["scheduled"]) == (place, str(notes))
        assert found["said"].startswith("Playing ")
        assert pressed(dumped) == [place]
        assert re.search(r'class="playhead moving"', dumped)

    def test_a_second_press_stops_it(self, page: Path, tmp_path: Path) -> None:
        dumped = dump(page, tmp_path, "selftest&play=truth/bytes-by-the-dozen&again")
        found = root_data(dumped)
        assert (found["pressed"], found["after"], found["said"]) == ("true", "false", "Stopped.")
        assert pressed(dumped) == []
        assert "playhead moving" not in dumped

    def test_nothing_sticks_out_at_any_width_and_no_name_runs_as_a_script(
        self, page: Path, tmp_path: Path
    ) -> None:
        # Chromium's window is never narrower than 500 px, so the page is looked at in frames.
        source = html.escape(page.read_text(encoding="utf-8"))
        harness = tmp_path / "harness.html"
        frames = "".join(
            f'<iframe style="width:{width}px;height:60000px;border:0" srcdoc="{source}"></iframe>'
            for width in WIDTHS
        )
        harness.write_text(f"<!doctype html>{frames}<script>{MEASURE}</script>", encoding="utf-8")
        found = root_data(dump(harness, tmp_path / "profile", ""))
        assert found == {
            f"width-{width}": f"{width} of {width}, 38 reports, hacked: undefined"
            for width in WIDTHS
        }


def pressed(dumped: str) -> list[str]:
    """Return what the pressed buttons play."""
    buttons = re.findall('<button[^>]*class="play"[^>]*>', dumped)
    assert len(buttons) >= 20
    assert not any(" hidden" in button for button in buttons)
    return [
        place
        for button in buttons
        for place in re.findall('data-notes="([^"]*)"', button)
        if 'aria-pressed="true"' in button
    ]


def root_data(dumped: str) -> dict[str, str]:
    """Return the data attributes of the page's root."""
    root = dumped.split("<html", 1)[1].split(">", 1)[0]
    return dict(re.findall(r'data-([a-z0-9-]+)="([^"]*)"', root))


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_ground_it_stands_on(scheme: str) -> None:
    style = files("benchmarks.leaderboard").joinpath("page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(blocks) == 2
    colours = dict(
        re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", blocks[["light", "dark"].index(scheme)])
    )
    for ink in ("ink", "soft", "accent"):
        for ground in ("paper", "raised", "apart", "accent-soft"):
            lights = sorted((luminance(colours[ink]), luminance(colours[ground])))
            ratio = (lights[1] + 0.05) / (lights[0] + 0.05)
            assert ratio >= 4.5, f"{scheme}: {ink} on {ground} is {ratio:.2f}"
