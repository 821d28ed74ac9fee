"""Runs a decoder of the Llama kind through the fused layers. Which models those are is told by `engine.activations.why_plain`.

The weights stay the model's own: evaluation, sampling, checkpoints and peft see the same tensors.
"""

from collections.abc import Sequence
from functools import partial

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from engine.block import side_by_side
from engine.fused.dropout import draws
from engine.fused.elementwise import RMSNorm
from engine.fused.functions import NOT_CAST, AttentionInput, AttentionOutput
from engine.fused.generation import FusedGeneration
from engine.fused.layer import NO_ADAPTERS, Layer
from engine.fused.projections import Adapter, Projections
from engine.fused.recomputation import recomputed
from engine.fused.weights import frozen_weight, make_way


class FusedDecoder:
    """Hidden states of the supervised positions, by the fused layers."""

    def __init__(self, decoder: nn.Module, layers: Sequence[Layer], dropout: float, dtype: torch.dtype):
        """dropout: probability in front of each adapter, while `decoder` is in training mode.  dtype: the compute type."""
        self._decoder, self._dropout, self._dtype = decoder, dropout, dtype
        self._embed, self._rotary = decoder.embed_tokens, decoder.rotary_emb
        self._norm, self._layers = _norm(decoder.norm, dtype), layers
        self.recomputed_layers = 0
        """So many of the first compute their activations again in backward."""
        self.offloads_inputs = False
        """Whether what these keep, their inputs, lies in the host's memory."""
        self.with_adapters = True
        """False only for passes without gradient."""

    def embed(self, input_ids: Tensor) -> Tensor:
        """(T, D) embeddings of (1, T) token ids."""
        return self._embed(input_ids)[0].to(self._dtype)

    def hidden(self, x: Tensor, position_ids: Tensor, lengths: tuple[int, ...], rows: Tensor) -> Tensor:
        """(N, D) normalised last states of `rows`.  x: (T, D), embedded.  position_ids: (1, T).  The last layer's MLP sees only `rows`."""
        cos, sin = self._positions(x, position_ids)
        drawn = draws(self._dropout if self._decoder.training else 0, len(self._layers))
        recomputed_layers = self.recomputed_layers if torch.is_grad_enabled() else 0
        casts = (None, *NOT_CAST) if self.with_adapters else NO_ADAPTERS
        outputs = [] if self.offloads_inputs else side_by_side([x.detach()] * min(recomputed_layers, len(self._layers) - 1))
        for number, (layer, dropout) in enumerate(zip(self._layers, drawn, strict=True)):
            last = number == len(self._layers) - 1
            run = partial(layer.forward, cos=cos, sin=sin, lengths=lengths, rows=rows if last else None, dropout=dropout, casts=casts)
            into = outputs[number] if number < len(outputs) else None
            x = recomputed(run, x, layer.parameters, into, self.offloads_inputs) if number < recomputed_layers else run(x)
        return _Norm.apply(self._norm, x)

    def generation(self) -> FusedGeneration:
        """Texts to be generated, with the adapters as they are now, or with none where `with_adapters` says so."""
        casts = [layer.cast(self._dtype) if self.with_adapters else NO_ADAPTERS for layer in self._layers]
        return FusedGeneration(self.embed, self._positions, self._layers, lambda x: self._norm.forward(x)[0], casts)

    def _positions(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the rotary angles, (T, 1, d / 2) each; both halves of the model's own are equal."""
        cos, sin = self._rotary(x[None], position_ids=position_ids)
        half = cos.shape[-1] // 2
        return cos[0, :, None, :half], sin[0, :, None, :half]


def fuse(model: PeftModel, dropout: float, dtype: torch.dtype) -> FusedDecoder:
    """The fused decoder over `model`'s own weights, which are stacked in memory where they lie in the compute type `dtype`; only for a
    model that `why_plain` lets pass."""
    decoder = model.get_base_model().get_decoder()
    return FusedDecoder(decoder, [_layer(layer, dtype) for layer in decoder.layers], dropout, dtype)


def _layer(layer: nn.Module, dtype: torch.dtype) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    q, k, v = attention.q_proj, attention.k_proj, attention.v_proj
    make_way([_base(linear) for linear in (q, k, v, attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)], dtype)
    heads = tuple(_base(linear).out_features // attention.head_dim for linear in (q, k, v))
    return Layer(
        before=AttentionInput(
            _norm(layer.input_layernorm, dtype),
            _projections(dtype, q, k, v),
            heads,
            attention.head_dim,
            _norm(attention.q_norm, dtype) if hasattr(attention, "q_norm") else None,
            _norm(attention.k_norm, dtype) if hasattr(attention, "k_norm") else None,
        ),
        after=AttentionOutput(
            _projections(dtype, attention.o_proj),
            _norm(layer.post_attention_layernorm, dtype),
            _projections(dtype, mlp.gate_proj, mlp.up_proj),
            _projections(dtype, mlp.down_proj),
        ),
        attention=attention,
        window=_window(attention),
    )


def _window(attention: nn.Module) -> int | None:
    """Mistral's is the same in every layer and stands in the config, others' in the layer."""
    if attention.config.model_type == "mistral":
        return attention.config.sliding_window
    return getattr(attention, "sliding_window", None)


def _norm(module: nn.Module, dtype: torch.dtype) -> RMSNorm:
    return RMSNorm(module.weight.data.to(dtype), module.variance_epsilon)


def _base(linear: nn.Module) -> nn.Linear:
    return getattr(linear, "base_layer", linear)


def _projections(dtype: torch.dtype, *linears: nn.Module) -> Projections:
    """The linears as one."""
    bases = [_base(linear) for linear in linears]
    weight, sizes = frozen_weight(bases, dtype), [base.out_features for base in bases]
    return Projections(weight, _stacked_bias(bases, dtype), sizes, [_adapter(linear) for linear in linears])


def _stacked_bias(bases: Sequence[nn.Linear], dtype: torch.dtype) -> Tensor | None:
    """(out,) with zeros for a linear that has none, or None where no linear has one."""
    if all(base.bias is None for base in bases):
        return None
    return torch.cat([base.weight.new_zeros(base.out_features) if base.bias is None else base.bias.data for base in bases]).to(dtype)


def _adapter(linear: nn.Module) -> Adapter | None:
    if not isinstance(linear, LoraLayer):
        return None
    name = linear.active_adapters[0]
    return Adapter(linear.lora_A[name].weight, linear.lora_B[name].weight, linear.scaling[name])


class _Norm(torch.autograd.Function):
    """The final norm, whose weight is frozen."""

    @staticmethod
    def forward(ctx, norm: RMSNorm, x: Tensor) -> Tensor:
        y, inverse = norm.forward(x)
        ctx.norm = norm
        ctx.save_for_backward(x, inverse)
        return y

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.norm.backward(*ctx.saved_tensors, gradients[0])
