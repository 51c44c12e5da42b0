"""Run one foreign program on foreign bytes, in a process of its own with limits.

What it guarantees on Linux:

- CPU seconds, address space, size of every file written, no core dump (`setrlimit`, inherited by
  whatever the program starts), and a wall-clock limit after which the whole process group is
  killed;
- an empty working directory of its own, an environment of two variables, no open files, nothing on
  stdin but what was given;
- stdout and stderr go to a file, so they obey the same size limit and cannot block;
- no network, where the kernel lets an unprivileged process make a network namespace (`unshare`);
  `network_is_cut()` says whether it does here.

What it does **not**: it hides no files (the program can read what the user can read, and write
where the user may), it does not bound the number of files or processes, and outside Linux the
memory limit and the network are best effort.
"""

import functools
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
    """As `subprocess` has it: negative is the number of the signal."""
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
        command = [
            *(_SHELL, "-c", _LIMIT_SCRIPT, "sh"),
            *(str(cpu_seconds), str(-(-memory_bytes // 1024)), str(-(-output_bytes // 512))),
            *(_NETWORK_CUTTER if network_is_cut() else ()),
            *(str(program), *map(str, argv[1:])),
        ]
        printed = Path(scratch, "output")
        exit_code = _run(command, work, Path(scratch, "stdin"), printed, wall_seconds)
        found = [path for path in sorted(work.iterdir()) if _is_new_file(path, files)]
        total = printed.stat().st_size + sum(path.lstat().st_size for path in found)
        ending = _ending(exit_code)
        if total > output_bytes:
            ending = Ending.OUTPUT_LIMIT
        if ending is Ending.OUTPUT_LIMIT:
            found = []
        with printed.open("rb") as stream:
            output = stream.read(output_bytes)
        return LimitedRun(
            ending=ending,
            exit_code=exit_code if exit_code is not None else -signal.SIGKILL,
            output=output,
            files={path.name: path.read_bytes() for path in found},
        )


@functools.cache
def network_is_cut() -> bool:
    """Return whether programs run here without a network."""
    if not _NETWORK_CUTTER[0]:
        return False
    probe = subprocess.run(
        [*_NETWORK_CUTTER, _SHELL, "-c", ":"], capture_output=True, check=False, timeout=60
    )
    return probe.returncode == 0


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
_NETWORK_CUTTER = (shutil.which("unshare") or "", "--map-root-user", "--net", "--")

# A shell sets the limits, because Python code between fork and exec is not safe beside threads.
# The soft CPU limit alone sends SIGXCPU, which tells it from other kills. POSIX counts -f in 512
# bytes. macOS has no -v; there the memory limit is left out.
_LIMIT_SCRIPT = """
ulimit -c 0; ulimit -S -t "$1"; ulimit -H -t "$(($1 + 1))"; ulimit -f "$3"
ulimit -v "$2" 2>/dev/null || :
shift 3; exec "$@"
"""


def _run(
    command: Sequence[str], work: Path, stdin: Path, printed: Path, wall_seconds: float
) -> int | None:
    """Run to the end, return the exit code, or `None` after a kill for time."""
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
        return None if overdue.is_set() else exit_code


def _kill_group(group: int) -> None:
    """Kill whatever is left of a process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nothing is left; macOS says "not permitted" for a group of finished processes.
        return


def _is_new_file(path: Path, given: Mapping[str, bytes]) -> bool:
    """Return whether the program made this plain file (no link, no folder)."""
    return path.name not in given and path.is_file() and not path.is_symlink()


def _ending(exit_code: int | None) -> Ending:
    """Tell the kinds of end apart."""
    if exit_code is None:
        return Ending.WALL_LIMIT
    if exit_code >= 0:
        return Ending.EXITED
    by_signal = {signal.SIGXCPU: Ending.CPU_LIMIT, signal.SIGXFSZ: Ending.OUTPUT_LIMIT}
    return by_signal.get(signal.Signals(-exit_code), Ending.CRASHED)
