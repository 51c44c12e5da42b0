"""The sandbox: every limit stops what it should, and a well-behaved program is left alone."""

import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from simulators import sandbox
from simulators.sandbox import (
    Ending,
    LimitedRun,
    SandboxFailed,
    network_is_cut,
    processes_are_contained,
    run_limited,
)

SHELL = "/bin/sh"


def shell(script: str, **limits: int | float) -> LimitedRun:
    return run_limited([SHELL, "-c", script], files={}, **limits)  # pyright: ignore[reportArgumentType]


def test_a_program_sees_its_files_and_stdin_and_gives_back_what_it_printed_and_wrote() -> None:
    run = run_limited(
        [SHELL, "-c", "ls; cat given; cat; echo problem >&2; printf made > new; exit 3"],
        files={"given": b"A\n"},
        stdin=b"B\n",
    )
    assert run.ending is Ending.EXITED
    assert run.exit_code == 3
    assert run.output == b"given\nA\nB\nproblem\n"
    assert run.files == {"new": b"made"}


@pytest.mark.parametrize(
    ("script", "limits", "ending"),
    [
        # busy for ever
        ("while :; do :; done", {"cpu_seconds": 1}, Ending.CPU_LIMIT),
        # asleep: no CPU at all
        ("sleep 60", {"wall_seconds": 0.2}, Ending.WALL_LIMIT),
        # one file too large
        ("exec head -c 300000 /dev/zero > big", {"output_bytes": 100_000}, Ending.OUTPUT_LIMIT),
        # files that are too large only together
        ("for i in 1 2 3; do head -c 50000 /dev/zero > $i; done", {"output_bytes": 100_000},
         Ending.OUTPUT_LIMIT),
        # printing without end
        ("exec yes", {"output_bytes": 100_000}, Ending.OUTPUT_LIMIT),
        # a fault of its own
        ("kill -SEGV $$", {}, Ending.CRASHED),
        # killed from outside, as when memory runs out
        ("kill -KILL $$", {}, Ending.CRASHED),
        # a signal without a name
        ("kill -40 $$", {}, Ending.CRASHED),
    ],
)  # fmt: skip
def test_every_limit_has_its_own_ending(
    script: str, limits: dict[str, int | float], ending: Ending
) -> None:
    run = shell(script, **limits)
    assert run.ending is ending
    assert run.exit_code < 0 or ending is Ending.OUTPUT_LIMIT
    assert len(run.output) <= limits.get("output_bytes", 2**20)
    assert run.files == {}


@pytest.mark.skipif(sys.platform != "linux", reason="no address-space limit outside Linux")
def test_memory_is_limited() -> None:
    script = f"exec {sys.executable} -S -c 'print(len(bytearray(%d)))'"
    assert shell(script % 10_000_000).output == b"10000000\n"
    refused = shell(script % 500_000_000)
    assert refused.exit_code == 1
    assert b"MemoryError" in refused.output


def test_a_program_has_no_network_where_it_can_be_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # The server can be reached from here, so a refusal below is the sandbox's doing.
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        run = run_limited([sys.executable, "-S", "-c", connect], files={})
    assert (run.exit_code == 0) is not network_is_cut()


@pytest.fixture(params=["all", "network only", "none"])
def namespaces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Each degree of isolation that is to be had here."""
    had = sandbox._namespaces()
    options = {"all": had, "network only": had[:2], "none": ()}[request.param]
    monkeypatch.setattr(sandbox, "_namespaces", lambda: options)
    return options


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("script", "ending", "exit_code"),
    [
        ("exit 3", Ending.EXITED, 3),
        ("exit 255", Ending.EXITED, 255),
        ("kill -SEGV $$", Ending.CRASHED, -11),
        ("kill -KILL $$", Ending.CRASHED, -9),
        ("kill -XCPU $$", Ending.CPU_LIMIT, -24),
        ("kill -XFSZ $$", Ending.OUTPUT_LIMIT, -25),
    ],
)
def test_an_end_reads_the_same_whatever_the_isolation(
    script: str, ending: Ending, exit_code: int
) -> None:
    run = shell(f"echo said; {script}")
    assert (run.ending, run.exit_code, run.output) == (ending, exit_code, b"said\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("start", ["", "setsid"])
@pytest.mark.parametrize("end", ["exit 0", "kill -SEGV $$", "wait"])
def test_what_a_program_leaves_running_is_killed(
    start: str, end: str, namespaces: tuple[str, ...]
) -> None:
    if start == "setsid" and "--pid" not in namespaces:
        start = ""  # a process that left its session lives on where processes are not contained
    mark = uuid.uuid4().hex
    left = f"{start} {SHELL} -c 'echo up; sleep 60; :' {mark}"
    run = shell(f"{left} & sleep 0.05; {end}", wall_seconds=0.5)
    assert run.output == b"up\n"
    for _ in range(100):
        if not _processes(mark):
            return
        time.sleep(0.02)
    pytest.fail(f"still running: {_processes(mark)}")


def _processes(mark: str) -> list[bytes]:
    """Return the command lines that name `mark`; a zombie has none."""
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in line:
            found.append(line)
    return found


def test_the_sandbox_says_what_it_isolates(namespaces: tuple[str, ...]) -> None:
    assert network_is_cut() is ("--net" in namespaces)
    assert processes_are_contained() is ("--pid" in namespaces)


def test_a_program_cannot_signal_processes_outside_its_run() -> None:
    if not processes_are_contained():
        pytest.skip("processes cannot be contained here: no PID namespace")
    bystander = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        run = shell(f"kill -KILL {bystander.pid}; kill -0 1 && echo own")
        assert run.output.endswith(b"own\n")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_program_that_was_never_started_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """`unshare` fails with code 1 and a word, which must not pass for the program's own."""
    options = ("--map-root-user", "--no-such-option")
    monkeypatch.setattr(sandbox, "_namespaces", lambda: options)
    monkeypatch.setattr(sandbox, "_UNSHARE", shutil.which("unshare") or "/bin/false")
    with pytest.raises(SandboxFailed, match=r"/bin/sh was not started: code 1, "):
        shell("exit 0")


def test_links_and_folders_are_not_brought_back() -> None:
    run = shell("ln -s /etc/passwd link; mkdir folder; echo x > file")
    assert set(run.files) == {"file"}


def test_a_program_inherits_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    names = {line.partition(b"=")[0] for line in shell("env").output.splitlines()}
    assert b"SECRET" not in names
    assert names <= {b"LC_ALL", b"PATH", b"PWD", b"OLDPWD", b"SHLVL", b"_"}


def test_runs_in_threads_do_not_disturb_each_other() -> None:
    runs: dict[int, bytes] = {}

    def work(number: int) -> None:
        runs[number] = shell(f"echo {number} > f; cat f").output

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == {number: b"%d\n" % number for number in range(8)}


def test_a_missing_program_and_a_path_as_file_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such executable file"):
        run_limited([tmp_path / "none"], files={})
    with pytest.raises(ValueError, match=r"'\.\./x' is not a plain file name"):
        run_limited([SHELL], files={"../x": b""})
    assert list(tmp_path.iterdir()) == []
