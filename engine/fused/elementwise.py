"""RMSNorm, rotary positions and SwiGLU with their backward passes, in as few passes over memory as PyTorch's own operators allow."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu


@dataclass(frozen=True)
class RMSNorm:
    """y = weight · x / rms(x) over the last dimension, as transformers computes it: normalised in fp32, scaled in x's type."""

    weight: Tensor
    eps: float

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y like x, and 1 / rms(x) in fp32 with a last dimension of 1."""
        rms = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = (rms.square_() / x.shape[-1]).add_(self.eps).rsqrt_()
        return self.apply(x, inverse), inverse

    def apply(self, x: Tensor, inverse: Tensor) -> Tensor:
        """y again, from the kept `inverse`."""
        return (x * inverse).to(x.dtype).mul_(self.weight)

    def backward(self, x: Tensor, inverse: Tensor, dy: Tensor) -> Tensor:
        """Gradient of x. The weight is frozen and has none."""
        normal = x * inverse
        scaled = (dy * self.weight).to(inverse.dtype)
        mean = torch.linalg.vecdot(scaled, normal).unsqueeze(-1).div_(x.shape[-1])
        return scaled.addcmul_(normal, mean, value=-1).mul_(inverse).to(x.dtype)


def rotate_(x: Tensor, cos: Tensor, sin: Tensor, backwards: bool = False) -> Tensor:
    """Turn (T, H, d) by its positions in place; `backwards` is the gradient of it, the turn the other way.  cos, sin: (T, 1, d / 2)."""
    first, second = x.chunk(2, dim=-1)
    sign = -1 if backwards else 1
    turned = first * cos
    turned.addcmul_(second, sin, value=-sign)
    second.mul_(cos).addcmul_(first, sin, value=sign)
    first.copy_(turned)
    return x


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) · up of the stacked (T, 2F); (T, F)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return silu(gate).mul_(up)


def swiglu_backward(gate_up: Tensor, dy: Tensor) -> Tensor:
    """Gradient of the stacked (T, 2F), from dy (T, F)."""
    gate, up = gate_up.chunk(2, dim=-1)
    gradient = torch.empty_like(gate_up)
    d_gate, d_up = gradient.chunk(2, dim=-1)
    torch.ops.aten.silu_backward.grad_input(torch.mul(dy, up, out=d_up), gate, grad_input=d_gate)
    torch.ops.aten.silu.out(gate, out=d_up).mul_(dy)
    return gradient
