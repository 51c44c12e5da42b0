"""Compression with networks: small ones of every architecture, along the decoder's own path."""

import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgpt.byte_model import TrainedByteModel
from bgpt.checkpoint import CheckpointError, save_model
from bgpt.compress import compress, decompress
from bgpt.compressed_file import Refused, unpack
from bgpt.config import paper
from bgpt.entropy_coding import GROUP, Context
from bgpt.model import Bgpt
from bgpt.model_predictor import (
    ModelPredictor,
    TooLargeForMemory,
    model_identity,
    needed_memory,
    numerical_build,
)
from bgpt.patching import TooLong
from bgpt.protocol import Continuation, Prompt
from bgpt.weigh import score_file
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def saved(tmp_path: Path, tiny_model: Make) -> Callable[[str], Path]:
    """Return a maker of models on disk."""

    def save(name: str) -> Path:
        save_model(tmp_path / name, tiny_model(name))
        return tmp_path / name

    return save


def random_bytes(size: int) -> bytes:
    return bytes(random.Random(size).choices(range(256), k=size))


def comes_back(made: Path, read: Path, context: Context, data: bytes) -> bytes:
    """Compress with one predictor, decompress with a fresh one; return the compressed file."""
    packed = compress(ModelPredictor(made), context, data)
    assert decompress("f", unpack("f", packed), ModelPredictor(read), context) == data
    return packed


def test_two_hundred_files_come_back(saved: Callable[[str], Path]) -> None:
    path = saved("compact-cpu")
    one, other = ModelPredictor(path), ModelPredictor(path)
    context = Context(extension="bin")
    seen: list[int] = []

    @settings(
        max_examples=200, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(st.binary(max_size=20), st.integers(0, 3), st.binary(max_size=5))
    def come_back(part: bytes, times: int, tail: bytes) -> None:
        data = part * times + tail
        packed = compress(one, context, data)
        assert decompress("f", unpack("f", packed), other, context) == data
        seen.append(len(data))

    come_back()
    assert len(seen) >= 200
    assert min(seen) == 0
    assert max(seen) > 32


def test_a_file_far_over_the_context_comes_back(saved: Callable[[str], Path]) -> None:
    path = saved("rotary")
    context = Context(extension="bin")
    size = ModelPredictor(path).piece_bytes(context) * (GROUP + 1) + 17
    assert size > 19_000  # 40 patches of 16 are the context
    packed = comes_back(path, path, context, random_bytes(200) * (size // 200 + 1))
    assert packed[:2] == b"\xb6\x5a"


def test_a_file_takes_what_eval_says(
    saved: Callable[[str], Path], tiny_model: Make, tiny_name: str
) -> None:
    path, model = saved(tiny_name), tiny_model(tiny_name)
    piece = ModelPredictor(path).piece_bytes(Context(extension="bin"))
    assert piece == 38 * model.config.patch_size  # as long as the model reads
    data = random_bytes(piece - 108) + b"\0" * 108
    score = score_file(model, "f", Segment(extension="bin", data=data))
    predicted = score.total_nats / math.log(2) / 8
    packed = comes_back(path, path, Context(extension="bin"), data)
    assert len(packed) <= 1.01 * predicted + 32
    # And not for less than the bytes cost: the end mark is all that is spared.
    assert len(packed) >= 0.95 * predicted - 8


def test_a_given_file_is_read_first(saved: Callable[[str], Path]) -> None:
    path = saved("compact-music")
    context = Context(extension="mid", given=Segment(extension="abc", data=random_bytes(333)))
    predictor = ModelPredictor(path)
    assert predictor.piece_bytes(context) == (40 - 2 - 1 - 21) * 16
    comes_back(path, path, context, random_bytes(700))
    long = Context(extension="mid", given=Segment(extension="abc", data=bytes(37 * 16)))
    with pytest.raises(TooLong, match="takes 40 of the 40 patches"):
        predictor.piece_bytes(long)


@pytest.mark.parametrize("size", [1, 16, 33])
def test_a_begin_is_read_and_not_coded(
    saved: Callable[[str], Path], tiny_model: Make, size: int
) -> None:
    path, whole = saved("compact-cpu"), random_bytes(500)
    context = Context(extension="bin", begin=whole[:size])
    packed = comes_back(path, path, context, whole[size:])
    (score,) = TrainedByteModel(tiny_model("compact-cpu")).score(
        [Continuation(
            prompt=Prompt(source=None, extension="bin", given=whole[:size]), target=whole[size:]
        )]
    )  # fmt: skip
    assert score.total_nats is not None
    assert len(packed) <= 1.01 * score.total_nats / math.log(2) / 8 + 32
    room = ModelPredictor(path).piece_bytes(context)
    assert room == 38 * 16 - size
    comes_back(path, path, context, random_bytes(3 * room + 5))


def test_one_thread_computes_whatever_torch_is_set_to(saved: Callable[[str], Path]) -> None:
    path, seen = saved("paper"), set[int]()
    torch.set_num_threads(2)
    watch = Context(extension="bin"), b"abc", lambda _: seen.add(torch.get_num_threads())
    compress(ModelPredictor(path), *watch)
    assert seen == {1}
    assert torch.get_num_threads() == 2


def test_another_process_with_other_threads_gives_the_file_back(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    path, data = saved("rotary"), random_bytes(2000)
    (tmp_path / "f").write_bytes(compress(ModelPredictor(path), Context(extension="bin"), data))
    command = ["-m", "bgpt", "decompress", "f", "--model", str(path), "-o", "back.bin"]
    subprocess.run(
        [sys.executable, *command], cwd=tmp_path, check=True, timeout=300, capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "3", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (tmp_path / "back.bin").read_bytes() == data


def test_a_models_hash_is_of_sizes_and_weights_alone(
    tmp_path: Path, saved: Callable[[str], Path], tiny_model: Make
) -> None:
    path = saved("paper")
    save_model(tmp_path / "run" / "model", tiny_model("paper"), {"corpus": "elsewhere"})
    assert model_identity(tmp_path / "run") == model_identity(path)
    other = tiny_model("paper")
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    save_model(tmp_path / "other", other)
    assert model_identity(tmp_path / "other") != model_identity(path)
    packed = compress(ModelPredictor(path), Context(extension="bin"), b"abc")
    with pytest.raises(Refused, match="made with the model whose hash begins with"):
        decompress(
            "f", unpack("f", packed), ModelPredictor(tmp_path / "other"), Context(extension="bin")
        )
    (path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="not a whole model"):
        model_identity(path)


def test_the_build_names_what_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_CBWR", raising=False)
    build = numerical_build()
    assert f"torch {torch.__version__}, numpy " in build
    assert torch.backends.cpu.get_cpu_capability() in build
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert numerical_build() == f"{build}, MKL_CBWR=COMPATIBLE"


def test_a_model_too_large_for_memory_says_what_it_needs(saved: Callable[[str], Path]) -> None:
    path = saved("paper")
    small = ModelPredictor(path, available=lambda: 1_000_000)
    with pytest.raises(TooLargeForMemory, match=r"paper: needs about \d+ MB of memory, and 1 MB"):
        compress(small, Context(extension="bin"), b"abc")


def test_the_need_of_memory_is_that_of_its_tensors() -> None:
    config = paper()
    weights = 4 * 110_084_352
    cache = 4 * GROUP * 512 * 12 * 2 * 768
    needed = needed_memory(config, GROUP, 2)
    # Weights twice; a cache grown by half beside one layer that is copied.
    assert 2 * weights + 1.5 * cache < needed < 2 * weights + 1.7 * cache


def test_a_model_whose_numbers_overflow_is_named(tmp_path: Path, tiny_model: Make) -> None:
    model = tiny_model("paper")
    with torch.no_grad():
        model.byte_level.table.weight.fill_(3e38)
    save_model(tmp_path / "huge", model)
    with pytest.raises(ValueError, match="huge: gives a byte no probability"):
        compress(ModelPredictor(tmp_path / "huge"), Context(extension="bin"), b"abc")
