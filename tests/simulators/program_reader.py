"""Reads drawn programs back with a `Decoder`: instructions, functions, flow of undefined flags."""

from dataclasses import dataclass

from simulators.cpu.isa.table import Form
from simulators.cpu.reading.decoder import Decoder


@dataclass(frozen=True)
class Instruction:
    offset: int
    form: Form
    operands: tuple[int, ...]
    target: int | None

    @property
    def end(self) -> int:
        return self.offset + len(self.form.base)


def read_program(decoder: Decoder, code: bytes) -> tuple[dict[int, Instruction], int]:
    """Every instruction by its offset, main part and functions, and the offset of the stop."""
    stop = decoder.isa.stop
    found: dict[int, Instruction] = {}
    at, end_of_main = 0, -1
    while at < len(code):
        assert at % decoder.isa.alignment == 0
        if end_of_main < 0 and code[at : at + len(stop)] == stop:
            assert decoder.form_at(code, at) is None, "the stop must be no form"
            end_of_main = at
            at += len(stop)
            continue
        form = decoder.form_at(code, at)
        assert form is not None, f"unknown at {at}: {code[at : at + 16].hex(' ')}"
        found[at] = Instruction(
            at, form, decoder.operands_at(code, at), decoder.target_at(code, at)
        )
        at = found[at].end
    assert at == len(code)
    assert end_of_main >= 0, "no stop"
    return found, end_of_main


def undefined_reads(
    decoder: Decoder, program: dict[int, Instruction], stop: int
) -> list[tuple[int, int]]:
    """(offset, flags) of reads of flags that some path leaves undefined: a dataflow fixpoint."""
    returns = {use.form for use in decoder.isa.function_end}
    calls = {use.form for e in decoder.isa.entries if e.scope == "call" for use in e.opening[-1:]}
    after_calls = [i.end for i in program.values() if i.form.name in calls]
    undefined: dict[int, int] = {0: 0}
    work = [0]
    bad: dict[int, int] = {}
    while work:
        at = work.pop()
        if at == stop:
            continue
        instruction = program[at]
        form = instruction.form
        if form.reads & undefined[at]:
            bad[at] = form.reads & undefined[at]
        after = (undefined[at] & ~form.sets) | form.undefines
        if form.name in returns and at > stop:
            following = after_calls
        elif form.name in calls:
            following = [instruction.target]
        else:
            following = [instruction.end]
            if instruction.target is not None:
                following.append(instruction.target)
        for place in following:
            assert place is not None
            merged = undefined.get(place, 0) | after
            if place not in undefined or merged != undefined[place]:
                undefined[place] = merged
                work.append(place)
    return sorted(bad.items())
