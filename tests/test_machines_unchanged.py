"""Every instruction set draws and runs to the same bytes as ever, in every profile and layout.

Digests of a few programs with their states stand in tests/golden/machines.json, with the version
that they belong to. A change of bytes raises that version; then run this file as a program to write
the digests anew.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.oracles.check_isa import digests
from simulators.cpu.oracles.oracle import machines_of

GOLDEN = Path(__file__).parent / "golden" / "machines.json"
PROGRAMS = 120


def found(name: str) -> dict[str, Any]:
    """Return the version of a set's machines, and a digest for every profile and layout."""
    made = digests(name, PROGRAMS, 0, "native")
    return {
        "version": next(machines_of(ISAS[name])).version,
        "sha256": {machine: digest for machine, (digest, _) in made.items()},
    }


@pytest.mark.parametrize("name", ISAS)
def test_an_instruction_set_gives_the_same_bytes_as_ever(name: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    again = f"then write the digests anew: python {Path(__file__).relative_to(Path.cwd())}"
    assert name in golden, f"{name} has no digests; {again}"
    one, other = golden[name], found(name)
    changed = [key for key in other["sha256"] if one["sha256"].get(key) != other["sha256"][key]]
    if one["version"] == other["version"]:
        assert not changed, (
            f"{name} {one['version']} gives other bytes: {', '.join(changed)}. Raise `version` in "
            f"simulators/cpu/isa/{name}.py (its table changed), or SHARED_VERSION in "
            f"simulators/cpu/machine.py (generator, emulator or masks did); {again}"
        )
    assert one == other, f"{name} has version {other['version']} now; {again}"


def test_the_digests_are_those_of_the_sets_that_there_are() -> None:
    assert set(json.loads(GOLDEN.read_text(encoding="utf-8"))) == set(ISAS)


if __name__ == "__main__":
    GOLDEN.write_text(
        json.dumps({name: found(name) for name in ISAS}, indent=1) + "\n", encoding="utf-8"
    )
    print(GOLDEN, file=sys.stderr)
