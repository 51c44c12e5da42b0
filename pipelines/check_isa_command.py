"""`bgpt-data check-isa`: hold an instruction set against everything that can tell it wrong.

Four oracles: the interpreter against the emulator, the emulator
against the host's own processor, the table against a disassembler, and bytes against bytes, from
another process, along another path of execution, and out of corpora built by one and by two
workers. The first three and the paths stand in `simulators.cpu.oracles.check_isa`; here are
the corpora, the command and its output.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from pipelines.build import BUILD_NAME, build_corpus
from pipelines.engine import LocalEngine
from pipelines.plan import Side
from pipelines.sources.cpu import CpuOptions, CpuSource
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.isa.table import PROFILES, Isa
from simulators.cpu.oracles.oracle import OracleResult, Tally, run_oracle
from simulators.cpu.oracles.trace_difference import Difference

ROWS: Final = 100_000
"""Compared by each oracle unless `--rows` says otherwise, ..."""
INTERPRETER_ROWS: Final = 1_000_000
"""... but by the interpreter's."""
_PER_FORM: Final = 100
"""Instructions of every form, or fewer where fewer rows are asked for."""
_SAMPLES_PER_SHARD: Final = 1_000


def check_isa_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An instruction set, e.g. rv64.")],
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"States or instructions for each check; {ROWS:,} by default, "
            f"{INTERPRETER_ROWS:,} for the interpreter.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which programs.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for a program to read.")
    ] = False,
) -> None:
    """Check an instruction set against independent oracles; exit code 1 if anything differs.

    Example: bgpt-data check-isa x86_64 --rows 20000
    """
    isa = find_isa(name)
    results = check_isa(isa, rows=rows, seed=seed, say=_say)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(result) for result in results], indent=1))
    else:
        typer.echo(render_results(isa, results))
    if any(result.num_differences for result in results):
        raise typer.Exit(1)


def check_isa(
    isa: Isa, *, rows: int | None, seed: int, say: Callable[[str], None]
) -> list[OracleResult]:
    """Run all oracles; `say` is told what begins."""
    # Here, because the emulator takes half a second to load, and all commands load this file.
    from simulators.cpu.oracles import check_isa as oracle

    count = ROWS if rows is None else rows
    per_form = max(1, min(_PER_FORM, count // len(isa.forms)))
    checks: dict[str, Callable[[], OracleResult]] = {
        "the interpreter against the emulator": lambda: oracle.check_interpreter(
            isa, rows=INTERPRETER_ROWS if rows is None else rows, seed=seed
        ),
        "the emulator against this processor": lambda: oracle.check_silicon(
            isa, rows=count, per_form=per_form, seed=seed
        ),
        "the table against capstone": lambda: oracle.check_listing(
            isa, instructions=count, per_form=per_form, seed=seed
        ),
        "processes and paths of execution": lambda: oracle.check_same_bytes(
            isa, rows=count, seed=seed
        ),
        "corpora by one and by two workers": lambda: check_workers(isa, seed=seed),
    }
    results: list[OracleResult] = []
    for what, check in checks.items():
        say(f"{isa.name}: {what} ...")
        results.append(check())
    return results


def check_workers(isa: Isa, *, seed: int) -> OracleResult:
    """Build a small corpus with one worker and with two, and compare every file."""

    def compare(tally: Tally) -> None:
        options = CpuOptions(
            system=isa.name, memory_bytes=512, max_instructions=16, profile=list(PROFILES)[-1]
        )
        source = CpuSource(corpus=f"cpu-{isa.name}", seed=seed, options=options)
        needed: dict[Side, int] = {"train": _SAMPLES_PER_SHARD + 10, "test": 10}
        with tempfile.TemporaryDirectory(prefix="byteworld-") as scratch:
            made: list[dict[str, bytes]] = []
            for workers in (1, 2):
                out = Path(scratch, str(workers))
                build_corpus(source, needed, out, engine=LocalEngine(workers))
                made.append(_files(out))
        for file in sorted(made[0] | made[1]):
            one, two = (_described(files.get(file)) for files in made)
            tally.compared += 1
            if one != two:
                tally.add(
                    [
                        Difference(
                            source=f"cpu-{isa.name}, seed {seed}, built by two workers",
                            field=file,
                            expected=one,
                            found=two,
                        )
                    ]
                )

    return run_oracle("one worker = two workers", "files", compare)


def render_results(isa: Isa, results: list[OracleResult]) -> str:
    """Return the results as a table, then every difference that they carry."""
    head = ("oracle", "compared", "", "differences", "seconds")
    rows: list[tuple[str, str, str, str, str]] = [head]
    for result in results:
        if result.not_applicable is not None:
            rows.append((result.name, "n/a", f"({result.not_applicable})", "", ""))
        else:
            numbers = f"{result.num_differences:,}", f"{result.seconds:.1f}"
            rows.append((result.name, f"{result.compared:,}", result.unit, *numbers))
    widths = [
        max(len(row[i]) for row in rows if not row[2].startswith("(")) for i in range(len(head))
    ]
    widths[0] = max(len(row[0]) for row in rows)
    lines = [f"{isa.name}: {isa.title}"]
    for name, compared, unit, differences, seconds in rows:
        line = f"{name:{widths[0]}}  {compared:>{widths[1]}} {unit:{widths[2]}}"
        if differences:
            line += f"  {differences:>{widths[3]}}  {seconds:>{widths[4]}}"
        lines.append(line.rstrip())
    for result in results:
        lines += [f"{result.name}: {difference}" for difference in result.differences]
        if len(result.differences) < result.num_differences:
            lines.append(
                f"{result.name}: and {result.num_differences - len(result.differences):,} more"
            )
    return "\n".join(lines)


def _files(folder: Path) -> dict[str, bytes]:
    """Return a corpus' files, the one that names machine and versions left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != BUILD_NAME
    }


def _described(content: bytes | None) -> str:
    if content is None:
        return "missing"
    return f"{len(content):,} bytes with SHA-256 {sha256(content).hexdigest()}"


def _say(what: str) -> None:
    """Tell on stderr what is going on; nothing where it is no terminal."""
    if Console(stderr=True).is_terminal:
        typer.echo(what, err=True)
