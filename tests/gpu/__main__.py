"""All that a GPU can say, in one command that writes one JSON file: `make gpu`.

    python -m tests.gpu --out gpu.json

It runs the tests of this folder, then measures training and decoding against the authors' way, then
trains the paper's model and the compact one for `--seconds` each and keeps their curves.
`--device cpu --seconds 5` is a dry run with narrow models: it shows that the command works, and its
figures mean nothing. Exit code 1: a test or a measurement failed; the file has what else was found.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""Dense bfloat16 products a second by name of the GPU, from its maker's data sheets (SXM forms)."""


def run_tests(tests: Path = HERE) -> dict[str, Any]:
    """Run the tests that need a GPU in a process of their own; return their counts."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", str(tests), "-m", "gpu", "-q", f"--junitxml={report}"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None, done.stdout
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    # 5: nothing was collected, as on a machine without a GPU.
    is_good = done.returncode in (0, 5)
    return {**counts, "exit_code": done.returncode, "output": "" if is_good else done.stdout}


def machine(device: str) -> dict[str, Any]:
    """Return what the figures were measured on."""
    import torch

    from benchmarks.machine import machine as processor
    from tests.perf.__main__ import PACKAGES

    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    found: dict[str, Any] = {
        **processor(PACKAGES),
        "load_before": os.getloadavg()[0],
        "commit": commit or None,
        "cuda": torch.version.cuda,
    }
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        found |= {"gpu": gpu.name, "gpu_memory_bytes": gpu.total_memory}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all and write the file; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/gpu.json"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=180, help="of each model's training")
    parser.add_argument(
        "--peak-tflops", type=float, help="dense bfloat16 TFLOP/s, for a GPU that is not known here"
    )
    options = parser.parse_args(arguments)
    # cuBLAS looks at this once, at its first product in the process.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    from tests.gpu import measuring

    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device; --device cpu is a dry run")
    found = machine(options.device)
    peak = options.peak_tflops and options.peak_tflops * 1e12
    for name, flops in PEAK_FLOPS.items():
        peak = peak or (flops if name in found.get("gpu", "") else None)
    is_dry = options.device == "cpu"
    setting = (measuring.dry_setting if is_dry else measuring.full_setting)(peak)
    report: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": options.device,
        "is_dry_run": is_dry,
        "machine": found,
        "peak_flops": peak,
    }
    with tempfile.TemporaryDirectory() as folder:
        sections: dict[str, Callable[[], Any]] = {
            "tests": run_tests,
            "training_speed": lambda: measuring.training_speed(setting),
            "decoding_speed": lambda: measuring.decoding_speed(setting),
            "learning": lambda: measuring.learning(setting, options.seconds, Path(folder)),
        }
        errors: dict[str, str] = {}
        for name, measure in sections.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                report[name] = measure()
            except Exception:  # noqa: BLE001 - what else was measured is worth keeping
                report[name], errors[name] = None, traceback.format_exc()
    report["errors"] = errors
    options.out.parent.mkdir(parents=True, exist_ok=True)
    partial = options.out.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=1) + "\n")
    partial.replace(options.out)
    print(options.out)
    is_good = not errors and not report["tests"]["output"]
    return 0 if is_good and not any("error" in row for row in report["training_speed"]) else 1


if __name__ == "__main__":
    sys.exit(main())
