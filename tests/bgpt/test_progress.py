"""Progress is a bar on a terminal, a plain line at times elsewhere, and counts the time left."""

from io import StringIO

from rich.console import Console

from bgpt.progress import ProgressReport, Status


def status(step: int, done: float, figure: float | None = 1.25) -> Status:
    return Status(step=step, done=done, bytes_per_second=98_700, bits_per_byte=figure)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_a_plain_line_comes_every_half_minute() -> None:
    stream, clock = StringIO(), Clock()
    console = Console(file=stream, force_terminal=False, width=120)
    with ProgressReport("cpu-toy", console=console, clock=clock) as report:
        for step in range(101):
            clock.now = step * 1.0
            report.show(status(step, step / 400))
    lines = stream.getvalue().splitlines()
    assert lines == [
        f"cpu-toy: step {step}, {step / 4:.0f} %, 99 kB/s, 1.250 bits per byte, {left} left"
        for step, left in ((30, "6:10"), (60, "5:40"), (90, "5:10"))
    ]


def test_a_short_run_prints_nothing_without_a_terminal() -> None:
    stream = StringIO()
    with ProgressReport("r", console=Console(file=stream, force_terminal=False)) as report:
        report.show(status(1, 1.0))
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_with_the_line() -> None:
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=120)
    with ProgressReport("cpu-toy", console=console) as report:
        report.show(status(7, 0.5))
    assert "cpu-toy" in stream.getvalue()
    assert "50%" in stream.getvalue()
    assert "step 7, 50 %, 99 kB/s" in stream.getvalue()


def test_a_long_time_left_has_hours_and_an_unknown_one_is_left_out() -> None:
    assert status(1, 0.1).line(7322).endswith("2:02:02 left")
    assert status(1, 0.1, None).line(None) == "step 1, 10 %, 99 kB/s"
