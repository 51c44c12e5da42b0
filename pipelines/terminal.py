"""Whether stdout takes colours, and how a value that changed is coloured there."""

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
