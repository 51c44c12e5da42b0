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


def never_ending(model: Bgpt, monkeypatch: pytest.MonkeyPatch) -> Bgpt:
    """Make EOP impossible."""
    logits = model.byte_level.logits

    def without_eop(x: torch.Tensor, embedding: torch.nn.Embedding | None) -> torch.Tensor:
        scores = logits(x, embedding).clone()
        scores[..., EOP] = -torch.inf
        return scores

    monkeypatch.setattr(model.byte_level, "logits", without_eop)
    return model


def whole(prompt: Prompt, written: bytes) -> list[Segment]:
    """Return the segments of a prompt with what was written after it."""
    target = Segment(extension=prompt.extension, data=prompt.given + written)
    return [target] if prompt.source is None else [prompt.source, target]


# bytes of the source (None: no source), bytes given -> bytes written until 40 patches are full
FULL = [
    # patches: extension, given, 37 written, end
    (None, 16, 37 * 16),
    # 3 whole patches are read, the 4th is filled up: extension, 38 of bytes, end
    (None, 33, 38 * 16 - 33),
    (None, 0, 38 * 16),
    # extension, 3 of the source, extension, 34 written, end
    (40, 0, 34 * 16),
    # the last prompts with any room at all
    (None, 37 * 16, 16),
    (None, 37 * 16 + 15, 1),
    (36 * 16, 0, 16),
]


@pytest.mark.parametrize(("source_bytes", "given_bytes", "expected"), FULL)
def test_a_full_sequence_ends_a_row_where_the_end_patch_still_fits(
    tiny_model: Make,
    monkeypatch: pytest.MonkeyPatch,
    source_bytes: int | None,
    given_bytes: int,
    expected: int,
) -> None:
    model = never_ending(tiny_model("compact-music"), monkeypatch)
    source = None if source_bytes is None else Segment(extension="abc", data=b"x" * source_bytes)
    prompt = Prompt(source=source, extension="bin", given=bytes(given_bytes))
    written = generate(model, [prompt], [10_000])[0]
    assert len(written) == expected
    sample = layout(whole(prompt, written), max_patches=model.config.max_patches)
    assert len(sample) == model.config.max_patches == 40


def test_rows_that_fill_up_leave_the_others_going(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = never_ending(tiny_model("compact-cpu"), monkeypatch)
    prompts = [
        Prompt(source=None, extension="bin", given=bytes(size)) for size in (16, 37 * 16, 33)
    ]
    written = generate(model, prompts, [10_000, 10_000, 50])
    assert [len(data) for data in written] == [37 * 16, 16, 50]


def test_a_prompt_that_leaves_no_room_for_a_patch_and_the_end_is_an_error(
    tiny_model: Make,
) -> None:
    prompt = Prompt(source=None, extension="bin", given=bytes(38 * 16))
    with pytest.raises(
        TooLong,
        match="39 patches leaves no room: the model reads at most 40, the end patch among them",
    ):
        generate(tiny_model("paper"), [prompt], [1])


def test_every_prompt_needs_a_limit(tiny_model: Make) -> None:
    with pytest.raises(ValueError, match="5 prompts, but 1 limits"):
        generate(tiny_model("paper"), PROMPTS, [1])
