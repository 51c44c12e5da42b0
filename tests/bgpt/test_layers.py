import pytest
import torch
from torch.nn.functional import conv1d, scaled_dot_product_attention

from bgpt.layers import (
    attend_causal,
    attend_plain,
    causal_mask,
    fast_dtype,
    ragged,
    rotate,
    round_up,
    slide,
    take_rows,
)


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(0)


def test_plain_attention_equals_the_fused_one() -> None:
    q, k, v = torch.randn(3, 2, 16, 4, 8)
    fused = scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True
    ).transpose(1, 2)
    plain = attend_plain(q, k, v, causal_mask(16, q.dtype, q.device))
    assert torch.allclose(plain, fused, atol=1e-6)


@pytest.mark.parametrize("length", [5, 40])
def test_causal_attention_is_the_same_by_either_path(length: int) -> None:
    q, k, v = torch.randn(3, 2, length, 4, 8)
    plain = attend_plain(q, k, v, causal_mask(length, q.dtype, q.device))
    assert torch.allclose(attend_causal(q, k, v), plain, atol=1e-6)


def test_rows_come_back_from_padding_with_zeros_in_idle_rows() -> None:
    rows = ragged(torch.tensor([3, 1, 6]))
    x = torch.randn(rows.num_rows, 5)
    back = rows.flatten(rows.pad(x))
    assert rows.num_rows > 10
    assert torch.equal(back[:10], x[:10])
    assert not bool(back[10:].any())
    assert rows.positions()[:10].tolist() == [0, 1, 2, 0, 0, 1, 2, 3, 4, 5]


def test_gradients_of_padding_and_unpadding_are_those_of_finite_differences() -> None:
    rows = ragged(torch.tensor([3, 1, 2]))
    x = torch.randn(rows.num_rows, 2, dtype=torch.float64, requires_grad=True)
    scale = torch.randn(rows.num_samples, rows.longest, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: rows.flatten(rows.pad(t) * scale), x)


def test_rows_are_taken_from_an_array_of_another_length() -> None:
    padded = torch.arange(30).view(2, 5, 3)
    rows = ragged(torch.tensor([2, 3]))
    taken = take_rows(padded, rows)
    assert torch.equal(taken[:5], torch.cat((padded[0, :2], padded[1, :3])))


def test_rounding_up_never_shrinks_and_wastes_at_most_an_eighth() -> None:
    for size in range(1, 5000):
        rounded = round_up(size)
        assert size <= rounded <= max(size * 9 // 8 + 16, 16)
    assert len({round_up(size) for size in range(1024, 2049)}) <= 9


def test_the_sliding_map_equals_a_convolution() -> None:
    embedded, weight = torch.randn(3, 20 + 15, 4), torch.randn(6, 20 * 4)
    kernel = weight.view(6, 20, 4).transpose(1, 2)
    expected = conv1d(embedded.transpose(1, 2), kernel).transpose(1, 2)
    assert torch.allclose(slide(embedded, weight, 16), expected, atol=1e-5)
    for size in (1, 4, 12):  # in groups of 1 and 4
        found = slide(embedded[:, : 19 + size], weight, size)
        assert torch.allclose(found, expected[:, :size], atol=1e-5)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 8)
    products = [
        (rotate(q, torch.tensor([at + 3])) * rotate(k, torch.tensor([at]))).sum()
        for at in (0, 7, 100)
    ]
    assert torch.allclose(products[0], products[1], atol=1e-4)
    assert torch.allclose(products[0], products[2], atol=1e-4)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_that_emulates_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    def is_supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert fast_dtype.__wrapped__("cuda") is dtype
