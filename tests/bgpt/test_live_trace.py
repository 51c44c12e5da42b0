from io import StringIO

import numpy as np

from bgpt.live_trace import LINES, LiveTrace
from simulators.registry import make_system

TOY = make_system("toy", memory_bytes=64, max_instructions=16)


class Terminal(StringIO):
    """A terminal to rich."""

    def isatty(self) -> bool:
        return True


def states(count: int) -> list[bytes]:
    return [bytes([i, *bytes(15)]) for i in range(count)]


def test_a_state_is_shown_as_soon_as_its_last_byte_has_come() -> None:
    out = Terminal()
    expected = np.frombuffer(b"".join(states(3)), np.uint8).reshape(3, 16).copy()
    expected[2, 1] = 9
    with LiveTrace(TOY, states(3)[0], expected, out) as live:
        for byte in b"".join(states(3)[1:]):
            live.take(bytes([byte]))
    assert "PC=01" in out.getvalue()
    assert "ACC=00" in out.getvalue()
    assert "(not 09)" in out.getvalue()


def test_without_a_terminal_nothing_is_shown() -> None:
    out = StringIO()
    with LiveTrace(TOY, states(1)[0], None, out) as live:
        live.take(b"".join(states(2 * LINES)[1:]))
    assert out.getvalue() == ""


def test_states_after_the_machines_end_are_too_many() -> None:
    expected = np.frombuffer(b"".join(states(2)), np.uint8).reshape(2, 16)
    live = LiveTrace(TOY, states(1)[0], expected, StringIO())
    live.take(states(2)[1])
    assert live.line(states(3)[2]).plain == "state 2    too many PC=02"
