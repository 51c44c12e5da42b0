"""What stdout takes: colours, block characters, and how many columns."""

import shutil
import sys

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from simulators.cpu.tracing.trace_text import Mark


def terminal_mark() -> Mark | None:
    """Return what colours a changed value, or `None` where stdout is no terminal with colours."""
    console = Console()
    if not console.is_terminal or console.color_system is None or console.no_color:
        return None
    style = Style(bold=True, color="yellow")
    return lambda text: style.render(text, color_system=ColorSystem.STANDARD) + " "


def terminal_width() -> int:
    """Return the columns of the terminal, 160 at most; 100 where there is none."""
    return min(shutil.get_terminal_size((100, 24)).columns, 160)


def can_write(text: str) -> bool:
    """Return whether the encoding of stdout has all characters of `text`."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
