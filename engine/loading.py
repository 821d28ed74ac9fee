"""Base model and adapter on their device, in their precision. Not here: where the files come from (`engine.model_source`)."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, DynamicCache, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from engine import attention
from engine import config as schema
from engine.activations import why_plain
from engine.errors import EnvironmentFault, ModelError
from engine.fused.decoder import FusedDecoder, fuse
from engine.fused.weights import FrozenWeight, frozen_weight
from engine.initialisation import Start
from engine.model_shape import ModelShape
from engine.neftune import with_noise
from engine.precision import DTYPES

STORED = {"bf16": "BF16", "fp16": "F16", "fp32": "F32"}
"""Names of types in safetensors."""


@dataclass
class LoadedModel:
    """A base model with its trainable adapter.

    peft: the model peft saves.  head: frozen map from (n, D) states to (n, V) logits; narrow_head: its weight where that lies in a
    narrower type than the compute type.  precision: name of the compute type.
    fused: the fast path over the same weights, or None.  plain_because: what keeps the model off it, as "key = value"; else None.
    chunk_bytes: of logits at a time, None for the usual.  start: what the adapter began with where that was taken out of the base.
    neftune_alpha: strength of the noise on the embeddings in training.  recomputed_layers: see `recompute`.
    offloads_inputs: see `offload`.
    """

    peft: PeftModel
    decoder: torch.nn.Module
    head: Callable[[Tensor], Tensor]
    vocabulary: int
    device: torch.device
    precision: str
    narrow_head: FrozenWeight | None = None
    fused: FusedDecoder | None = None
    plain_because: str | None = None
    chunk_bytes: int | None = None
    start: Start | None = None
    neftune_alpha: float = 0.0
    recomputed_layers: int = 0
    offloads_inputs: bool = False

    def hidden(self, input_ids: Tensor, position_ids: Tensor, lengths: tuple[int, ...], rows: Tensor) -> Tensor:
        """(N, D) last hidden states of `rows` of a flat row of examples.  input_ids, position_ids: (1, T)."""
        noise = self.neftune_alpha > 0 and self.peft.training
        if self.fused is not None:
            states = self.fused.embed(input_ids)
            return self.fused.hidden(with_noise(states, lengths, self.neftune_alpha) if noise else states, position_ids, lengths, rows)
        with self.autocast():
            inputs = {"input_ids": input_ids}
            if noise:
                states = self.decoder.get_input_embeddings()(input_ids)
                inputs = {"inputs_embeds": with_noise(states[0], lengths, self.neftune_alpha)[None]}
            states = self.decoder(**inputs, position_ids=position_ids, lengths=lengths, use_cache=False).last_hidden_state
        return states[0, rows]

    def generation(self) -> Callable[[Tensor], Tensor]:
        """A function from (1, T) token ids, a prompt and then one token at a time, to the (D,) last state; it remembers what it saw."""
        if self.fused is not None:
            memory = self.fused.new_memory()
            return lambda ids: self.fused.extend(ids, memory)
        cache = DynamicCache(config=self.decoder.config)

        def extend(ids: Tensor) -> Tensor:
            with self.autocast():
                return self.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state[0, -1]

        return extend

    def recompute(self, number: int) -> None:
        """From now on keep only the input of each of the first `number` layers and compute the rest again in backward: less memory,
        but up to a third slower. There is no way back."""
        self.recomputed_layers = min(number, self.num_layers)
        if self.fused is not None:
            self.fused.recomputed_layers = self.recomputed_layers
        elif self.recomputed_layers:
            self.peft.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
            layers = [module for module in self.decoder.modules() if isinstance(module, GradientCheckpointingLayer)]
            for layer in layers[self.recomputed_layers :]:
                layer.gradient_checkpointing = False

    @property
    def can_offload(self) -> bool:
        """Whether `offload` saves anything: on the fused layers of a GPU."""
        return self.fused is not None and self.device.type == "cuda"

    def offload(self) -> None:
        """From now on recompute all layers from inputs that wait in the host's memory: the same result, slower by their way."""
        self.recompute(self.num_layers)
        if self.fused is not None:
            self.fused.offloads_inputs = self.offloads_inputs = True

    @contextlib.contextmanager
    def base_alone(self, wanted: bool = True) -> Iterator[None]:
        """The model as it was before training, for passes without gradient inside. wanted: False changes nothing."""
        if not wanted:
            yield
        elif self.fused is None:
            with self.peft.disable_adapter():
                yield
        else:
            self.fused.with_adapters = False
            try:
                yield
            finally:
                self.fused.with_adapters = True

    @property
    def num_layers(self) -> int:
        """Decoder layers of the base."""
        return self.decoder.config.num_hidden_layers

    def logits(self, states: Tensor) -> Tensor:
        """(n, V) in fp32 of (n, D) states."""
        if self.narrow_head is not None:
            return self.narrow_head.times_transposed(states)
        with self.autocast():
            return self.head(states).float()

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """fp32 adapters multiply in the compute type: the small weights are cast, never the activations."""
        with torch.autocast(self.device.type, DTYPES[self.precision], enabled=self.precision != "fp32"):
            yield

    def trainable(self) -> dict[str, Tensor]:
        """Trainable parameters by name, in the model's order."""
        return {name: parameter for name, parameter in self.peft.named_parameters() if parameter.requires_grad}


def pick_device(local_rank: int = 0) -> torch.device:
    """The GPU of that number among those this process sees, where PyTorch can use one, else the CPU."""
    return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")


def model_type(folder: Path) -> str:
    """`model_type` of the config, such as "qwen3". Raises ModelError for a config transformers can't read."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    except (ValueError, OSError, KeyError) as error:
        raise ModelError(f"{folder}: transformers cannot read this model's config.json: {_first_line(error)}") from error


def is_stored_as(folder: Path, dtype: str) -> bool:
    """Whether all weights of a model lie in its files in that type, whatever its config says."""
    types = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            types |= {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118 - a file, not a dict
    return types == {STORED[dtype]}


def load_base(folder: Path, dtype: str, quantization: str, device: torch.device) -> PreTrainedModel:
    """The frozen base model on `device`, what is not quantised in the type `dtype`.

    Raises ModelError for weights or an architecture that can't be loaded.
    """
    for library in ("transformers", "bitsandbytes"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=DTYPES[dtype], attn_implementation=attention.NAME, trust_remote_code=False, use_safetensors=True,
            device_map={"": device}, quantization_config=_quantization(quantization, DTYPES[dtype]), local_files_only=True,
        )  # fmt: skip
    except torch.OutOfMemoryError:
        raise
    except (ValueError, OSError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"{folder}: this model cannot be loaded: {_first_line(error)}") from error
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes would lay 4-bit weights out anew at the first evaluation, for a product that has no gradient.
            module.support_avx512bf16_for_cpu = False
    model.requires_grad_(False)
    model.config.use_cache = False
    return model


def add_adapter(base: PreTrainedModel, shape: ModelShape, lora: schema.Lora, seed: int) -> PeftModel:
    """A trainable LoRA adapter in fp32 on `base`, a model of `shape`, initialised from `seed`.

    Raises ModelError for unknown target modules.
    """
    torch.manual_seed(seed)
    settings = LoraConfig(
        task_type=TaskType.CAUSAL_LM, r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, bias="none",
        target_modules=_targets(shape, lora.target_modules), use_rslora=lora.variant == "rslora", use_dora=lora.variant == "dora",
    )  # fmt: skip
    try:
        model = get_peft_model(base, settings)
    except ValueError as error:
        raise ModelError(
            f"lora.target_modules = {lora.target_modules!r}: {_first_line(error)}; use 'all-linear' or names such as q_proj"
        ) from error
    if model.peft_config["default"].target_parameters:
        raise ModelError(
            f"lora.target_modules = {lora.target_modules!r}: experts and their router are not trained; name the attention's modules, such "
            "as ['q_proj', 'v_proj']"
        )
    for part, layer in (("embed_tokens", base.get_input_embeddings()), ("lm_head", base.get_output_embeddings())):
        if isinstance(layer, BaseTunerLayer):
            raise ModelError(f"lora.target_modules = {lora.target_modules!r}: {part} is not trained; leave it out, or use 'all-linear'")
    return model


def name_base(model: PeftModel, name: str, revision: str) -> None:
    """Let the saved adapter say what base it is for, as peft loads it by itself. revision: "" for the default one."""
    model.peft_config["default"].base_model_name_or_path = name
    model.peft_config["default"].revision = revision or None


def _targets(shape: ModelShape, asked: str | list[str]) -> str | list[str]:
    """Of a mixture of experts, the attention alone: peft would also adapt every expert, which takes gigabytes, and the router, which
    would then send tokens elsewhere than it was balanced for."""
    return [linear.name for linear in shape.linears] if asked == "all-linear" and shape.experts else asked


def prepare_training(
    model: PeftModel, shape: ModelShape, lora: schema.Lora, device: torch.device, precision: str, recomputed_layers: int
) -> LoadedModel:
    """`model` ready to be trained: fused where that is right, activations left in the compute type, head apart.

    recomputed_layers: so many of the first compute their activations again in backward.

    Raises ModelError where transformers does not give the head apart.
    """
    base = model.get_base_model()
    if (decoder := base.get_decoder()) is base:
        raise ModelError(
            f"{base.config.model_type} models cannot be trained: transformers does not give their output head apart; "
            "choose another architecture (docs/models.md)"
        )
    sharded = any(isinstance(parameter, DTensor) for parameter in base.parameters())
    plain_because = why_plain(shape, lora.variant, sharded)
    fused = fuse(model, lora.dropout, DTYPES[precision]) if plain_because is None else None
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            # peft would copy every activation to fp32 for its fp32 adapters; autocast casts the small weights instead.
            module.cast_input_dtype_enabled = False
    model.train()
    head = base.get_output_embeddings()
    narrow = frozen_weight([head], DTYPES[precision]) if head.weight.dtype != DTYPES[precision] else None
    final = _with_final_scaling(head, base.config)
    loaded = LoadedModel(model, decoder, final, head.weight.shape[0], device, precision, narrow, fused, plain_because)
    loaded.recompute(recomputed_layers)
    return loaded


def _with_final_scaling(head: torch.nn.Module, config: Any) -> Callable[[Tensor], Tensor]:
    """The head and what some families do to its logits (Gemma 2 soft-capping, Cohere's and Granite's scales)."""
    cap = getattr(config, "final_logit_softcapping", None)
    scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
    if cap is None and scale == 1.0:
        return head
    if cap is None:
        return lambda hidden: head(hidden) * scale
    return lambda hidden: torch.tanh(head(hidden) * scale / cap) * cap


def _quantization(kind: str, compute: torch.dtype) -> BitsAndBytesConfig | None:
    """bitsandbytes settings; the output head and the embeddings stay as they are."""
    if kind == "none":
        return None
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise EnvironmentFault(f"model.quantization = {kind!r} needs bitsandbytes; install it with: pip install bitsandbytes") from error
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute,
        bnb_4bit_quant_storage=compute if compute != torch.float32 else torch.uint8,
    )  # fmt: skip


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
