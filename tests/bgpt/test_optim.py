from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bgpt.config import compact_cpu
from bgpt.model import Bgpt
from bgpt.optim import OptimConfig, is_hidden_matrix, make_optimizers, orthogonalise


class Toy(nn.Module):
    """Two matrices of one shape, a wide one, a table and a vector."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Parameter(torch.randn(8, 8))
        self.second = nn.Parameter(torch.randn(8, 8))
        self.wide = nn.Parameter(torch.randn(4, 8))
        self.positions = nn.Parameter(torch.randn(5, 8))
        self.bias = nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(x @ self.first + self.positions.mean(0)) @ self.second + self.bias
        return (hidden @ self.wide.T).square().sum()


def train(model: Toy, config: OptimConfig, steps: int) -> list[float]:
    optimizers = make_optimizers(model, config)
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    losses: list[float] = []
    for _ in range(steps):
        loss = model(x)
        loss.backward()
        optimizers.step()
        optimizers.zero_grad()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_loss_falls(kind: str) -> None:
    losses = train(Toy(), OptimConfig(kind=kind, lr=0.03), 60)  # pyright: ignore[reportArgumentType]
    assert losses[-1] < 0.2 * losses[0]


def test_adamw_equals_torchs_own() -> None:
    ours, theirs = Toy(), Toy()
    config = OptimConfig(lr=0.01, clip_norm=0.0)
    ours_losses = train(ours, config, 5)
    reference = torch.optim.AdamW(
        theirs.parameters(), lr=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0
    )
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    for expected in ours_losses:
        reference.zero_grad()
        loss = theirs(x)
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
        loss.backward()
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_adamws_kernel_gets_the_step_on_the_device_of_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Toy().to("meta")
    optimizers = make_optimizers(model, OptimConfig())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    devices: list[str] = []

    def kernel(weights: list[Tensor], *lists: list[Tensor], **_: object) -> None:
        assert all(len(tensors) in (0, len(weights)) for tensors in lists)
        devices.extend(t.device.type for tensors in (weights, *lists) for t in tensors)

    monkeypatch.setattr(torch, "_fused_adamw_", kernel)
    optimizers._step_adamw()
    assert devices == ["meta"] * 25  # five parameters: weight, gradient, two moments, step


def test_weight_decay_shrinks_matrices_and_spares_vectors() -> None:
    model = Toy()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizers = make_optimizers(model, OptimConfig(lr=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizers.step()
    assert torch.allclose(model.first, before["first"] * 0.95)
    assert torch.equal(model.bias, before["bias"])


def test_muon_takes_hidden_matrices_only() -> None:
    model = Bgpt(replace(compact_cpu(), value_embeddings=True))
    taken = {name for name, p in model.named_parameters() if is_hidden_matrix(name, p)}
    left = {name for name, _ in model.named_parameters()} - taken
    assert "patch_level.blocks.0.attention.qkv.weight" in taken
    assert left == {
        "embedding.weight",
        "patch_level.positions",
        "byte_level.head.weight",
        "byte_level.blocks.0.attention.value_table.weight",
        "byte_level.from_patch.bias",
        "byte_level.prev_patch.bias",
        "byte_level.source_patch.bias",
        "byte_level.source_sharpness",
    }


@pytest.mark.parametrize("shape", [(3, 20, 20), (2, 12, 40), (2, 40, 12)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.4


def test_matrices_are_orthogonalised_each_for_itself() -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, 8, 8)
    alone = torch.cat([orthogonalise(matrix[None]) for matrix in matrices])
    assert torch.allclose(orthogonalise(matrices), alone, atol=0.02)


def test_a_gradient_above_the_clip_norm_is_scaled_down() -> None:
    model = Toy()
    optimizers = make_optimizers(model, OptimConfig(clip_norm=1.0))
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 10.0)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert optimizers.step() == pytest.approx(10 * count**0.5, rel=1e-5)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert float(torch.stack([g.norm() for g in grads]).norm()) == pytest.approx(1.0, rel=1e-3)


def test_the_scale_moves_every_rate() -> None:
    model = Toy()
    before = [p.detach().clone() for p in model.parameters()]
    optimizers = make_optimizers(model, OptimConfig(kind="muon", lr=0.01))
    optimizers.set_lr(0.0)
    model(torch.ones(1, 8)).backward()
    optimizers.step()
    assert optimizers.learning_rate == 0.0
    for a, b in zip(before, model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_restored_state_goes_on_bit_for_bit(kind: str) -> None:
    config = OptimConfig(kind=kind, lr=0.01)  # pyright: ignore[reportArgumentType]
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))

    def step(model: Toy, optimizers: object) -> None:
        model(x).backward()
        optimizers.step()  # pyright: ignore[reportAttributeAccessIssue]
        optimizers.zero_grad()  # pyright: ignore[reportAttributeAccessIssue]

    whole, halves = Toy(), Toy()
    optimizers = make_optimizers(whole, config)
    for _ in range(6):
        step(whole, optimizers)
    optimizers = make_optimizers(halves, config)
    for _ in range(3):
        step(halves, optimizers)
    state = {name: tensor.clone() for name, tensor in optimizers.state_dict().items()}
    optimizers = make_optimizers(halves, config)
    optimizers.load_state_dict(state)
    for _ in range(3):
        step(halves, optimizers)
    for a, b in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_state_of_another_optimizer_is_refused() -> None:
    model = Toy()
    state = make_optimizers(model, OptimConfig(kind="muon")).state_dict()
    with pytest.raises(ValueError, match=r"another model or optimizer: \d+ names"):
        make_optimizers(model, OptimConfig()).load_state_dict(state)
    state["muon.momentum.wide"] = torch.zeros(2, 2)
    with pytest.raises(ValueError, match=r"muon.momentum.wide: shape \(2, 2\), expected \(4, 8\)"):
        make_optimizers(model, OptimConfig(kind="muon")).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.0}, "rates must be above 0"),
        ({"betas": (0.9,)}, "betas must be two numbers"),
        ({"muon_momentum": 1.0}, "muon_momentum must be in"),
        ({"clip_norm": -1.0}, "must not be negative"),
    ],
)
def test_rates_that_cannot_train_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(OptimConfig(), **change)  # pyright: ignore[reportArgumentType]
