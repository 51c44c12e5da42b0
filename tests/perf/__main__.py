"""Measure speeds and write them to a JSON file: `make bench`.

Every module `tests/perf/*_bench.py` has a function `bench()` that returns rows of: name, unit,
median, n, and the baseline taken in the same run with its median and the ratio. Rows of the model
have the floor and the target of `speed_table` beside it, and a missed floor is a line on stderr.
Nothing here fails because a machine is slow; a person reads the ratios.
"""

import argparse
import importlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from tests.perf.speed_table import missed_floor

PACKAGES = ("numpy", "numba", "torch", "webdataset", "transformers", "pyarrow", "unicorn")


def main() -> None:
    """Run all benchmarks, or those named, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="e.g. shards train; all by default")
    parser.add_argument("--out", type=Path, default=Path("bench/bench.json"))
    parser.add_argument(
        "--go-on", action="store_true", help="keep what --out already has, measured on this machine"
    )
    options = parser.parse_args()
    here = Path(__file__).parent
    known = sorted(path.stem.removesuffix("_bench") for path in here.glob("*_bench.py"))
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"unknown benchmark {sorted(unknown)}; known: {', '.join(known)}")
    report: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**machine(PACKAGES), "load_before": os.getloadavg()[0]},
        "rows": [],
    }
    if options.go_on and options.out.exists():
        report = _before(options.out, report)
    done = {row["bench"] for row in report["rows"]}
    for name in options.names or known:
        if name in done:
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows = importlib.import_module(f"tests.perf.{name}_bench").bench()
        assert rows, f"{name} measured nothing"
        for row in rows:
            report["rows"].append({"bench": name, **row})
            ratio = f", {row['ratio']:.2f}x {row['baseline']}" if row.get("ratio") else ""
            print(f"  {row['name']}: {row['median']:,.0f} {row['unit']}{ratio}", file=sys.stderr)
            if missed := missed_floor(row):
                print(f"  {missed}", file=sys.stderr)
        _write(options.out, report)
    print(options.out)


def _before(path: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """Return the report at `path`, to which benchmarks are added; refuse another machine's."""
    found: dict[str, Any] = json.loads(path.read_text())
    for key in fresh["machine"].keys() - {"load_before"}:
        if found["machine"][key] != fresh["machine"][key]:
            raise SystemExit(
                f"{path}: measured with {key} {found['machine'][key]!r}, here it is "
                f"{fresh['machine'][key]!r}; leave out --go-on, or name another --out"
            )
    return found


def _write(path: Path, report: dict[str, Any]) -> None:
    """Write what is measured so far, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=1) + "\n")
    partial.replace(path)


if __name__ == "__main__":
    main()
