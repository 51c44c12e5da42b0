"""The oracle of encodings: what the table means against what capstone reads.

Lengths and texts of drawn programs, and of every form with random operands. Capstone shares no
line with the table, the generator's encoder or the decoder.
"""

from collections.abc import Iterator

from simulators.batches import programs_of
from simulators.cpu.isa.analysis import gather, width_of
from simulators.cpu.isa.table import Form, Isa
from simulators.cpu.oracles.form_samples import draw_form_samples
from simulators.cpu.oracles.oracle import OracleResult, Tally, draw_batches, run_oracle
from simulators.cpu.oracles.trace_difference import Difference
from simulators.cpu.reading.decoder import Decoder
from simulators.cpu.reading.disassembly import disassemble
from simulators.cpu.reading.listing_text import expected_texts, same_text
from simulators.protocol import InstructionLine


def check_listing(isa: Isa, *, instructions: int, per_form: int, seed: int = 0) -> OracleResult:
    """Compare what the table means with what capstone reads.

    `instructions` of drawn programs over all profiles, and `per_form` of every form.
    """

    def compare(tally: Tally) -> None:
        check = _ListingCheck(isa)
        for sample in draw_form_samples(isa, per_form, seed):
            source = f"form '{sample.form.name}', operands {sample.operands}"
            line = disassemble(isa, sample.code, isa.code_address)[0]
            tally.compared += 1
            tally.add(check.of_form(source, sample.form, sample.operands, sample.code, 0, line))
            tally.add(check.of_decoder(source, sample.form, sample.code, 0, line))
        for _, batch, source_of in draw_batches(isa, instructions, seed, tally):
            for i, program in enumerate(programs_of(batch)):
                for line in disassemble(isa, program, isa.code_address):
                    tally.compared += 1
                    tally.add(check.of_instruction(source_of(i), program, line.offset, line))

    return run_oracle("table = capstone", "instructions", compare)


class _ListingCheck:
    """Compares single instructions, and remembers what each alias stood for."""

    def __init__(self, isa: Isa) -> None:
        self._isa = isa
        self._decoder = Decoder(isa)
        self._hidden: dict[tuple[str, str], tuple[frozenset[str], ...]] = {}

    def of_instruction(
        self, source: str, program: bytes, offset: int, line: InstructionLine
    ) -> Iterator[Difference]:
        """Yield what the decoder and capstone read differently at an offset of a program."""
        form = self._decoder.form_at(program, offset)
        if form is None:
            if line.code != self._isa.stop:
                yield self._difference(source, offset, line, "form", line.text, "no form")
            return
        code = program[offset : offset + len(form.base)]
        yield from self.of_form(source, form, _operands_of(form, code), code, offset, line)
        yield from self.of_decoder(source, form, program, offset, line)

    def of_decoder(
        self, source: str, form: Form, program: bytes, offset: int, line: InstructionLine
    ) -> Iterator[Difference]:
        """Yield how the decoder's form and text differ from those of a form in a program."""
        found = self._decoder.form_at(program, offset)
        if found is not form:
            name = "no form" if found is None else found.name
            yield self._difference(source, offset, line, "decoded form", form.name, name)
            return
        text = self._decoder.text_at(program, offset)
        code = program[offset : offset + len(form.base)]
        address = self._isa.code_address + offset
        texts = [wanted.text for wanted in expected_texts(form, _operands_of(form, code), address)]
        if not any(same_text(text, wanted) for wanted in texts):
            yield self._difference(source, offset, line, "decoded text", " | ".join(texts), text)

    def of_form(
        self,
        source: str,
        form: Form,
        operands: tuple[int, ...],
        code: bytes,
        offset: int,
        line: InstructionLine,
    ) -> Iterator[Difference]:
        """Yield how capstone's line differs from what a form with operands should read."""
        if len(line.code) != len(code):
            sizes = str(len(code)), str(len(line.code))
            yield self._difference(source, offset, line, "length", *sizes)
        texts = list(expected_texts(form, operands, self._isa.code_address + offset))
        wanted = next((text for text in texts if same_text(text.text, line.text)), None)
        if wanted is None:
            expected = " | ".join(text.text for text in texts)
            yield self._difference(source, offset, line, "text", expected, line.text)
            return
        key = form.name, wanted.template
        before = self._hidden.get(key, wanted.hidden)
        both = zip(before, wanted.hidden, strict=True)
        self._hidden[key] = tuple(one & other for one, other in both)
        if not all(self._hidden[key]):
            what = f"operands that '{wanted.template}' leaves out"
            shown = [
                str([" or ".join(sorted(may)) for may in hidden])
                for hidden in (before, wanted.hidden)
            ]
            yield self._difference(source, offset, line, what, *shown)
            self._hidden[key] = before

    def _difference(
        self, source: str, offset: int, line: InstructionLine, *what: str
    ) -> Difference:
        field, expected, found = what
        return Difference(
            source=source,
            pc=self._isa.code_address + offset,
            instruction=f"{line.code.hex(' ')} ({line.text})",
            field=field,
            expected=expected,
            found=found,
        )


def _operands_of(form: Form, code: bytes) -> tuple[int, ...]:
    """Return the values of a form's operands in an instruction; a target's as a place from it."""
    number = int.from_bytes(code, "little")
    values = [gather(operand, number) for operand in form.operands]
    if form.target is not None:
        distance = values[form.target.operand]
        if form.target.lowest < 0:
            half = 1 << width_of(form.operands[form.target.operand]) - 1
            distance = (distance + half) % (2 * half) - half
        values[form.target.operand] = (distance << form.target.shift) + form.target.bias
    return tuple(values)
