"""Products with a frozen weight, by the fastest kernel that PyTorch has for them on this device.

On a CPU in fp32 `torch.mm` calls MKL; oneDNN's linear operator, which PyTorch has for compiled models, is 1.05 to 2 times as fast for the
shapes of training (docs/log.md). It is deterministic, and its results differ from MKL's by rounding only.
"""

import torch
from torch import Tensor


def times_transposed(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weightᵀ + bias.  x: (T, in).  weight: (out, in), of any strides.  bias: (out,) or None.  Returns (T, out)."""
    if _ONEDNN is not None and x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32:
        return _ONEDNN(x, weight, bias, "none", [], "")
    return torch.mm(x, weight.t()) if bias is None else torch.addmm(bias, x, weight.t())


def _onednn():
    """The operator where this build of PyTorch has it, else None."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


_ONEDNN = _onednn()
