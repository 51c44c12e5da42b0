import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.engine import EngineError, LocalEngine

ROOT = Path(__file__).parents[2]


def run_script(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run `body` as a program: workers import their functions from a real main module."""
    script = tmp_path / "script.py"
    script.write_text(f"import os, sys, time\nfrom pipelines.engine import *\n{body}")
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_one_worker_runs_in_this_process() -> None:
    assert set(LocalEngine(1).run(lambda _: os.getpid(), [1, 2, 3])) == {os.getpid()}


def test_no_jobs_start_no_process() -> None:
    assert list(LocalEngine(8).run(lambda _: os.getpid(), [])) == []


def test_zero_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="0 workers: at least one is needed"):
        LocalEngine(0)


def test_two_workers_do_every_job_once_in_other_processes(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
def work(job): return job, os.getpid()
if __name__ == "__main__":
    found = list(LocalEngine(2).run(work, list(range(50))))
    assert sorted(job for job, _ in found) == list(range(50))
    assert len({pid for _, pid in found}) <= 2 and os.getpid() not in {pid for _, pid in found}
    print("fine")
""",
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_dead_worker_is_a_clear_error_and_a_failed_job_raises_what_it_raised(
    tmp_path: Path,
) -> None:
    done = run_script(
        tmp_path,
        """
class Odd(Exception):
    def __init__(self, a, b): super().__init__("odd one")
def die(job):
    if job == 3: os._exit(7)
def fail(job):
    if job == 3: raise ValueError("job three")
def odd(job): raise Odd(1, 2)
if __name__ == "__main__":
    for work in (die, fail, odd):
        try:
            list(LocalEngine(2).run(work, list(range(9))))
        except Exception as error:
            print(type(error).__name__, str(error).strip().splitlines()[-1])
""",
    )
    assert done.stdout.splitlines() == [
        "EngineError a worker process died (exit code 7); the machine may be out of memory. "
        "Run the same command again, with fewer workers: it goes on where it stopped",
        "ValueError job three",
        "EngineError __main__.Odd: odd one".replace("__main__", "__mp_main__"),
    ]
    assert done.stderr == ""
    assert issubclass(EngineError, RuntimeError)


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
def work(job):
    time.sleep(0.1)
    return os.getpid()
if __name__ == "__main__":
    seen = set()
    for pid in LocalEngine(2).run(work, list(range(500))):
        if pid not in seen:
            print(pid, flush=True)
        seen.add(pid)
        if len(seen) == 2:
            os.kill(os.getpid(), 9)
""",
    )
    assert done.returncode == -9
    workers = {int(pid) for pid in done.stdout.split()}
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker is still alive"
        time.sleep(0.02)
