"""Metrics have each step once, however a run ended before."""

import json
from pathlib import Path

from bgpt.telemetry import Evaluation, MetricsLog, Record, read_metrics


def record(step: int, evaluation: Evaluation | None = None) -> Record:
    return Record(
        step=step, samples=4 * step, bytes=100 * step, wall_seconds=0.5, cpu_seconds=0.4,
        train_bits_per_byte=1 / step, learning_rate=0.01, eval=evaluation,
    )  # fmt: skip


def write(run: Path, steps: range, *, resumed_step: int | None) -> None:
    log = MetricsLog(run, resumed_step=resumed_step)
    for step in steps:
        log.write(record(step, Evaluation(bits_per_byte=2.0, byte_accuracy=0.5, n=3)))
    log.close()


def test_a_resumed_log_drops_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, range(1, 8), resumed_step=None)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "samp')
    write(tmp_path, range(6, 10), resumed_step=5)
    assert [r["step"] for r in read_metrics(tmp_path)] == list(range(1, 10))
    for name in ("train_bits_per_byte.tsv", "eval/byte_accuracy.tsv"):
        lines = (tmp_path / "dvclive/plots/metrics" / name).read_text().splitlines()
        assert [line.split("\t")[0] for line in lines] == ["step", *map(str, range(1, 10))]


def test_a_fresh_log_starts_over(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4), resumed_step=None)
    write(tmp_path, range(1, 3), resumed_step=None)
    assert [r["step"] for r in read_metrics(tmp_path)] == [1, 2]
    lines = (tmp_path / "dvclive/plots/metrics/learning_rate.tsv").read_text().splitlines()
    assert len(lines) == 3


def test_a_half_written_line_alone_is_dropped_too(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1')
    write(tmp_path, range(2, 3), resumed_step=1)
    assert [r["step"] for r in read_metrics(tmp_path)] == [2]


def test_a_line_is_json_of_the_documented_keys(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, resumed_step=None)
    log.write(record(2))
    log.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "step": 2, "samples": 8, "bytes": 200, "wall_seconds": 0.5, "cpu_seconds": 0.4,
        "train_bits_per_byte": 0.5, "learning_rate": 0.01, "eval": None,
    }  # fmt: skip
