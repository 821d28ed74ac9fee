"""A base stored in 4 or 8 bits by bitsandbytes, on the CPU: its gradients against the stock libraries, and whole runs on it."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from data.examples import ANSWER, THINKING
from engine import events
from engine.batches import build_micro_batch
from engine.checkpoint import save_adapter
from engine.config import Lora, Train
from engine.errors import EnvironmentFault
from engine.forecast import base_bytes
from engine.fused.weights import frozen_weight
from engine.loading import LoadedModel, add_adapter, load_base, prepare_training
from engine.optimizers import build_optimizer
from engine.train_step import Updater, train_step
from tests.engine_runs import losses, make_run, of_type, train_here, write_records
from tests.test_numerics import CPU, _assert_equal, _examples, _no_scaler, _ours
from tests.tiny_models import FAMILIES, shape_of, tiny_architecture, tiny_model

STOCK = {
    "nf4": BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32
    ),
    "int8": BitsAndBytesConfig(load_in_8bit=True),
}  # fmt: skip
"""As the libraries' own guides write them."""
LOST = {"nf4": 0.15, "int8": 0.02}
"""Most of a weight's norm that packing changes."""
kinds = pytest.mark.parametrize("kind", STOCK)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return tiny_model(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny_model("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data") / "records.jsonl")


def loaded(folder, kind: str, checkpointing: bool = False, precision: str = "fp32", **lora: object) -> LoadedModel:
    """A packed model as the engine loads it, its adapter no longer zero, so that every gradient says something."""
    settings = Lora(**{"r": 4, "alpha": 8.0} | lora)
    peft = add_adapter(load_base(folder, precision, kind, CPU), shape_of(folder), settings, seed=0)
    torch.manual_seed(1)
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return prepare_training(peft, shape_of(folder), settings, CPU, precision, peft.config.num_hidden_layers if checkpointing else 0)


def stock_base(folder, kind: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=STOCK[kind])


def stock(folder, kind: str, model: LoadedModel) -> PeftModel:
    """Plain transformers, peft and bitsandbytes with the adapter of `model`."""
    settings = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8.0, target_modules="all-linear")
    peft = get_peft_model(stock_base(folder, kind), settings).train()
    adapter = {name: parameter.detach() for name, parameter in model.trainable().items()}
    assert not peft.load_state_dict(adapter, strict=False).unexpected_keys
    return peft


def stock_step(peft: PeftModel, examples) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients, one example at a time through the whole model."""
    supervised, total = sum(example.supervised_tokens for example in examples), torch.zeros(())
    for example in examples:
        labels = torch.tensor([id if part in (THINKING, ANSWER) else -100 for id, part in zip(example.ids, example.parts, strict=True)])
        logits = peft(input_ids=torch.tensor([list(example.ids)])).logits[0]
        total = total + cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
    (total / supervised).backward()
    return total.item() / supervised, {name: parameter.grad for name, parameter in peft.named_parameters() if parameter.requires_grad}


def logits(peft: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    peft.eval()
    with torch.no_grad():
        return peft(input_ids=ids).logits[0]


@kinds
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_packed_row_gives_the_loss_and_gradients_of_the_stock_libraries(family, kind, checkpointing):
    """Three examples in one row through the fused layers are as three passes of transformers, peft and bitsandbytes, each alone."""
    examples, model = _examples(family), loaded(family, kind, checkpointing)
    wanted_loss, wanted = stock_step(stock(family, kind, model), examples)
    loss, gradients = _ours(model, [examples])

    assert model.fused is not None
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)


@pytest.mark.parametrize(("model_type", "kind", "variant"), [("llama", "nf4", "dora"), ("phi3", "nf4", "lora"), ("phi3", "int8", "lora")])
def test_plain_layers_train_packed_weights_as_well(smollm2_folder, tmp_path, model_type, kind, variant):
    """What the fused layers do not know goes through bitsandbytes' own: packed examples are still apart, and it learns."""
    folder = tiny_architecture(model_type, Path(shutil.copytree(smollm2_folder, tmp_path / model_type)))
    examples, model = _examples(folder), loaded(folder, kind, variant=variant)
    loss, gradients = _ours(model, [examples])
    for parameter in model.trainable().values():
        parameter.grad = None
    alone, others = _ours(model, [[example] for example in examples])
    found = steps(model, examples)

    assert model.fused is None
    assert loss == pytest.approx(alone, rel=1e-6)
    _assert_equal(gradients, others, 1e-5)
    assert found[-1] < 0.95 * found[0]


@kinds
def test_an_unpacked_weight_is_nearly_the_original(llama, kind):
    """Rows of several linears in their order, each as the checkpoint has it but for what few bits lose; unpacking changes nothing."""
    attention = load_base(llama, "fp32", kind, CPU).get_decoder().layers[0].self_attn
    original = load_base(llama, "fp32", "none", CPU).get_decoder().layers[0].self_attn
    names = ("q_proj", "k_proj", "v_proj")
    weight = frozen_weight([getattr(attention, name) for name in names], torch.float32)
    wanted = torch.cat([getattr(original, name).weight for name in names])
    first, again = weight.unpacked(torch.float32), weight.unpacked(torch.float32)

    assert 0 < (first - wanted).norm() / wanted.norm() < LOST[kind]
    assert torch.equal(first, again)
    torch.testing.assert_close(weight.unpacked(torch.bfloat16), first.bfloat16())


@kinds
def test_the_forward_pass_keeps_no_unpacked_weight(llama, kind):
    """Autograd holds for a packed base what it holds for a dense one."""

    def kept(quantization: str) -> int:
        model, found = loaded(llama, quantization), {}
        own = {tensor.untyped_storage().data_ptr() for tensor in (*model.peft.parameters(), *model.peft.buffers())}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            found[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        batch = build_micro_batch(_examples(llama), CPU)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            hidden = model.hidden(batch.input_ids, batch.position_ids, batch.lengths, batch.rows)
        assert hidden.requires_grad
        return sum(tensor.untyped_storage().nbytes() for pointer, tensor in found.items() if pointer not in own)

    assert kept(kind) == kept("none") > 0


@kinds
def test_only_the_linear_layers_are_packed(llama, kind):
    """Embeddings, head and norms stay in the compute type, never upcast; the packed rest takes what the forecast says."""
    base = load_base(llama, "bf16", kind, CPU)
    packed = [module.weight for module in base.modules() if isinstance(module, torch.nn.Linear) and module is not base.lm_head]
    whole = {parameter for parameter in base.parameters()} - set(packed)
    statistics = [(w.quant_state.absmax, w.quant_state.state2.absmax) if kind == "nf4" else (w.SCB,) for w in packed]
    held = sum(weight.nbytes + sum(tensor.nbytes for tensor in tensors) for weight, tensors in zip(packed, statistics, strict=True))
    shape = shape_of(llama)

    assert {parameter.dtype for parameter in whole} == {torch.bfloat16} and base.lm_head.weight is base.get_input_embeddings().weight
    assert held + sum(p.nbytes for p in whole) == pytest.approx(base_bytes(shape, "bf16", kind), rel=0.01)


@kinds
def test_generation_sees_what_training_sees(llama, kind):
    """States of a prompt and of the tokens after it, one at a time with remembered keys, are those of one pass over all of them."""
    model, ids = loaded(llama, kind), torch.tensor([_examples(llama)[0].ids])
    model.peft.eval()
    tokens = ids.shape[1]
    with torch.no_grad():
        wanted = model.hidden(ids, torch.arange(tokens)[None], (tokens,), torch.arange(tokens))
        generation = model.generation()
        text, state = generation.begin(ids[:, :20])
        got = [state, *(generation.extend([text], token)[0] for token in ids[0, 20:].split(1))]

    torch.testing.assert_close(torch.stack(got), wanted[19:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "tolerance"), [("nf4", 1e-4), ("int8", 0.1)])
def test_a_trained_adapter_loads_in_plain_peft_on_the_same_packed_base(llama, tmp_path, kind, tolerance):
    """Equal logits in 4 bits; in 8 bits peft's inference rounds the activations too (LLM.int8), which training here does not."""
    model, examples = loaded(llama, kind), _examples(llama)
    found = steps(model, examples)
    save_adapter(model.peft, tmp_path)
    plain = PeftModel.from_pretrained(stock_base(llama, kind), tmp_path)
    ids = torch.tensor([examples[0].ids])
    rows = torch.arange(ids.shape[1])
    model.peft.eval()
    with torch.no_grad():
        trained = model.head(model.hidden(ids, rows[None], (len(rows),), rows))
    error = (logits(plain, ids) - trained).norm() / trained.norm()

    assert found[-1] < 0.95 * found[0]
    assert error < tolerance


RECIPES = {
    "nf4": ("nf4", {"r": 4}, {}),
    "nf4 with checkpointing and 8-bit AdamW": ("nf4", {"r": 96}, {"optimizer": "adamw_8bit", "gradient_checkpointing": "on"}),
    "int8 with dropout": ("int8", {"r": 4, "dropout": 0.1}, {}),
    "8-bit AdamW alone": ("none", {"r": 96}, {"optimizer": "adamw_8bit"}),
}
"""From rank 96 on these tiny adapters are large enough for bitsandbytes to keep their moments in 8 bits."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_learns_and_resumes_bit_for_bit(llama, data, tmp_path, recipe):
    """Steps 5 to 8 from checkpoint-4 are those of the uninterrupted run, and so is the adapter."""
    kind, lora, train = RECIPES[recipe]
    train = {"batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 5e-3, "max_steps": 8} | train
    tables = {"model": {"precision": "fp32", "quantization": kind}, "lora": {"alpha": 8.0} | lora, "train": train}
    whole, resumed = (make_run(tmp_path, llama, data, name, **tables) for name in ("whole", "resumed"))
    train_here(whole)
    shutil.copytree(whole.checkpoint(4), resumed.checkpoint(4))
    train_here(resumed)
    evals = of_type(whole, events.Eval)
    result = [(run.final_model / "adapter_model.safetensors").read_bytes() for run in (whole, resumed)]

    assert of_type(whole, events.Plan)[0].plain_because == ""
    assert evals[-1].loss < 0.95 * evals[0].loss
    assert losses(resumed) == {step: loss for step, loss in losses(whole).items() if step > 4}
    assert result[0] == result[1]


def test_an_evaluation_leaves_the_weights_laid_out_for_training(llama, monkeypatch):
    """On a CPU with AVX512-BF16 bitsandbytes would turn them into a layout whose product has no gradient, silently."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    model, examples = loaded(llama, "nf4", variant="dora"), _examples(llama)
    _, before = _ours(model, [examples])
    logits(model.peft, torch.tensor([examples[0].ids]))
    model.peft.train()
    for parameter in model.trainable().values():
        parameter.grad = None
    _, after = _ours(model, [examples])

    assert all(torch.equal(after[name], gradient) for name, gradient in before.items())


def test_without_bitsandbytes_the_message_says_what_to_install(llama, monkeypatch):
    """It is an extra: everything else works without it."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    trainable = {"lora_A": torch.nn.Parameter(torch.zeros(2, 2))}

    with pytest.raises(EnvironmentFault, match=r"model\.quantization = 'nf4' needs bitsandbytes; install it with"):
        load_base(llama, "fp32", "nf4", CPU)
    with pytest.raises(EnvironmentFault, match=r"train\.optimizer = 'adamw_8bit' needs bitsandbytes; install it with"):
        build_optimizer(trainable, Train(optimizer="adamw_8bit"), 1.0)


def steps(model: LoadedModel, examples) -> list[float]:
    """Losses of six steps on one batch."""
    trainable = model.trainable()
    updater = Updater(list(trainable.values()), build_optimizer(trainable, Train(), 1.0), _no_scaler(), 1.0)
    return [train_step(model, [build_micro_batch(examples, CPU)], updater, 5e-3).sums.mean for _ in range(6)]
