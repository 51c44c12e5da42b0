"""Systems by name."""

import copy

import numpy as np
import pytest

from simulators.cpu.machine import Machine
from simulators.protocol import System
from simulators.registry import UnknownSystem, make_system, system_names


@pytest.mark.parametrize("name", system_names())
def test_every_registered_system_has_its_name_and_fits_the_protocol(name: str) -> None:
    system = make_system(name, memory_bytes=512, max_instructions=16)
    assert isinstance(system, System)
    assert system.name == name
    assert system.memory_bytes == 512


def test_an_unknown_system_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownSystem, match="unknown system 'tyo': did you mean 'toy'"):
        make_system("tyo", memory_bytes=64, max_instructions=16)


def test_a_real_machine_has_defaults() -> None:
    machine = make_system("rv32", memory_bytes=512, max_instructions=16)
    assert isinstance(machine, Machine)
    assert (machine.profile, machine.layout, machine.weights) == ("loop", "narrow", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "lop"}, "unknown profile 'lop': did you mean 'loop'"),
        ({"layout": "fall"}, "unknown layout 'fall': did you mean 'full'"),
        ({"weights": {"divied": 1}}, "unknown instruction class 'divied': did you mean 'divide'"),
        ({"profile": "alu", "weights": {"load": 1}}, "class 'load' is not in profile 'alu', which"),
        ({"weights": {"move": -1}}, "move = -1 must be a whole number from 0 to 10000"),
        ({"weights": {"move": 20_000}}, "move = 20000 must be a whole number from 0 to 10000"),
        ({"weights": {"move": 1.5}}, "move = 1.5 must be a whole number from 0 to 10000"),
        ({"weights": {"move": "3"}}, "move = '3' must be a whole number from 0 to 10000"),
        ({"weights": {"move": True}}, "move = True must be a whole number from 0 to 10000"),
        ({"profile": "alu", "memory_bytes": 16}, "16 bytes for the program are too few"),
        ({"max_instructions": 113}, "room for 112 instructions at most, fewer than max_inst"),
        ({"memory_bytes": 1000}, "memory_bytes = 1000 must be a multiple of 16"),
        ({"memory_bytes": 64}, "the data window of profile 'loop' has"),
        ({"memory_bytes": 8144}, "leaves no room for two states"),
        ({"max_instructions": 0}, "max_instructions = 0 must be at least 1"),
    ],
)
def test_what_a_real_machine_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"memory_bytes": 512, "max_instructions": 16, **options}
    with pytest.raises(ValueError, match=message):
        make_system("rv64", **given)  # pyright: ignore[reportArgumentType]


def test_weights_that_leave_nothing_to_draw_are_refused() -> None:
    classes = ("move", "arithmetic", "logic", "shift", "compare", "multiply", "divide")
    with pytest.raises(
        ValueError, match="weights sum to 0 over the classes that rv64 has in profile 'alu'"
    ):
        make_system(
            "rv64",
            memory_bytes=512,
            max_instructions=16,
            profile="alu",
            weights=dict.fromkeys(classes, 0),
        )


@pytest.mark.parametrize("option", ["profile", "layout", "weights"])
def test_the_toy_cpu_refuses_what_it_does_not_have(option: str) -> None:
    value = {"profile": "alu", "layout": "full", "weights": {}}[option]
    with pytest.raises(ValueError, match=f"the toy CPU has no {option}"):
        make_system("toy", memory_bytes=64, max_instructions=16, **{option: value})  # pyright: ignore[reportArgumentType]


def test_a_machine_sent_to_another_process_draws_the_same() -> None:
    machine = make_system(
        "aarch64", memory_bytes=512, max_instructions=9, profile="call", weights={"call": 9}
    )
    counters = np.arange(4, dtype=np.uint64)
    drawn = machine.draw(1, counters)
    sent = copy.deepcopy(machine)
    assert sent == machine
    again = sent.draw(1, counters)
    assert again.code.tobytes() == drawn.code.tobytes()
    assert again.data.tobytes() == drawn.data.tobytes()
