from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from bgpt.decoder import Written
from bgpt.generate import Decoding, decode, generate
from bgpt.model import Bgpt
from bgpt.patching import TooLong, collate, layout
from bgpt.protocol import EOP, Prompt
from bgpt.sampling import Sampling, random_words, stream_seeds
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


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def decode_without_caches(model: Bgpt, prompt: Prompt, max_bytes: int) -> bytes:
    """Score the sequence so far anew for every single byte and take the likeliest."""
    written = b""
    while len(written) < max_bytes:
        # What stands in the place of the token asked for is read by the `EOP` behind it alone.
        data = prompt.given + written + b"\0"
        segments = [Segment(extension=prompt.extension, data=data)]
        if prompt.source is not None:
            segments.insert(0, prompt.source)
        given = len(prompt.given)
        sample = layout(segments, scored_from=given, patch_size=model.config.patch_size)
        scores = model.score(collate([sample]))
        token = int(scores.predicted[scores.predicted >= 0][-2])
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


# model, bytes of the source (None: no source), bytes given -> bytes until 40 patches are full
FULL = [
    # patches: extension, given, 37 written, end
    ("compact-music", None, 16, 37 * 16),
    # 3 whole patches are read, the 4th is filled up: extension, 38 of bytes, end
    ("compact-music", None, 33, 38 * 16 - 33),
    ("compact-music", None, 0, 38 * 16),
    # extension, 3 of the source, extension, 34 written, end
    ("compact-music", 40, 0, 34 * 16),
    # the last prompts with any room at all
    ("compact-music", None, 37 * 16, 16),
    ("compact-music", None, 37 * 16 + 15, 1),
    ("compact-music", 36 * 16, 0, 16),
    # patches of 8: 5 of the source; of 32
    ("music-8", None, 33, 38 * 8 - 33),
    ("music-8", 40, 0, 32 * 8),
    ("cpu-32", None, 37 * 32 + 31, 1),
]


@pytest.mark.parametrize(("name", "source_bytes", "given_bytes", "expected"), FULL)
def test_a_full_sequence_ends_a_row_where_the_end_patch_still_fits(
    tiny_model: Make,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    source_bytes: int | None,
    given_bytes: int,
    expected: int,
) -> None:
    model = never_ending(tiny_model(name), monkeypatch)
    source = None if source_bytes is None else Segment(extension="abc", data=b"x" * source_bytes)
    prompt = Prompt(source=source, extension="bin", given=bytes(given_bytes))
    written = generate(model, [prompt], [10_000])[0]
    assert len(written) == expected
    sample = layout(
        whole(prompt, written),
        max_patches=model.config.max_patches,
        patch_size=model.config.patch_size,
    )
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


def mixed_prompts() -> list[Prompt]:
    """32 prompts: with and without a source, every length within a patch, some of them equal."""
    sources = [None, Segment(extension="abc", data=b"s" * 21), Segment(extension="abc", data=b"y")]
    return [
        Prompt(source=sources[i % 3], extension="mid", given=bytes(range(i, i + i * 7 % 40)))
        for i in range(30)
    ] + [Prompt(source=None, extension="mid", given=b"same")] * 2


@pytest.mark.parametrize("sampling", [None, Sampling(temperature=0.9, top_k=40, seed=3)])
def test_a_batch_of_32_equals_one_by_one(
    tiny_model: Make, tiny_name: str, sampling: Sampling | None
) -> None:
    model, prompts = tiny_model(tiny_name), mixed_prompts()
    limits = [5 + i % 9 * 4 for i in range(32)]
    keys = [f"prompt {i}" for i in range(32)]
    how = Decoding(sampling=sampling, batch_size=32)
    together = decode(model, prompts, limits, how, keys=keys)
    alone = [
        decode(model, [p], [n], how, keys=[key])[0]
        for p, n, key in zip(prompts, limits, keys, strict=True)
    ]
    assert together == alone
    assert sum(len(one.data) for one in together) > 200


def test_a_seed_and_a_key_make_a_file_and_others_make_another(tiny_model: Make) -> None:
    model, prompt = tiny_model("compact-cpu"), Prompt(source=None, extension="bin", given=b"ab")

    def files(seed: int, keys: list[int]) -> list[bytes]:
        how = Decoding(sampling=Sampling(seed=seed))
        prompts, limits = [prompt] * len(keys), [40] * len(keys)
        return [one.data for one in decode(model, prompts, limits, how, keys=keys)]

    first = files(1, [0, 1, 2])
    assert first == files(1, [0, 1, 2])
    assert files(1, [2, 0]) == [first[2], first[0]]
    assert len({*first, *files(2, [0, 1, 2])}) == 6


def test_what_goes_on_after_a_prefix_of_a_sampled_file_is_the_same(tiny_model: Make) -> None:
    model, how = tiny_model("compact-music"), Decoding(sampling=Sampling(seed=4))
    model.byte_level.head.weight.data[EOP] = 0
    prompt = Prompt(source=PROMPTS[0].source, extension="mid", given=b"")
    (whole_file,) = decode(model, [prompt], [50], how)
    assert len(whole_file.data) > 30
    for size in (1, 16, 29):
        given = Prompt(source=prompt.source, extension="mid", given=whole_file.data[:size])
        (rest,) = decode(model, [given], [50 - size], how)
        assert whole_file.data[:size] + rest.data == whole_file.data


def test_sampled_bytes_come_as_often_as_the_model_says(tiny_model: Make) -> None:
    model = tiny_model("compact-cpu")
    prompt, count = Prompt(source=None, extension="bin", given=b"abc"), 2000
    sampling = Sampling(temperature=1.3, top_k=8, seed=1)
    drawn = decode(model, [prompt] * count, [1] * count, Decoding(sampling=sampling))
    found = np.bincount([one.data[0] if one.data else EOP for one in drawn], minlength=257)
    nats: list[float] = []
    for token in range(256):
        segment = Segment(extension="bin", data=b"abc" + bytes([token]))
        batch = collate([layout([segment], scored_from=3)])
        nats.append(float(model.token_nats(batch).flatten()[16 + 3]))
    p = np.exp(-np.array(nats))
    p = np.append(p, 1 - p.sum()) ** (1 / 1.3)
    p[np.argsort(-p)[8:]] = 0
    expected = count * p / p.sum()
    likely = expected > 0
    assert found[~likely].sum() == 0
    # 24.32: what chi-square with 7 degrees of freedom exceeds once in 1,000.
    assert ((found - expected)[likely] ** 2 / expected[likely]).sum() < 24.32


def test_top_k_of_1_is_greedy(tiny_model: Make) -> None:
    model = tiny_model("rotary")
    drawn = decode(model, PROMPTS, LIMITS, Decoding(sampling=Sampling(top_k=1)))
    assert [one.data for one in drawn] == generate(model, PROMPTS, LIMITS)


@pytest.mark.parametrize("sampling", [None, Sampling(seed=9)])
def test_the_bytes_that_are_shown_are_the_file(tiny_model: Make, sampling: Sampling | None) -> None:
    model, shown = tiny_model("compact-music"), [b""] * len(PROMPTS)
    sizes: list[int] = []

    def show(number: int, data: bytes) -> None:
        shown[number] += data
        sizes.append(len(data))

    how = Decoding(sampling=sampling, batch_size=2)
    written = decode(model, PROMPTS, LIMITS, how, on_bytes=show)
    assert shown == [one.data for one in written]
    assert set(sizes) == {1}


# place of EOP in the file -> how it is written: at once, in and at the end of a patch
@pytest.mark.parametrize("size", [0, 5, 15, 16, 17, 32])
def test_a_file_stops_exactly_at_the_end_mark(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    model, calls = tiny_model("paper"), iter(range(1000))
    logits = model.byte_level.logits

    def ending(x: torch.Tensor, embedding: torch.nn.Embedding | None) -> torch.Tensor:
        scores = logits(x, embedding).clone()
        scores[..., EOP] = torch.inf if next(calls) == size else -torch.inf
        return scores

    monkeypatch.setattr(model.byte_level, "logits", ending)
    prompt = Prompt(source=None, extension="bin", given=bytes(16))
    (written,) = decode(model, [prompt], [size + 1], Decoding())
    assert (len(written.data), written.ended) == (size, True)
    # Nothing is computed behind it.
    assert next(calls) == size + 1


def test_a_limit_is_no_end(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = never_ending(tiny_model("compact-cpu"), monkeypatch)
    prompt = Prompt(source=None, extension="bin", given=b"abc")
    written = decode(model, [prompt] * 3, [20, 0, 7], Decoding())
    assert [(len(one.data), one.ended) for one in written] == [(20, False), (0, False), (7, False)]
    assert written[1] == Written(data=b"", ended=False)


def test_keys_and_batch_size_are_checked(tiny_model: Make) -> None:
    with pytest.raises(ValueError, match="5 prompts, but 1 keys"):
        decode(tiny_model("paper"), PROMPTS, LIMITS, Decoding(), keys=[0])
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        Decoding(batch_size=0)


def test_every_place_of_a_file_has_a_random_word_of_its_own(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("paper")

    def even(x: torch.Tensor, embedding: torch.nn.Embedding | None) -> torch.Tensor:
        return torch.cat((torch.zeros(len(x), 256), torch.full((len(x), 1), -torch.inf)), dim=1)

    monkeypatch.setattr(model.byte_level, "logits", even)
    prompt = Prompt(source=None, extension="bin", given=b"")
    (written,) = decode(model, [prompt], [64], Decoding(sampling=Sampling(seed=2)))
    words = random_words(stream_seeds(2, [0]).repeat(64), np.arange(64))
    assert list(written.data) == (words >> np.uint64(56)).tolist()
