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
- a tune with notes or numbers out of all range never shares a process;
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from simulators.music.conversion.golden import golden_text, golden_tunes
from simulators.music.conversion.presets import (
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

    Tunes must be in normal form (`simulators.music.abc.canonical`); others may disturb their
    neighbours' bytes. What the presets are says `simulators.music.conversion.presets`.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
        ValueError: a tune does not start with `X:1`, has an empty line, or no last line end; or
            there is no such preset.
    """
    check_preset(preset)
    _check_forms(tunes)
    texts = [with_directives(tune, preset) for tune in tunes]
    results = _convert_batches(texts, _convert_one)
    return with_compact_files(results) if preset == "compact" else results


class Conversion(NamedTuple):
    """What abc2midi made of one text, well or badly."""

    files: tuple[bytes, ...]
    """The files that it wrote, by name; one for each tune, none after a limit or a crash."""
    fault: DropReason | None
    """What was wrong; `None` where it ended by itself with 0, wrote, and reported no error."""


def convert_alone(text: bytes) -> Conversion:
    """Convert whatever stands in `text`, in a process of its own.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
    """
    run = _run("abc2midi", ["in.abc", "-quiet"], {"in.abc": text})
    _check_ran("abc2midi", run)
    files = tuple(run.files[name] for name in sorted(run.files))
    well = run.ending is Ending.EXITED and run.exit_code == 0 and b"Error" not in run.output
    if run.ending is not Ending.EXITED:
        files = ()
    return Conversion(files, None if well and files and all(files) else _reason(run))


def convert_all(tunes: Sequence[str]) -> list[Conversion]:
    """Return what `convert_alone` does for every tune, a batch in one process as `convert` has it.

    The tunes must be in normal form, for the same reason.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
        ValueError: a tune does not start with `X:1`, has an empty line, or no last line end.
    """
    _check_forms(tunes)
    return [
        found if isinstance(found, Conversion) else Conversion((found,), None)
        for found in _convert_batches(tunes, lambda tune: convert_alone(tune.encode("ascii")))
    ]


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

    A known build passes by its sha256. Any other converts the golden tunes first, under the preset
    `plain` alone; it passes if every byte comes out alike.

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
    the golden tunes can tell, which are converted under the preset `plain` only. Another preset
    adds its name and no files: its hash keeps corpora apart, and says nothing of its bytes.
    """
    check_preset(preset)
    name = "" if preset == "plain" else f"preset {preset}\n"
    return hashlib.sha256(f"{golden_text()}{name}".encode()).hexdigest()


@functools.lru_cache(maxsize=4)
def _check_build(program: Path, _changed_ns: int) -> None:
    """Check one state of the program file, once a process, by the golden files of `plain`."""
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


_Alone = TypeVar("_Alone")
"""What comes of a tune that is converted alone."""
_FIRST_LINE = "X:1\n"
_SENTINEL = "L:1/8\nM:4/4\nK:C\nCDEF GABc|\n"
"""A tune between the tunes. Where it comes out otherwise than at the start of the process, the tune
before it has left something behind (an unfinished tuplet does, and nothing is reported)."""

_EXTREME = re.compile(r"[,']{5}|[0-9]{4}")
"""Tunes that never share a process. Beyond ten octaves abc2midi reads accidentals from outside its
table, where the tunes before have left what they left, and no sentinel shows it. Numbers of four
digits make files without end, which end a whole batch and name nobody."""
_ERROR_LINE = re.compile(rb"Error in line-char (\d+)-")


def _check_forms(tunes: Sequence[str]) -> None:
    """Refuse what is clearly not in normal form."""
    for number, tune in enumerate(tunes):
        if not tune.startswith(_FIRST_LINE) or not tune.endswith("\n") or "\n\n" in tune:
            raise ValueError(f"tune {number} is not in normal form: {tune[:60]!r}")


def _convert_batches(tunes: Sequence[str], alone: Callable[[str], _Alone]) -> list[bytes | _Alone]:
    """Convert tunes in batches; where that goes wrong, the tune at fault by `alone`."""
    apart = {i: alone(tune) for i, tune in enumerate(tunes) if _EXTREME.search(tune)}
    together = [tune for i, tune in enumerate(tunes) if i not in apart]
    rest: list[bytes | _Alone] = []
    for start in range(0, len(together), BATCH_TUNES):
        rest += _convert_batch(together[start : start + BATCH_TUNES], alone)
    others = iter(rest)
    return [apart[i] if i in apart else next(others) for i in range(len(tunes))]


def _convert_batch(tunes: Sequence[str], alone: Callable[[str], _Alone]) -> list[bytes | _Alone]:
    """Convert tunes in one process if it goes well, else in parts."""
    if len(tunes) < 2:
        return [alone(tune) for tune in tunes]
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
        # Alone, what a tune prints and writes must stay below the limit of a single run.
        room = OUTPUT_BYTES - len(run.output)
        suspects.update(i for i, data in enumerate(converted) if len(data) > room)
        if run.output.count(b"Error") == len(named):
            # The program writes a tune's file before it reads on: as far as the first suspect, this
            # was a batch without any trouble.
            done = min(suspects, default=len(tunes))
    if done == len(tunes):
        return list(converted)
    results: list[bytes | _Alone] = list(converted[:done])
    if suspects and len(suspects) < len(tunes):
        apart = {i: alone(tunes[i]) for i in sorted(suspects)}
        others = [tunes[i] for i in range(done, len(tunes)) if i not in apart]
        rest = iter(_convert_batch(others, alone))
        return results + [apart[i] if i in apart else next(rest) for i in range(done, len(tunes))]
    middle = len(tunes) // 2
    return _convert_batch(tunes[:middle], alone) + _convert_batch(tunes[middle:], alone)


def _convert_one(tune: str) -> bytes | DropReason:
    """Convert one tune in a process of its own: what every batch must agree with."""
    files, fault = convert_alone(tune.encode("ascii"))
    return files[0] if fault is None else fault


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
