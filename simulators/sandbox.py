"""Run one foreign program on foreign bytes, in a process of its own with limits.

What it guarantees on Linux:

- CPU seconds, address space, size of every file written, no core dump (`setrlimit`, inherited by
  whatever the program starts), and a wall-clock limit;
- at the end, however it comes, the whole process group is killed;
- an empty working directory of its own, an environment of two variables, no open files, nothing on
  stdin but what was given;
- stdout and stderr go to a file, so they obey the same size limit and cannot block;
- no network, and no process that outlives the run or can signal one outside it, where the kernel
  lets an unprivileged process make namespaces for both (`unshare`); `network_is_cut()` and
  `processes_are_contained()` say whether it does here.

What it does **not**: it hides no files (the program can read what the user can read, and write
where the user may), and it does not bound the number of files or processes. Outside Linux the
memory limit is best effort. Where processes are not contained, one that leaves its session
(`setsid`) lives on after the run.
"""

import functools
import math
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CPU_SECONDS = 2
MEMORY_BYTES = 256 * 2**20
OUTPUT_BYTES = 2**20
WALL_SECONDS = 20.0
"""Ten times the CPU limit: a program that only waits must end, one on a busy machine must not."""


class SandboxFailed(RuntimeError):  # noqa: N818 - a state of the machine
    """The program was never started: no memory, no process or no namespace was to be had."""


class Ending(StrEnum):
    """How a run ended."""

    EXITED = "exited"
    """By itself; `exit_code` says with what."""
    CRASHED = "crashed"
    """Killed by a signal that no limit of ours sent."""
    CPU_LIMIT = "cpu_limit"
    WALL_LIMIT = "wall_limit"
    OUTPUT_LIMIT = "output_limit"
    """One file, or all of them and the printed output together, went over the limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitedRun:
    """What came of a run."""

    ending: Ending
    exit_code: int
    """As `subprocess` has it: negative is the number of the signal. The program's end comes through
    a shell, so its own exit code of 129 to 192 counts as death by signal 1 to 64."""
    output: bytes
    """Standard output and standard error together, in the order they were written."""
    files: Mapping[str, bytes]
    """Plain files in the working directory afterwards, by name; empty after `OUTPUT_LIMIT`."""


def run_limited(
    argv: Sequence[str | Path],
    *,
    files: Mapping[str, bytes],
    stdin: bytes = b"",
    cpu_seconds: int = CPU_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
    output_bytes: int = OUTPUT_BYTES,
    wall_seconds: float = WALL_SECONDS,
) -> LimitedRun:
    """Run `argv` in an empty folder that holds `files`, and return what it printed and wrote.

    `argv[0]` is the path of an executable file; names in `files` are plain file names.

    Raises:
        FileNotFoundError: `argv[0]` is not an executable file.
        SandboxFailed: the program was not started.
        ValueError: a name in `files` is not a plain file name.
    """
    program = Path(argv[0]).absolute()
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise FileNotFoundError(f"{program}: no such executable file")
    with tempfile.TemporaryDirectory(prefix="byteworld-", dir=_scratch(output_bytes)) as scratch:
        work = Path(scratch, "work")
        work.mkdir()
        for name, data in files.items():
            if Path(name).name != name:
                raise ValueError(f"{name!r} is not a plain file name")
            (work / name).write_bytes(data)
        Path(scratch, "stdin").write_bytes(stdin)
        marker, printed = Path(scratch, "started"), Path(scratch, "output")
        command = [
            *_script_in(_namespaces(), math.ceil(wall_seconds) + 1),
            *(str(cpu_seconds), str(-(-memory_bytes // 1024)), str(-(-output_bytes // 512))),
            *(str(marker), str(program), *map(str, argv[1:])),
        ]
        exit_code = _run(command, work, Path(scratch, "stdin"), printed, wall_seconds)
        if exit_code is not None and not marker.exists():
            said = printed.read_bytes()[:200].decode("utf-8", "replace").strip()
            raise SandboxFailed(f"{program} was not started: code {exit_code}, {said!r}")
        found = _take_new_files(work, files, output_bytes - printed.stat().st_size)
        ending = Ending.OUTPUT_LIMIT if found is None else _ending(exit_code)
        with printed.open("rb") as stream:
            output = stream.read(output_bytes)
        return LimitedRun(
            ending=ending,
            exit_code=exit_code if exit_code is not None else -signal.SIGKILL,
            output=output,
            files={} if found is None or ending is Ending.OUTPUT_LIMIT else found,
        )


def network_is_cut() -> bool:
    """Return whether programs run here without a network."""
    return "--net" in _namespaces()


def processes_are_contained() -> bool:
    """Return whether whatever a program starts ends with its run, `setsid` or not."""
    return "--pid" in _namespaces()


_SHARED_MEMORY = Path("/dev/shm")


def _scratch(output_bytes: int) -> Path | None:
    """Return a folder in memory where there is one with room, else `None` for the usual one.

    A batch of 200 tunes takes 8 ms there against 30-70 ms on a disk.
    """
    if "TMPDIR" in os.environ or not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return None
    room = os.statvfs(_SHARED_MEMORY)
    return _SHARED_MEMORY if room.f_bavail * room.f_frsize >= 4 * output_bytes else None


_SHELL = "/bin/sh"
_UNSHARE = shutil.which("unshare")

# A shell sets the limits, because Python code between fork and exec is not safe beside threads.
# The soft CPU limit alone sends SIGXCPU, which tells it from other kills. POSIX counts -f in 512
# bytes. macOS has no -v; there the memory limit is left out.
#
# `unshare --pid` moves only what the shell starts. The first is the new namespace's process 1, and
# the kernel kills all the others with it: a `sleep`, which ends by itself should nobody be left to
# kill it. Waiting for it is waiting for all of them. The program must not be process 1, which is
# deaf to signals, nor a child of `unshare --fork`, which tells of SIGKILL as exit code 1
# (util-linux 2.38). The shell's own words ("Killed") are not the program's output.
_SCRIPT = """
if [ "$1" ]; then sleep "$1" </dev/null >/dev/null 2>&1 & fi
exec 3>&2 2>/dev/null
(
  exec 2>&3 3>&-
  ulimit -c 0; ulimit -S -t "$2"; ulimit -H -t "$(($2 + 1))"; ulimit -f "$4"
  ulimit -v "$3" 2>/dev/null || :
  : > "$5"; shift 5; exec "$@"
)
code=$?
if [ "$1" ]; then kill -KILL $!; wait $!; fi
exit $code
"""


@functools.cache
def _namespaces() -> tuple[str, ...]:
    """Return the namespaces that can be had here, as options of `unshare`: the most that work."""
    if _UNSHARE is not None:
        for options in (("--map-root-user", "--net", "--pid"), ("--map-root-user", "--net")):
            limits = (str(CPU_SECONDS), str(MEMORY_BYTES // 1024), str(OUTPUT_BYTES // 512))
            probe = subprocess.run(
                [*_script_in(options, 1), *limits, os.devnull, _SHELL, "-c", "kill -KILL $$"],
                capture_output=True,
                check=False,
                timeout=60,
            )
            if probe.returncode == _KILLED:
                return options
    return ()


def _script_in(namespaces: Sequence[str], hold_seconds: int) -> list[str]:
    """Return the command, still without limits, marker and program: `_SCRIPT` in namespaces."""
    unshare = [_UNSHARE, *namespaces, "--"] if _UNSHARE and namespaces else []
    return [
        *unshare,
        _SHELL,
        "-c",
        _SCRIPT,
        "sh",
        str(hold_seconds) if "--pid" in namespaces else "",
    ]


_BY_SIGNAL = 128
"""A shell reports a death by signal `n` as exit code 128 + n."""
_KILLED = _BY_SIGNAL + signal.SIGKILL
_LAST_SIGNAL = 64


def _run(
    command: Sequence[str], work: Path, stdin: Path, printed: Path, wall_seconds: float
) -> int | None:
    """Run to the end, return `LimitedRun.exit_code`, or `None` after a kill for time."""
    with stdin.open("rb") as given, printed.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=work,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # Not `wait(timeout)`: it polls, and sleeps up to 50 ms past the end of a 10 ms run.
        overdue = threading.Event()

        def stop() -> None:
            overdue.set()
            _kill_group(process.pid)

        timer = threading.Timer(wall_seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            exit_code = process.wait()
        finally:
            timer.cancel()
            _kill_group(process.pid)
            process.wait()
        if overdue.is_set():
            return None
        by_signal = _BY_SIGNAL < exit_code <= _BY_SIGNAL + _LAST_SIGNAL
        return _BY_SIGNAL - exit_code if by_signal else exit_code


def _kill_group(group: int) -> None:
    """Kill whatever is left of a process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nothing is left; macOS says "not permitted" for a group of finished processes.
        return


def _take_new_files(work: Path, given: Mapping[str, bytes], room: int) -> dict[str, bytes] | None:
    """Return the plain files (no links, no folders) that the program made, and delete them.

    They come sorted by name. `None` if they are over `room` bytes together. By system calls on the
    open folder: with a `Path` for each file, a batch of 400 files took as long here as in abc2midi.
    """
    with os.scandir(work) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name not in given and entry.is_file(follow_symlinks=False)
        )
    if room < 0:
        return None
    found: dict[str, bytes] = {}
    folder = os.open(work, os.O_RDONLY)
    try:
        for name in names:
            # Never through a link nor into a pipe, whatever has become of the name since.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            try:
                size = os.fstat(file).st_size
                room -= size
                if room < 0:
                    return None
                found[name] = os.read(file, size)
            finally:
                os.close(file)
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)
    return found


def _ending(exit_code: int | None) -> Ending:
    """Tell the kinds of end apart."""
    if exit_code is None:
        return Ending.WALL_LIMIT
    if exit_code >= 0:
        return Ending.EXITED
    # By number: `signal.Signals` has no names for most real-time signals.
    by_signal = {int(signal.SIGXCPU): Ending.CPU_LIMIT, int(signal.SIGXFSZ): Ending.OUTPUT_LIMIT}
    return by_signal.get(-exit_code, Ending.CRASHED)
