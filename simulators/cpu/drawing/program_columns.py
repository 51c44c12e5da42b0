"""The arrays of an instruction set that programs are drawn from: their columns, and fixed limits.

`program_tables` fills them, `programs_kernel` reads them; this is all that both must agree on.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


class Tables(NamedTuple):
    """An instruction set under a profile, as arrays of 64-bit words; see `program_tables`."""

    numbers: Words
    """`[NUM_NUMBERS]` single numbers, by the constants below."""
    entries: Words
    """`[entries, NUM_ENTRY_COLUMNS]`."""
    variables: Words
    """`[variables, NUM_VARIABLE_COLUMNS]`."""
    values: Words
    """Values of all variables that list them."""
    value_bits: Words
    """For each of `values` the mask of the register that it names."""
    uses: Words
    """`[uses, NUM_USE_COLUMNS]`."""
    pieces: Words
    """`[pieces, NUM_PIECE_COLUMNS]`; none crosses a word."""
    class_slots: Words
    """A class drawn by its weight: every class as often as its weight says."""
    class_starts: Words
    """`[classes + 1]` offsets into `entry_slots`."""
    entry_slots: Words
    """An entry drawn by its weight within its class."""


PROGRAM_BYTES: Final = 0
MAX_INSTRUCTIONS: Final = 1
STOP_USE: Final = 2
FALLBACK: Final = 3
FALLBACK_BYTES: Final = 4
DEFINE: Final = 5
DEFINE_BYTES: Final = 6
RESERVED: Final = 7
"""Registers that functions never write: counters, and where calls keep the way back."""
ALL_FLAGS: Final = 8
MERGED_FLAGS: Final = 9
"""Flags that are defined wherever two paths meet: those that no instruction leaves undefined."""
FIRST_END: Final = 10
NUM_END: Final = 11
END_BYTES: Final = 12
STOP_BYTES: Final = 13
MAX_VARIABLES: Final = 14
NUM_NUMBERS: Final = 15

FIRST_VARIABLE: Final = 0
NUM_VARIABLES: Final = 1
FIRST_OPENING: Final = 2
NUM_OPENING: Final = 3
OPENING_BYTES: Final = 4
SCOPE: Final = 5
FIRST_CLOSING: Final = 6
NUM_CLOSING: Final = 7
CLOSING_BYTES: Final = 8
PROTECTED: Final = 9
"""Number of the protected variable, or `NOTHING`."""
NEEDS: Final = 10
SETS: Final = 11
UNDEFINES: Final = 12
CLOSING_SETS: Final = 13
CLOSING_UNDEFINES: Final = 14
WRITES: Final = 15
MAX_BODY: Final = 16
NUM_ENTRY_COLUMNS: Final = 17

FIRST_VALUE: Final = 0
COUNT: Final = 1
LOW: Final = 2
STEP: Final = 3
LISTED: Final = 4
WRITTEN: Final = 5
DIFFERS: Final = 6
"""Mask of the entry's variables whose register must be another one."""
NUM_VARIABLE_COLUMNS: Final = 7

BASE_LOW: Final = 0
BASE_HIGH: Final = 1
LENGTH: Final = 2
FIRST_PIECE: Final = 3
NUM_PIECES: Final = 4
FIRST_TARGET_PIECE: Final = 5
NUM_TARGET_PIECES: Final = 6
BIAS: Final = 7
SHIFT: Final = 8
NUM_USE_COLUMNS: Final = 9

VARIABLE: Final = 0
SOURCE: Final = 1
MASK: Final = 2
HIGH_WORD: Final = 3
TARGET_BIT: Final = 4
NUM_PIECE_COLUMNS: Final = 5

NOTHING: Final = 2**32
SCOPE_NAMES: Final = ("none", "forward", "loop", "bracket", "call")
"""A scope's number is its place here."""


MAX_DEPTH: Final = 4
"""Scopes within scopes."""
MAX_LOOPS: Final = 2
"""Loops within loops."""
MAX_FUNCTIONS: Final = 2
MAX_FUNCTION_ENTRIES: Final = 4
MAX_BODY_ENTRIES: Final = (0, 3, 4, 3, 0)
"""Entries in the body of a scope, by the scope's number; at least one."""
TRIES: Final = 8
"""An entry that may not stand here is drawn again so many times before the fallback is taken."""

LENGTH_WORD: Final = 0
PROGRAM_WORDS: Final = 1
"""Words from here on are taken one after another by the program."""
STATE_WORDS: Final = 2**32
"""The flags' word, then two words for each program register."""
DATA_WORDS: Final = 2**33
"""Two words for each 8 bytes of the data window."""
