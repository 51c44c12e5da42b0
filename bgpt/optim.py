# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateUsage=false
# pyright: reportPrivateImportUsage=false
"""AdamW, and Muon for hidden matrices, behind one small object that the trainer drives.

Muon takes the momentum of a matrix and steps along its nearest orthogonal matrix, found by a few
Newton-Schulz products (Jordan et al. 2024). Matrices of one shape go through it as one batch, or
one by one where ranks hold their rows alone (`bgpt.sharding`); all else is done row by row.
Embeddings, position tables, the head, norms and biases always go to AdamW. The learning-rate
schedule is the trainer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bgpt.layers import fast_dtype
from bgpt.sharding import gathered, is_in_parts, own_part, part_of


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """How weights move. Rates are the highest of the schedule."""

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = 1e-3
    """AdamW's rate; with `muon`, of what Muon does not take."""
    muon_lr: float = 0.03
    muon_momentum: float = 0.95
    betas: tuple[float, ...] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    """Decoupled, on matrices only; both optimizers."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0: no clipping."""

    def __post_init__(self) -> None:
        """Refuse rates that cannot train."""
        if self.lr <= 0 or self.muon_lr <= 0:
            raise ValueError(f"rates must be above 0, not lr {self.lr}, muon_lr {self.muon_lr}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), not {list(self.betas)}")
        if not 0 <= self.muon_momentum < 1:
            raise ValueError(f"muon_momentum must be in [0, 1), not {self.muon_momentum}")
        if self.weight_decay < 0 or self.clip_norm < 0:
            raise ValueError("weight_decay and clip_norm must not be negative")


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon takes this parameter: a matrix inside the network, not a table or the head."""
    tables = ("embedding.weight", "table", "table.weight", "positions", "head.weight")
    return parameter.dim() == 2 and not name.endswith(tables)


class Optimizers:
    """All optimizers of one model. State is flat tensors by name, ready for safetensors."""

    def __init__(self, model: nn.Module, config: OptimConfig) -> None:
        self.config = config
        self._scale = 1.0
        self._num_steps = 0
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        use_muon = config.kind == "muon"
        self._muon = {n: p for n, p in named if use_muon and is_hidden_matrix(n, p)}
        self._momentum = {n: torch.zeros_like(p) for n, p in self._muon.items()}
        self._adamw = {n: p for n, p in named if n not in self._muon}
        self._first = {n: torch.zeros_like(p) for n, p in self._adamw.items()}
        self._second = {n: torch.zeros_like(p) for n, p in self._adamw.items()}

    def set_lr(self, scale: float) -> None:
        """Scale all rates for the next step."""
        self._scale = scale

    @property
    def learning_rate(self) -> float:
        """AdamW's rate at the present scale, for the log."""
        return self.config.lr * self._scale

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in (*self._muon.values(), *self._adamw.values()):
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> float:
        """Clip, move all weights once, and return the gradient's norm before clipping."""
        parameters = [*self._muon.values(), *self._adamw.values()]
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip_norm or float("inf"))
        self._num_steps += 1
        self._step_adamw()
        self._step_muon()
        return float(gathered(own_part(norm), norm))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the whole state as tensors by name (the tensors themselves, not copies).

        Of weights in parts these are in parts too (`bgpt.sharding.whole_tensors`).
        """
        state = {"num_steps": torch.tensor(self._num_steps)}
        for label, tensors in self._tensors().items():
            state |= {f"{label}.{name}": tensor for name, tensor in tensors.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state of `state_dict`.

        Raises:
            ValueError: names or shapes are those of another model or optimizer.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())
            raise ValueError(
                f"optimizer state of another model or optimizer: {len(odd)} names differ, "
                f"the first is {odd[0]!r}"
            )
        for name, tensor in own.items():
            if tensor.shape != state[name].shape:
                raise ValueError(
                    f"optimizer state {name}: shape {tuple(state[name].shape)}, "
                    f"expected {tuple(tensor.shape)}"
                )
        self._num_steps = int(state["num_steps"])
        for label, tensors in self._tensors().items():
            for name, tensor in tensors.items():
                own_part(tensor).copy_(part_of(state[f"{label}.{name}"], tensor))

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        return {
            "muon.momentum": self._momentum,
            "adamw.first": self._first,
            "adamw.second": self._second,
        }

    def _step_adamw(self) -> None:
        names = [name for name, p in self._adamw.items() if p.grad is not None]
        decayed = [name for name in names if self._adamw[name].dim() > 1]
        plain = [name for name in names if self._adamw[name].dim() <= 1]
        for group, decay in ((decayed, self.config.weight_decay), (plain, 0.0)):
            if not group:
                continue
            # On a GPU the kernel reads the step there.
            device = self._adamw[group[0]].device
            step = torch.tensor(float(self._num_steps), device=device)
            # torch's fused kernel: one pass over weights, gradients and both moments.
            torch._fused_adamw_(
                [own_part(self._adamw[name]) for name in group],
                [_gradient(self._adamw[name]) for name in group],
                [own_part(self._first[name]) for name in group],
                [own_part(self._second[name]) for name in group],
                [],
                [step] * len(group),
                lr=self.learning_rate,
                beta1=self.config.betas[0],
                beta2=self.config.betas[1],
                weight_decay=decay,
                eps=self.config.eps,
                amsgrad=False,
                maximize=False,
            )

    def _step_muon(self) -> None:
        by_shape: dict[torch.Size, list[str]] = {}
        for name, parameter in self._muon.items():
            if parameter.grad is not None:
                by_shape.setdefault(parameter.shape, []).append(name)
        beta = self.config.muon_momentum
        rate = self.config.muon_lr * self._scale
        for shape, names in by_shape.items():
            gradients = [_gradient(self._muon[name]) for name in names]
            momenta = [own_part(self._momentum[name]) for name in names]
            torch._foreach_lerp_(momenta, gradients, 1 - beta)
            if is_in_parts(self._muon[names[0]]):
                directions = [
                    _direction_of_part(gradient.lerp(momentum, beta), self._muon[name])
                    for name, gradient, momentum in zip(names, gradients, momenta, strict=True)
                ]
            else:
                nesterov = torch.stack(gradients).lerp_(torch.stack(momenta), beta)
                directions = list(orthogonalise(nesterov).unbind())
            # A step as large in every weight as a square matrix would make it.
            size = max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_mul_(directions, -rate * size)
            weights = [own_part(self._muon[name]) for name in names]
            torch._foreach_mul_(weights, 1 - rate * self.config.weight_decay)
            torch._foreach_add_(weights, directions)


def make_optimizers(model: nn.Module, config: OptimConfig) -> Optimizers:
    """Return the optimizers of `model`."""
    return Optimizers(model, config)


def orthogonalise(matrices: Tensor, num_rounds: int = 5) -> Tensor:
    """Return nearly orthogonal matrices `[n, rows, columns]`: singular values go to about 1.

    Quintic Newton-Schulz with the coefficients of Jordan et al. (2024): fast, not exact; singular
    values end within about 0.7..1.2. The products run in bfloat16 where that is fast (4 times
    on a CPU that has it); the direction of a step needs no more.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(fast_dtype(matrices.device.type))
    for _ in range(num_rounds):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


def _direction_of_part(nesterov: Tensor, matrix: Tensor) -> Tensor:
    """Return this rank's rows of the direction of `matrix`, from its rows of the momentum.

    Orthogonal is a whole matrix, so every rank gathers it, one at a time, and computes the same.
    """
    return part_of(orthogonalise(gathered(nesterov, matrix)[None])[0], matrix)


def _gradient(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    assert gradient is not None
    return own_part(gradient)
