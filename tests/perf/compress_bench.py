"""Speed of compression and decompression with a model, beside weighing the same bytes.

Every byte is a step through the byte level in a batch of up to 32 pieces; weighing (`bgpt eval`)
sees the whole file at once, and is what compression would cost if both sides need not compute the
same floats. Rates are bytes per CPU second of the process on one thread; the model's loading is not
in them. The weights are random, as are the bytes; pieces are 1 KiB long, the sequence cut to that.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bgpt.checkpoint import save_model
from bgpt.compress import compress, decompress
from bgpt.compressed_file import unpack
from bgpt.config import ModelConfig, compact_cpu, compact_music, paper
from bgpt.entropy_coding import GROUP, Context
from bgpt.model_predictor import ModelPredictor
from bgpt.patching import collate, layout
from bgpt.train import first_weights
from bgpt.weigh import weighing_copy
from pipelines.sample import Segment

PIECE = 1024
TURNS = 3
BASELINE = "weighing the same pieces (bgpt eval)"

# preset -> pieces that are measured
WAYS: dict[str, tuple[ModelConfig, tuple[int, ...]]] = {
    "compact-cpu": (compact_cpu(), (1, GROUP)),
    "compact-music": (compact_music(), (1, GROUP)),
    "paper's model": (paper(), (GROUP,)),
}


def bench() -> list[dict[str, Any]]:
    """Measure both ways and weighing, in turns; a row a way, preset and number of pieces."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [row for name in WAYS for row in _rows(name)]
    finally:
        torch.set_num_threads(threads)


def _rows(name: str) -> list[dict[str, Any]]:
    config, counts = WAYS[name]
    config = replace(config, max_patches=PIECE // 16 + 2)
    context = Context(extension="bin")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = first_weights(config, 0)
        save_model(Path(folder), model)
        weighing, predictor = (
            weighing_copy(model.eval(), torch.float32),
            ModelPredictor(Path(folder)),
        )
        compress(predictor, context, b"warm")
        for count in counts:
            data = np.random.default_rng(0).integers(0, 256, PIECE * count, np.uint8).tobytes()
            pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
            batch = collate([layout([Segment(extension="bin", data=one)]) for one in pieces])
            seconds: dict[str, list[float]] = {"compressing": [], "decompressing": [], "eval": []}
            for _ in range(TURNS if count == 1 or name != "paper's model" else 1):
                started = time.process_time()
                packed = compress(predictor, context, data)
                seconds["compressing"].append(time.process_time() - started)
                started = time.process_time()
                assert decompress("f", unpack("f", packed), predictor, context) == data
                seconds["decompressing"].append(time.process_time() - started)
                started = time.process_time()
                weighing.score(batch)
                seconds["eval"].append(time.process_time() - started)
            base = len(data) / statistics.median(seconds.pop("eval"))
            for way, found in seconds.items():
                rate = len(data) / statistics.median(found)
                rows.append(
                    {
                        "name": f"{way}, {name}, {count} piece{'s' if count > 1 else ''} of 1 KiB",
                        "unit": "bytes per CPU second, one thread",
                        "median": rate,
                        "baseline": BASELINE,
                        "baseline_median": base,
                        "ratio": rate / base,
                        "n": len(found),
                    }
                )
    return rows


if __name__ == "__main__":
    for measured in bench():
        print(f"{measured['ratio']:6.3f} x  {measured['median']:9.0f}  {measured['name']}")
