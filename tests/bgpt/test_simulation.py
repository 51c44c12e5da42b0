from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgpt.sides import machine_record
from bgpt.simulation import (
    SystemNotKnown,
    compare,
    comparison_text,
    run_real,
    system_of,
)
from simulators.cpu.layout import lay_out
from simulators.protocol import System
from simulators.registry import make_system

MODEL = Path("runs/some")
TOY = make_system("toy", memory_bytes=64, max_instructions=16)


def files_of(system: System, count: int) -> list[bytes]:
    programs = system.draw(0, np.arange(count, dtype=np.uint64))
    files = lay_out(programs, system.run(programs), memory_bytes=system.memory_bytes)
    data = files.data.tobytes()
    return [data[files.offsets[i] : files.offsets[i + 1]] for i in range(count)]


@pytest.mark.parametrize("name", ["toy", "rv64"])
def test_the_real_run_gives_the_states_of_the_corpus(name: str) -> None:
    system = TOY
    if name != "toy":
        system = make_system(name, memory_bytes=256, max_instructions=16, profile="call")
    for file in files_of(system, 4):
        given = file[: system.memory_bytes + system.state_bytes]
        states = run_real(system, given)
        assert states.tobytes() == file[system.memory_bytes :]
        assert len(states) > 1
        found = compare(system, file, states)
        assert found.first_wrong is None
        assert comparison_text(system, found) == f"all {len(states)} states are right"


# what is done to a right file -> number of the first wrong state counted from the end, and the text
SPOILT = [
    (lambda file: file[:-16], -1, "it is not written"),
    (lambda file: file[:-9], -1, "it is not written, but 7 bytes of it"),
    (lambda file: file + b"\1" * 17, 0, "the machine has stopped; 17 bytes too many are written"),
    (lambda file: file[:-15] + b"\xee" + file[-14:], -1, "* ACC"),
    (lambda file: file[:-3] + b"\xee" + file[-2:], -1, "* H"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "place", "text"), SPOILT)
def test_the_first_wrong_state_is_marked(spoil: Any, place: int, text: str) -> None:
    file = max(files_of(TOY, 8), key=len)
    states = run_real(TOY, file[:80])
    found = compare(TOY, spoil(file), states)
    assert found.first_wrong == len(states) + place
    shown = comparison_text(TOY, found)
    assert text in shown
    assert shown.startswith(f"first wrong state: {len(states) + place} of 0 to {len(states) - 1};")
    assert ("it shows the effect of " in shown) == (place < 0)


def test_expected_and_written_stand_side_by_side() -> None:
    memory = bytes([11, 7, 0, 0]) + bytes(60)  # LOADI 7, HLT
    first = bytes(16)
    states = run_real(TOY, memory + first)
    wrong = states.copy()
    wrong[2, 1] = 6
    shown = comparison_text(TOY, compare(TOY, memory + wrong.tobytes(), states)).splitlines()
    assert shown[0] == (
        "first wrong state: 2 of 0 to 2; those before it are right; it shows the effect of LOADI"
    )
    assert shown[1:4] == [
        "  field    expected  written",
        "  PC             02       02",
        "* ACC            07       06",
    ]
    assert [line for line in shown if line.startswith("*")] == [shown[3]]


def test_the_machine_comes_from_the_provenance_and_options_go_first() -> None:
    options = {"system": "rv64", "memory_bytes": 320, "max_instructions": 24, "profile": "call",
               "layout": "narrow"}  # fmt: skip
    settings: dict[str, object] = {"source": "cpu", "options": options}
    state_bytes = make_system("rv64", memory_bytes=320, max_instructions=1).state_bytes
    provenance = {"prompt_bytes": 320 + state_bytes, **machine_record(settings)}
    system = system_of(MODEL, provenance)
    assert (system.name, system.memory_bytes, system.data_bytes > 0) == ("rv64", 320, True)
    assert system_of(MODEL, provenance, profile="alu").data_bytes == 0
    assert system_of(MODEL, provenance, layout="full").memory_bytes < 320
    toy = system_of(MODEL, {**provenance, "prompt_bytes": 80}, system="toy")
    assert (toy.name, toy.memory_bytes) == ("toy", 64)
    assert machine_record({"source": "music"}) == {}


def test_an_older_model_is_looked_up_by_its_corpus() -> None:
    assert system_of(MODEL, {"prompt_bytes": 80, "corpus": "cpu-toy"}).name == "toy"
    for provenance in (
        {"prompt_bytes": 96, "corpus": "cpu-toy"},
        {"prompt_bytes": 80, "corpus": "mine"},
        {"prompt_bytes": 80, "corpus": "abc-midi"},
    ):
        with pytest.raises(SystemNotKnown, match=r"does not say which machine.*pass --system"):
            system_of(MODEL, provenance)


# options -> what is wrong with them
WRONG = [
    ({"system": "toi"}, "unknown system 'toi': did you mean 'toy'"),
    ({"system": "rv64", "layout": "wide"}, "unknown layout 'wide'"),
    ({"system": "rv64", "profile": "looop"}, "unknown profile 'looop': did you mean 'loop'"),
    ({"system": "toy", "profile": "loop"}, "the toy CPU has no profile"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_option_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        system_of(MODEL, {"prompt_bytes": 640}, **options)
