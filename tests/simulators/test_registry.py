"""Systems by name."""

import pytest

from simulators.protocol import System
from simulators.registry import SYSTEMS, UnknownSystem, make_system


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_every_registered_system_has_its_name_and_fits_the_protocol(name: str) -> None:
    system = make_system(name, memory_bytes=64, max_instructions=16)
    assert isinstance(system, System)
    assert system.name == name
    assert system.memory_bytes == 64


def test_an_unknown_system_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownSystem, match="unknown system 'tyo': did you mean 'toy'"):
        make_system("tyo", memory_bytes=64, max_instructions=16)
