"""The only door to abc2midi and midi2abc: ABC in, MIDI bytes out, and back.

Both programs come with the symusic package and are run as they are, as processes in the sandbox;
symusic itself is never imported. abc2midi takes 400 tunes a process, a hundred times faster than
one; every output is byte-identical to that of a run on the tune alone, because

- tunes must be in normal form (no `%%`, `R:`, `Q:` that would leak into the next tune), and what a
  preset adds to them every tune sets for itself;
- each gets an `X:` number of its own, because outputs are named by it;
- abc2midi returns 0 even after errors, so its output is read too;
- a sentinel, always the same short tune, stands between the tunes: it comes out changed where a
  tune leaves something behind in silence;
- a batch with any trouble is taken apart: tunes named by an error or a sentinel are run alone, the
  others behind the first of them again without them; where nothing is named (a crash) the batch is
  halved, down to the tune.

A tune is dropped only for what it does alone, never for what its neighbour did, nor for what the
machine did: a program that could not run to its own end is an error, `ConverterNotRun`.
"""

import functools
import hashlib
import importlib.util
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulators.music.golden import golden_text, golden_tunes
from simulators.music.presets import (
    Preset,
    check_preset,
    with_compact_files,
    with_directives,
)
from simulators.music.reasons import DropReason
from simulators.sandbox import (
    OUTPUT_BYTES,
    WALL_SECONDS,
    Ending,
    LimitedRun,
    SandboxFailed,
    run_limited,
)

BATCH_TUNES = 400
"""More would save little of a process' 5 ms, and cost more where a batch has to be repeated."""
KNOWN_ABC2MIDI_SHA256 = frozenset(
    [
        # symusic 0.6.0, manylinux x86-64: "5.02 February 16 2025"
        "f6c741ac75ec5881e94a1d0941cf8b41579542fe3e82833d35855a7060f2cadf",
    ]
)
"""Builds whose golden files are known to come out alike; others are put to the test once."""

_MAX_OUTPUT_BYTES = 16 * 2**20
"""For a batch of 400; a tune's MIDI has 800 bytes on average."""


class ConverterMissing(RuntimeError):  # noqa: N818 - a state of the installation
    """The programs are not installed."""


class ConverterDiffers(RuntimeError):  # noqa: N818 - a state of the installation
    """This build of abc2midi writes other bytes than the golden files hold."""


class ConverterNotRun(OSError):  # noqa: N818 - a state of the machine
    """A program was not started, or was stopped by the machine and not by its input."""


def convert(tunes: Sequence[str], preset: Preset = "plain") -> list[bytes | DropReason]:
    """Return the MIDI file of each tune, or why there is none.

    Tunes must be in normal form (`simulators.music.canonical`); others may disturb their
    neighbours' bytes. What the presets are says `simulators.music.presets`.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
        ValueError: a tune does not start with `X:1`, has an empty line, or no last line end; or
            there is no such preset.
    """
    check_preset(preset)
    for number, tune in enumerate(tunes):
        if not tune.startswith(_FIRST_LINE) or not tune.endswith("\n") or "\n\n" in tune:
            raise ValueError(f"tune {number} is not in normal form: {tune[:60]!r}")
    results: list[bytes | DropReason] = []
    for start in range(0, len(tunes), BATCH_TUNES):
        texts = [with_directives(tune, preset) for tune in tunes[start : start + BATCH_TUNES]]
        results += _convert_batch(texts)
    return with_compact_files(results) if preset == "compact" else results


def abc_from_midi(files: Sequence[bytes]) -> list[str | DropReason]:
    """Return the ABC that midi2abc writes for each file, or why there is none.

    One sandboxed process a file, because midi2abc can crash, loop or write without end on bytes
    that nobody vouches for. The text is midi2abc's own, not the normal form.

    Raises:
        ConverterMissing: midi2abc is not installed.
        ConverterNotRun: the machine kept midi2abc from running; another time it may.
    """
    return [_abc_from_one(data) for data in files]


def check_converter() -> None:
    """Check that this build of abc2midi writes the bytes that corpora are made of.

    A known build passes by its sha256. Any other converts the golden tunes first; it passes if
    every byte comes out alike.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterDiffers: the golden tunes come out otherwise.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
    """
    program = _program("abc2midi")
    _check_build(program, program.stat().st_mtime_ns)


def golden_sha256(preset: Preset = "plain") -> str:
    """Return a hash of the golden tunes with their MIDI: what this project takes for abc2midi.

    Two builds that pass `check_converter` under one golden hash make the same corpora, as far as
    the golden tunes can tell. Every preset has a hash of its own.
    """
    check_preset(preset)
    name = "" if preset == "plain" else f"preset {preset}\n"
    return hashlib.sha256(f"{golden_text()}{name}".encode()).hexdigest()


@functools.lru_cache(maxsize=4)
def _check_build(program: Path, _changed_ns: int) -> None:
    """Check one state of the program file, once a process."""
    sha256 = hashlib.sha256(program.read_bytes()).hexdigest()
    if sha256 in KNOWN_ABC2MIDI_SHA256:
        return
    golden = golden_tunes()
    results = convert([tune.abc for tune in golden])
    for tune, result in zip(golden, results, strict=True):
        if result != tune.mid:
            raise ConverterDiffers(
                f"{program}: this build (sha256 {sha256[:12]}...) writes other bytes for the "
                f"golden tune '{tune.name}'; install symusic==0.6.0, whose abc2midi 5.02 made the "
                "corpora"
            )


_FIRST_LINE = "X:1\n"
_SENTINEL = "L:1/8\nM:4/4\nK:C\nCDEF GABc|\n"
"""A tune between the tunes. Where it comes out otherwise than at the start of the process, the tune
before it has left something behind (an unfinished tuplet does, and nothing is reported)."""

_ERROR_LINE = re.compile(rb"Error in line-char (\d+)-")


def _convert_batch(tunes: Sequence[str]) -> list[bytes | DropReason]:
    """Convert tunes in one process if it goes well, else in parts."""
    if len(tunes) < 2:
        return [_convert_alone(tune) for tune in tunes]
    text, first_lines = _join(tunes)
    run = _run(
        "abc2midi", ["in.abc", "-quiet"], {"in.abc": text.encode("ascii")}, _MAX_OUTPUT_BYTES
    )
    outputs = [run.files.get(f"in{number}.mid", b"") for number in range(1, 2 * len(tunes) + 2)]
    sentinels, converted = outputs[::2], outputs[1::2]
    named = _named_by_errors(run.output, first_lines)
    suspects = set(named)
    done = 0
    if run.ending is Ending.EXITED and run.exit_code == 0 and all(outputs):
        fresh, *after = sentinels
        suspects.update(i for i, file in enumerate(after) if file != fresh)
        if run.output.count(b"Error") == len(named):
            # The program writes a tune's file before it reads on: as far as the first suspect, this
            # was a batch without any trouble.
            done = min(suspects, default=len(tunes))
    if done == len(tunes):
        return list(converted)
    results: list[bytes | DropReason] = list(converted[:done])
    if suspects and len(suspects) < len(tunes):
        alone = {i: _convert_alone(tunes[i]) for i in sorted(suspects)}
        others = [tunes[i] for i in range(done, len(tunes)) if i not in alone]
        rest = iter(_convert_batch(others))
        return results + [alone[i] if i in alone else next(rest) for i in range(done, len(tunes))]
    middle = len(tunes) // 2
    return _convert_batch(tunes[:middle]) + _convert_batch(tunes[middle:])


def _convert_alone(tune: str) -> bytes | DropReason:
    """Convert one tune in a process of its own: what every batch must agree with."""
    run = _run("abc2midi", ["in.abc", "-quiet"], {"in.abc": tune.encode("ascii")})
    _check_ran("abc2midi", run)
    mid = run.files.get("in1.mid", b"")
    if run.ending is Ending.EXITED and run.exit_code == 0 and b"Error" not in run.output and mid:
        return mid
    return _reason(run)


def _join(tunes: Sequence[str]) -> tuple[str, list[int]]:
    """Return one ABC file, and the line (from 1) at which each tune starts.

    Renumbered: a sentinel, tune, sentinel, tune, ..., sentinel.
    """
    sentinel_lines = 2 + _SENTINEL.count("\n")
    parts = [f"X:1\n{_SENTINEL}\n"]
    line = 1 + sentinel_lines
    first_lines: list[int] = []
    for number, tune in enumerate(tunes, 1):
        first_lines.append(line)
        parts.append(
            f"X:{2 * number}\n{tune[len(_FIRST_LINE) :]}\nX:{2 * number + 1}\n{_SENTINEL}\n"
        )
        line += tune.count("\n") + 1 + sentinel_lines
    return "".join(parts), first_lines


def _named_by_errors(output: bytes, first_lines: Sequence[int]) -> list[int]:
    """Return the numbers (from 0) of the tunes in which an error is reported."""
    lines = [int(found) for found in _ERROR_LINE.findall(output)]
    return [max(bisect_right(first_lines, line) - 1, 0) for line in lines]


def _reason(run: LimitedRun) -> DropReason:
    """Return what went wrong with a run on a single tune."""
    match run.ending:
        case Ending.EXITED if run.exit_code == 0 and b"Error" not in run.output:
            return DropReason.CONVERTER_NO_OUTPUT
        case Ending.EXITED:
            return DropReason.CONVERTER_ERROR
        case Ending.CRASHED:
            return DropReason.CONVERTER_CRASHED
        case _:
            return DropReason.CONVERTER_LIMIT


def _abc_from_one(data: bytes) -> str | DropReason:
    """Run midi2abc on one file."""
    run = _run("midi2abc", ["in.mid", "-o", "out.abc"], {"in.mid": data})
    _check_ran("midi2abc", run)
    if run.ending is Ending.EXITED and run.exit_code == 0:
        text = run.files.get("out.abc", b"").decode("latin-1")
        if "K:" in text:
            return text
    return _reason(run)


def _run(
    name: str,
    arguments: Sequence[str],
    files: Mapping[str, bytes],
    output_bytes: int = OUTPUT_BYTES,
) -> LimitedRun:
    """Run one of the programs on files."""
    try:
        return run_limited([_program(name), *arguments], files=files, output_bytes=output_bytes)
    except SandboxFailed as error:
        raise ConverterNotRun(f"{name} could not be run: {error}") from error


def _check_ran(name: str, run: LimitedRun) -> None:
    """Refuse a run on a single tune that says nothing of the tune.

    Neither program waits for anything, so one that ran out of wall time before its CPU time was not
    let run; neither ends with 126 or 127, a shell's words for "could not be executed"; and SIGKILL
    comes from outside, when memory runs out.
    """
    reasons = {126: "it cannot be executed", 127: "it was not found", -9: "it was killed (SIGKILL)"}
    why = reasons.get(run.exit_code)
    if run.ending is Ending.WALL_LIMIT:
        why = f"it took over {WALL_SECONDS:.0f} seconds, almost none of them computing"
    if why is not None:
        said = run.output[:200].decode("latin-1").strip()
        raise ConverterNotRun(f"{name} could not be run: {why}" + (f": {said}" if said else ""))


def _program(name: str) -> Path:
    """Locate a program inside the symusic package without importing it."""
    spec = importlib.util.find_spec("symusic")
    if spec is None or spec.origin is None:
        raise ConverterMissing(
            f"{name} is not installed: it comes with symusic; pip install symusic==0.6.0"
        )
    for file in (name, f"{name}.exe"):
        path = Path(spec.origin).parent / "bin" / file
        if path.is_file():
            return path
    raise ConverterMissing(
        f"{spec.origin}: this symusic has no bin/{name}; pip install symusic==0.6.0"
    )
