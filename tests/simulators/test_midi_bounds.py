"""The compiled readers of MIDI on hostile bytes, with every access to an array checked.

As they are used, numba checks none: an index outside its array would read or write other memory.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from simulators.music.conversion.golden import golden_tunes
from simulators.music.midi.compact_midi import compact_files
from simulators.music.midi.files import MidiError, read_score
from simulators.music.midi.note_batches import melody_batch, read_note_batch
from tests.benchmarks.mutated_files import MIDI_MUTATIONS, mutated_midis

ROOT = Path(__file__).parents[2]
ROUNDS = 30
"""Each kind of damage so many times."""


def hostile_files() -> list[bytes]:
    """Return damaged files, the undamaged ones among them, and their first bytes alone."""
    golden = [tune.mid for tune in golden_tunes()]
    damaged = [data for _, data in mutated_midis(golden, 0, ROUNDS * len(MIDI_MUTATIONS))]
    return [*damaged, *golden, *(golden[0][:end] for end in range(len(golden[0])))]


def verdicts() -> dict[str, object]:
    """Return what every compiled reader says of the files; each file is also last in its buffer."""
    files = hostile_files()
    together = hashlib.sha256()
    for salvage in (False, True):
        batch = read_note_batch(files, salvage=salvage)
        for array in (*batch, *melody_batch(batch)):
            together.update(array.tobytes())
    faults: list[int] = []
    for data in files:  # nothing behind its end but the end of the buffer
        alone = read_note_batch([data], salvage=True)
        faults += alone.fault_offsets.tolist()
        for array in (*alone, *melody_batch(alone)):
            together.update(array.tobytes())
    well_formed = [data for data, fault in zip(files, faults, strict=True) if fault < 0]
    for data in [*compact_files(well_formed), *(compact_files([one])[0] for one in well_formed)]:
        together.update(data)
    return {"faults": faults, "well_formed": len(well_formed), "sha256": together.hexdigest()}


@numba.njit
def beyond_its_end(array: np.ndarray[tuple[int], np.dtype[np.int64]], at: int) -> int:
    return array[at]


def checked_verdicts() -> None:
    """Print the verdicts, once it is sure that an access out of bounds is found out."""
    with pytest.raises(IndexError):
        beyond_its_end(np.zeros(3, np.int64), 3)
    print(json.dumps(verdicts()))


def test_no_hostile_file_makes_a_compiled_reader_leave_its_arrays(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import checked_verdicts as c; c()"],
        # A cache of its own: numba's does not tell kernels with and without checks apart.
        env={
            **os.environ,
            "NUMBA_BOUNDSCHECK": "1",
            "NUMBA_CACHE_DIR": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    assert found == verdicts()
    plain: list[int] = []
    for data in hostile_files():
        try:
            read_score(data)
            plain.append(-1)
        except MidiError as error:
            plain.append(error.offset)
    assert found["faults"] == plain
    assert 20 < found["well_formed"] < len(plain) / 2
