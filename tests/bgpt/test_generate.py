from collections.abc import Callable

import pytest
import torch

from bgpt.generate import generate
from bgpt.model import Bgpt
from bgpt.patching import TooLong, collate, layout
from bgpt.protocol import EOP, Prompt
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]

PROMPTS = [
    # source bytes (-1: none), given bytes: patch-aligned, inside a patch, none at all
    Prompt(source=Segment(extension="abc", data=bytes(range(40))), extension="mid", given=b""),
    Prompt(source=None, extension="bin", given=bytes(range(33))),
    Prompt(source=Segment(extension="abc", data=b"x" * 16), extension="mid", given=b"M" * 16),
    Prompt(source=None, extension="bin", given=b""),
    Prompt(source=Segment(extension="abc", data=b"y"), extension="mid", given=b"MThd\0"),
]
LIMITS = [45, 20, 33, 0, 50]


def decode_without_caches(model: Bgpt, prompt: Prompt, max_bytes: int) -> bytes:
    """Score the sequence so far anew for every single byte and take the likeliest."""
    written = b""
    while len(written) < max_bytes:
        # The token asked for is the last one scored; what stands in its place is never read.
        data = prompt.given + written + b"\0"
        segments = [Segment(extension=prompt.extension, data=data)]
        if prompt.source is not None:
            segments.insert(0, prompt.source)
        sample = layout(segments, scored_from=len(data) - 1)
        scores = model.score(collate([sample]))
        token = int(scores.predicted[scores.predicted >= 0][0])
        if token == EOP:
            break
        written += bytes([token])
    return written


def test_cached_batched_decoding_equals_decoding_without_caches(
    tiny_model: Make, tiny_name: str
) -> None:
    model = tiny_model(tiny_name)
    expected = [
        decode_without_caches(model, prompt, limit)
        for prompt, limit in zip(PROMPTS, LIMITS, strict=True)
    ]
    assert generate(model, PROMPTS, LIMITS) == expected
    assert generate(model, PROMPTS, LIMITS, batch_size=2) == expected
    assert sum(len(data) for data in expected) > 60


def test_a_row_ends_at_eop_and_the_others_go_on(tiny_model: Make) -> None:
    model = tiny_model("compact-music")
    with torch.no_grad():  # so that EOP wins now and then
        model.byte_level.head.weight[EOP] *= 3
    written = generate(model, PROMPTS, [99] * len(PROMPTS))
    assert written == [decode_without_caches(model, prompt, 99) for prompt in PROMPTS]
    assert min(len(data) for data in written) < max(len(data) for data in written)


def test_a_full_sequence_ends_a_row(tiny_model: Make) -> None:
    model = tiny_model("compact-cpu")
    with torch.no_grad():
        assert model.embedding is not None
        model.byte_level.head.weight[EOP] = 0
        model.byte_level.head.weight[:EOP] = 1
    prompt = Prompt(source=None, extension="bin", given=bytes(16))
    written = generate(model, [prompt], [10_000])[0]
    assert len(written) <= (model.config.max_patches - 2) * 16


def test_a_prompt_that_fills_the_sequence_is_an_error(tiny_model: Make) -> None:
    prompt = Prompt(source=None, extension="bin", given=bytes(40 * 16))
    with pytest.raises(TooLong, match="41 patches leaves no room: the model reads at most 40"):
        generate(tiny_model("paper"), [prompt], [1])


def test_every_prompt_needs_a_limit(tiny_model: Make) -> None:
    with pytest.raises(ValueError, match="5 prompts, but 1 limits"):
        generate(tiny_model("paper"), PROMPTS, [1])
