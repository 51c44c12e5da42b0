"""What the three commands share: a user's mistake is one line on stderr and an exit code.

It parses nothing and prints no results; each package's `__main__` does.
"""

import os
import sys
from typing import NoReturn, cast

import typer

from pipelines.engine import EngineError
from pipelines.printable_text import printable_text

MISTAKES: tuple[type[Exception], ...] = (ValueError, OSError, EngineError)
"""What ends a command with exit code 2; its text must tell what, where and how to mend it."""


def run(app: typer.Typer, *, mistakes: tuple[type[Exception], ...] = MISTAKES) -> NoReturn:
    """Run a command line and exit: 0 done, 2 a mistake, 130 interrupted, or as the command says."""
    # Threads that wait by spinning cost a busy machine more than they save: with one competing
    # process, two threads trained 2.2 times slower than one; with this bound 1.6 times.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Click's base class of usage errors; typer carries its own copy of click in some versions.
    usage_error = cast("type[Exception]", typer.BadParameter.__mro__[2])
    try:
        sys.exit(app(standalone_mode=False))
    except usage_error as error:
        message = str(getattr(error, "format_message", error.__str__)())
        # A command alone gives the help text as an error.
        print(message if message.startswith("Usage:") else f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except mistakes as error:
        print(f"error: {printable_text(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("error: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
