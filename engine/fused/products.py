"""Products with a frozen weight, by the fastest kernel that PyTorch has for them on this device.

On a CPU in fp32 `torch.mm` calls MKL. Where the CPU has AVX-512, oneDNN's linear operator, which PyTorch has for compiled models, is 1.05
to 2 times as fast for the shapes of training; with AVX2 alone it is no faster, and backwards a third slower (docs/log.md). It is
deterministic, and its results differ from MKL's by rounding only.
"""

import torch
from torch import Tensor


def times_transposed_into(y: Tensor, x: Tensor, weight: Tensor) -> None:
    """y = x weightᵀ, where y may be columns of a wider tensor.  y: (T, out).  x: (T, in).  weight: (out, in)."""
    if _takes_onednn(x, weight):
        y.copy_(times_transposed(x, weight))
    else:
        torch.mm(x, weight.t(), out=y)


def add_times(y: Tensor, x: Tensor, weight: Tensor) -> None:
    """y += x weight.  y: (T, in).  x: (T, out).  weight: (out, in)."""
    if _takes_onednn(x, weight):
        y += times(x, weight)
    else:
        y.addmm_(x, weight)


def times_transposed(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weightᵀ + bias.  x: (T, in).  weight: (out, in).  bias: (out,) or None.  Returns (T, out)."""
    if _takes_onednn(x, weight):
        return _ONEDNN(x, weight, bias, "none", [], "")
    return torch.mm(x, weight.t()) if bias is None else torch.addmm(bias, x, weight.t())


def times(x: Tensor, weight: Tensor) -> Tensor:
    """x weight.  x: (T, out).  weight: (out, in).  Returns (T, in)."""
    return _ONEDNN(x, weight.t(), None, "none", [], "") if _takes_onednn(x, weight) else torch.mm(x, weight)


def _takes_onednn(x: Tensor, weight: Tensor) -> bool:
    return _ONEDNN is not None and x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32


def _onednn():
    """The operator where this build of PyTorch has it and it pays, else None."""
    if not torch.backends.mkldnn.is_available() or "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


_ONEDNN = _onednn()
