"""Every example that `bgpt --help` and its commands show is run, in a folder with what it names."""

import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml

from bgpt.__main__ import app, main
from bgpt.checkpoint import save_model
from bgpt.config import paper
from bgpt.interop import export_pth
from bgpt.layers import fast_dtype
from bgpt.model import Bgpt
from pipelines.build import build_corpus
from pipelines.sources.cpu import CpuOptions, CpuSource

COMMANDS = (
    "train", "eval", "generate", "simulate", "convert", "compress", "decompress", "import",
    "export", "info",
)  # fmt: skip
"""In this order: what one leaves, such as runs/cpu-toy, the next needs."""
NOT_RUN = ("torchrun ",)
"""Two processes that train together are tests/bgpt/test_ranks.py's."""
TINY = {
    "patch_width": 16, "patch_layers": 1, "patch_heads": 2, "patch_ffn": 32,
    "byte_width": 16, "byte_layers": 1, "byte_heads": 2, "byte_ffn": 32, "max_patches": 40,
}  # fmt: skip


def run(*arguments: str) -> tuple[int, str, str]:
    """Run a command in this process; return exit code, stdout and stderr."""
    out, err = TextIOWrapper(BytesIO(), encoding="latin-1", newline=""), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["bgpt", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    out.seek(0)
    code: Any = ended.value.code
    return code or 0, out.read(), err.getvalue()


def examples(*command: str) -> list[str]:
    """Return the lines below "Example:" in a command's help, or in that of the whole."""
    code, text, _ = run(*command, "--help")
    assert code == 0
    lines = text.split("Example:\n")[1].splitlines()
    return [line.strip() for line in lines[: lines.index("")]]


@pytest.fixture
def home(
    tmp_path: Path, tiny_model: Callable[[str], Bgpt], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder: parameters, a corpus, models of music, the authors' files, a tune, programs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BGPT_MODEL", raising=False)
    options = CpuOptions(system="toy", memory_bytes=64, max_instructions=16)
    source = CpuSource(corpus="cpu-toy", seed=0, options=options)
    build_corpus(source, {"train": 20, "test": 4}, tmp_path / "data/cpu-toy")
    train = {"steps": 2, "batch_size": 2, "eval_samples": 2}
    run_section = {"corpus": "cpu-toy", "model": TINY, "train": train}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"runs": {"cpu-toy": run_section}}))
    for name in ("abc-to-midi", "midi-to-abc"):
        provenance = {"corpus": "abc-midi", "directions": {name: 1.0}, "prompt_bytes": 0}
        save_model(tmp_path / "runs" / name / "model", tiny_model("compact-music"), provenance)
    sizes = {key: size for key, size in TINY.items() if key not in ("patch_width", "byte_width")}
    theirs = replace(paper(), **sizes, patch_width=64, byte_width=64)
    theirs = replace(theirs, patch_heads=1, byte_heads=1)
    save_model(tmp_path / "theirs", Bgpt(theirs))
    for name in ("text", "conversion", "cpu"):
        export_pth(tmp_path / "theirs", tmp_path / f"weights-{name}.pth")
    (tmp_path / "tune.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    for name in ("a.bin", "b.bin", "program.bin"):
        (tmp_path / name).write_bytes(bytes([11, 7, 0, 0]) + bytes(60 + 16))
    return tmp_path


def test_every_command_is_run() -> None:
    assert set(typer.main.get_command(app).commands) == set(COMMANDS)  # type: ignore[attr-defined]


def test_every_example_works_as_it_is_written(home: Path) -> None:
    torch.manual_seed(0)
    lines = [line for command in COMMANDS for line in examples(command)]
    assert examples() == lines[:1]
    to_run = [line for line in lines if not line.startswith(NOT_RUN)]
    # Several ranks: alone, and with weights in parts. `test_ranks` and `test_sharding` run those.
    assert len(lines) - len(to_run) == 2
    for line in to_run:
        name, *arguments = shlex.split(line)
        assert name == "bgpt", line
        code, _, err = run(*arguments)
        # A model that has learnt nothing is wrong about the machine, which is exit code 1.
        allowed = (0, 1) if "--compare" in arguments else (0,)
        if "--bf16" in arguments and fast_dtype("cpu") != torch.bfloat16:
            allowed = (2,)  # refused where the processor would only emulate it
            assert "--no-bf16" in err
        assert code in allowed, f"{line}: {err}"
    assert len(to_run) >= 13
    assert (home / "tune.mid").exists()
    assert (home / "a-again.bin").read_bytes() == (home / "a.bin").read_bytes()
    assert (home / "b.bgz").exists()
    assert (home / "tune-again.mid").read_bytes() == (home / "tune.mid").read_bytes()
    assert len(list((home / "tunes").glob("*.abc"))) == 8
    assert (home / "trace.bin").read_bytes()[:80] == (home / "program.bin").read_bytes()
