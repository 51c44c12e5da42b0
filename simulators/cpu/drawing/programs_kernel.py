# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Random programs compiled: one kernel for all instruction sets, which come in as arrays.

It draws entries, keeps the stack of open scopes and the knowledge of which flags are defined, and
says where branches go. `entry_kernel` encodes; `program_tables` makes the arrays and says what
stands in them; `programs` is the door. Nothing is checked here.

A program is a few sections one behind the other: the main part and the stop, then its functions.
A section is drawn entry by entry; scopes are structured, so only the innermost counts down. What is
drawn is emitted only if all that is open can still be closed, within its reach and the program's
bytes; else the innermost scope closes now, and without one the section ends.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.counter_rng import splitmix64, take_below
from simulators.cpu.drawing.entry_kernel import choose, emit, emit_all, patch
from simulators.cpu.drawing.program_columns import (
    ALL_FLAGS,
    CLOSING_BYTES,
    CLOSING_SETS,
    CLOSING_UNDEFINES,
    DEFINE,
    DEFINE_BYTES,
    END_BYTES,
    FALLBACK,
    FALLBACK_BYTES,
    FIRST_CLOSING,
    FIRST_END,
    FIRST_OPENING,
    LENGTH,
    LENGTH_WORD,
    MAX_BODY,
    MAX_BODY_ENTRIES,
    MAX_DEPTH,
    MAX_FUNCTION_ENTRIES,
    MAX_FUNCTIONS,
    MAX_INSTRUCTIONS,
    MAX_LOOPS,
    MAX_VARIABLES,
    MERGED_FLAGS,
    NEEDS,
    NOTHING,
    NUM_CLOSING,
    NUM_END,
    NUM_OPENING,
    OPENING_BYTES,
    PROGRAM_BYTES,
    PROGRAM_WORDS,
    PROTECTED,
    RESERVED,
    SCOPE,
    SETS,
    STOP_BYTES,
    STOP_USE,
    TRIES,
    UNDEFINES,
    WRITES,
    Tables,
    Words,
)

_COMPILED_FROM: Final = "24a0c971fbb0b86da56504cd92c82dd5e6054be1768224493d88bfd126c2bdeb"
"""SHA-256 of the other files that are compiled in, one after the other: `counter_rng.py`,
`cpu/entry_kernel.py`, `cpu/program_columns.py`. numba's disk cache watches this file only. A test
asks for the new hash when one of them has changed; writing it here is what makes numba compile
anew."""

# Every number is a np.uint64 because numba turns uint64 with a plain integer into a float.
_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_NOTHING: Final = np.uint64(NOTHING)
_FORWARD: Final = np.uint64(1)
_LOOP: Final = np.uint64(2)
_CALL: Final = np.uint64(4)

_MAX_DEPTH: Final = np.uint64(MAX_DEPTH)
_MAX_LOOPS: Final = np.uint64(MAX_LOOPS)
_MAX_FUNCTIONS: Final = np.uint64(MAX_FUNCTIONS)
_MAX_FUNCTION_ENTRIES: Final = np.uint64(MAX_FUNCTION_ENTRIES)
_MAX_BODY_ENTRIES: Final = np.array(MAX_BODY_ENTRIES, np.uint64)
_DEFINE_ROW: Final = np.uint64(MAX_DEPTH + 2)
_NUM_ROWS: Final = MAX_DEPTH + 3

_LENGTH_WORD: Final = np.uint64(LENGTH_WORD)
_PROGRAM_WORDS: Final = np.uint64(PROGRAM_WORDS)


@numba.njit(cache=True)
def draw_programs(
    key: np.uint64, counters: Words, t: Tables, code: NDArray[np.uint8], offsets: NDArray[np.int64]
) -> None:
    """Draw a program per counter into `code`, which has `PROGRAM_BYTES` for each of them.

    `offsets` is filled, `[n + 1]`; programs stand one behind the other without gaps.
    """
    n = t.numbers
    chosen = np.zeros((_NUM_ROWS, n[MAX_VARIABLES]), np.uint64)
    chosen_bits = np.zeros((_NUM_ROWS, n[MAX_VARIABLES]), np.uint64)
    # By depth; row 0 is the section itself.
    scope_entry = np.zeros(_NUM_ROWS, np.uint64)
    left = np.zeros(_NUM_ROWS, np.uint64)  # entries still to be drawn for the body
    body = np.zeros(_NUM_ROWS, np.uint64)  # entries in the body
    body_start = np.zeros(_NUM_ROWS, np.uint64)
    deadline = np.zeros(_NUM_ROWS, np.uint64)  # where the body must end at the latest
    outer_reserved = np.zeros(_NUM_ROWS, np.uint64)
    sites = np.empty((n[PROGRAM_BYTES] + _1, 3), np.uint64)  # of calls: place, use, function
    function_bytes = n[FALLBACK_BYTES] + n[END_BYTES]
    offsets[0] = 0
    for i in range(len(counters)):
        program = code[offsets[i] :]
        start = splitmix64(key, counters[i])
        wanted, _ = take_below(splitmix64(start, _LENGTH_WORD), n[MAX_INSTRUCTIONS])
        wanted += _1
        word = _PROGRAM_WORDS
        at = num_functions = num_sites = section = _0
        while section <= num_functions:
            in_function = section != _0
            depth = loops = count = open_bytes = _0
            body[0] = _0
            deadline[0] = n[PROGRAM_BYTES]
            reserved = _0
            defined = n[ALL_FLAGS]
            end_bytes = n[STOP_BYTES] + num_functions * function_bytes
            if in_function:
                for site in range(num_sites):
                    if sites[site, 2] == section:
                        patch(program, sites[site, 0], t, sites[site, 1], at - sites[site, 0])
                wanted, _ = take_below(splitmix64(start, word), _MAX_FUNCTION_ENTRIES)
                wanted += _1
                word += _1
                reserved = n[RESERVED]
                defined = n[MERGED_FLAGS]
                end_bytes = n[END_BYTES] + (num_functions - section) * function_bytes
            while True:
                # The main part counts instructions, a function the entries of its own level.
                enough = (body[0] if in_function else count) >= wanted
                closes = False
                if depth == _0:
                    if enough:
                        break
                elif left[depth] == _0 or (enough and body[depth] != _0):
                    closes = True
                row = depth + _1
                entry = _NOTHING
                scope = function = _0
                undefined = False
                if not closes:
                    # Draw an entry that may stand here.
                    for _ in range(TRIES):
                        bits = splitmix64(start, word)
                        word += _1
                        slot, bits = take_below(bits, np.uint64(len(t.class_slots)))
                        klass = t.class_slots[slot]
                        first_slot = t.class_starts[klass]
                        num_slots = np.uint64(t.class_starts[klass + _1] - first_slot)
                        slot, bits = take_below(bits, num_slots)
                        drawn = np.uint64(t.entry_slots[first_slot + slot])
                        scope = t.entries[drawn, SCOPE]
                        if scope != _0:
                            # Functions neither call nor loop; nothing opens at the end.
                            if enough or (in_function and scope in (_LOOP, _CALL)):
                                continue
                            if scope != _CALL and depth == _MAX_DEPTH:
                                continue
                            if scope == _LOOP and loops == _MAX_LOOPS:
                                continue
                        if t.entries[drawn, WRITES] & reserved != _0:
                            continue
                        found, word = choose(
                            start, word, t, drawn, reserved, chosen, chosen_bits, row
                        )
                        if found:
                            entry = drawn
                            break
                    if entry == _NOTHING:
                        entry = n[FALLBACK]
                        _, word = choose(start, word, t, entry, reserved, chosen, chosen_bits, row)
                    scope = t.entries[entry, SCOPE]
                    # Does it fit, and all that must still come?
                    undefined = t.entries[entry, NEEDS] & ~defined != _0
                    after = at + t.entries[entry, OPENING_BYTES]
                    if undefined:
                        after += n[DEFINE_BYTES]
                    later = _0
                    if scope == _CALL:
                        function = _1
                        if num_functions != _0:
                            choices = min(num_functions + _1, _MAX_FUNCTIONS)
                            function, _ = take_below(splitmix64(start, word), choices)
                            function += _1
                            word += _1
                        if function > num_functions:
                            later = function_bytes
                    elif scope != _0:
                        after += t.entries[entry, CLOSING_BYTES] + n[FALLBACK_BYTES]
                    if (
                        after > deadline[depth]
                        or after + later + open_bytes + end_bytes > n[PROGRAM_BYTES]
                    ):
                        if body[depth] == _0:
                            # No body is empty; the place for the fallback was kept free.
                            entry = n[FALLBACK]
                            _, word = choose(
                                start, word, t, entry, reserved, chosen, chosen_bits, row
                            )
                            scope = _0
                            undefined = False
                        elif depth == _0:
                            break
                        else:
                            closes = True
                if closes:
                    entry = np.uint64(scope_entry[depth])
                    scope = t.entries[entry, SCOPE]
                    last_opening = (
                        t.entries[entry, FIRST_OPENING] + t.entries[entry, NUM_OPENING] - _1
                    )
                    first_closing = t.entries[entry, FIRST_CLOSING]
                    num_closing = t.entries[entry, NUM_CLOSING]
                    at = emit_all(program, at, t, first_closing, num_closing, chosen, depth)
                    defined = (defined & ~t.entries[entry, CLOSING_UNDEFINES]) | t.entries[
                        entry, CLOSING_SETS
                    ]
                    if scope == _FORWARD:
                        branch = body_start[depth] - t.uses[last_opening, LENGTH]
                        patch(program, branch, t, last_opening, at - branch)
                        defined &= n[MERGED_FLAGS]
                    elif scope == _LOOP:
                        use = first_closing + num_closing - _1
                        branch = at - t.uses[use, LENGTH]
                        patch(program, branch, t, use, body_start[depth] - branch)
                        loops -= _1
                    open_bytes -= t.entries[entry, CLOSING_BYTES]
                    reserved = outer_reserved[depth]
                    depth -= _1
                    continue
                # Emit it.
                if undefined:
                    define = n[DEFINE]
                    _, word = choose(start, word, t, define, _0, chosen, chosen_bits, _DEFINE_ROW)
                    at = emit_all(
                        program,
                        at,
                        t,
                        t.entries[define, FIRST_OPENING],
                        t.entries[define, NUM_OPENING],
                        chosen,
                        _DEFINE_ROW,
                    )
                    count += t.entries[define, NUM_OPENING]
                    defined = (defined & ~t.entries[define, UNDEFINES]) | t.entries[define, SETS]
                first_opening = t.entries[entry, FIRST_OPENING]
                num_opening = t.entries[entry, NUM_OPENING]
                at = emit_all(program, at, t, first_opening, num_opening, chosen, row)
                count += num_opening + t.entries[entry, NUM_CLOSING]
                defined = (defined & ~t.entries[entry, UNDEFINES]) | t.entries[entry, SETS]
                body[depth] += _1
                if depth != _0:
                    left[depth] -= _1
                if scope == _CALL:
                    if function > num_functions:
                        num_functions = function
                        end_bytes += function_bytes
                    use = first_opening + num_opening - _1
                    sites[num_sites, 0] = at - t.uses[use, LENGTH]
                    sites[num_sites, 1] = use
                    sites[num_sites, 2] = function
                    num_sites += _1
                    defined &= n[MERGED_FLAGS]
                elif scope != _0:
                    closing_bytes = t.entries[entry, CLOSING_BYTES]
                    deadline[row] = min(
                        at + t.entries[entry, MAX_BODY], deadline[depth] - closing_bytes
                    )
                    open_bytes += closing_bytes
                    depth = row
                    scope_entry[depth] = entry
                    body[depth] = _0
                    body_start[depth] = at
                    outer_reserved[depth] = reserved
                    more, _ = take_below(splitmix64(start, word), _MAX_BODY_ENTRIES[scope])
                    word += _1
                    left[depth] = more + _1
                    protected = t.entries[entry, PROTECTED]
                    if protected != _NOTHING:
                        reserved |= chosen_bits[depth, protected]
                    if scope == _LOOP:
                        loops += _1
                        defined &= n[MERGED_FLAGS]
            if in_function:
                at = emit_all(program, at, t, n[FIRST_END], n[NUM_END], chosen, _0)
            else:
                at = emit(program, at, t, n[STOP_USE], chosen, _0)
            section += _1
        offsets[i + 1] = offsets[i] + np.int64(at)
