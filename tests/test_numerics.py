"""Loss and gradients against plain transformers and peft, on tiny models of each family."""

import dataclasses
import shutil

import pytest
import torch
from torch.nn.functional import cross_entropy

from data.conversation import Conversation, Turn
from data.examples import ANSWER, MASKED, THINKING, Example, ExampleSettings, build_examples
from data.tokenizer import load_tokenizer
from engine import config as schema
from engine.batches import build_micro_batch
from engine.evaluation import evaluate
from engine.fused import decoder
from engine.fused.dropout import Dropout, at
from engine.fused.projections import Adapter, Projections
from engine.fused.weights import Dense
from engine.loading import LoadedModel, add_adapter, is_stored_as, load_base, prepare_training
from engine.loss import token_scores
from engine.train_step import Updater, backward, forward, part_sums, read_sums
from tests.tiny_models import FAMILIES, shape_of, tiny_model

CPU = torch.device("cpu")
ALL = 1000
"""Layers to recompute: more than any model here has."""
QUESTIONS = (
    ("一加一？", "一个加一个是两个。", "二。"),
    ("What is a hash?", None, "A digest of fixed length."),
    ("SM4 分组多长？", "查标准。", "128 位。"),
)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return tiny_model(request.param, tmp_path_factory.mktemp(request.param))


def _examples(folder) -> list[Example]:
    tokenizer = load_tokenizer(folder)
    found = []
    for index, (question, reasoning, answer) in enumerate(QUESTIONS):
        turns = (Turn("user", question), Turn("assistant", answer, reasoning))
        found += build_examples(Conversation(turns=turns), tokenizer, ExampleSettings(max_seq_length=256), index)
    return found


def _model(folder, recomputed_layers: int = 0, held: str = "fp32", **lora: object) -> LoadedModel:
    """A tiny model whose adapter is no longer zero, so that every gradient says something."""
    settings = schema.Lora(**{"r": 4, "alpha": 8.0, "dropout": 0.0} | lora)
    model = add_adapter(load_base(folder, held, "none", CPU), shape_of(folder), settings, seed=0)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return prepare_training(model, shape_of(folder), settings, CPU, "fp32", recomputed_layers)


def _no_scaler() -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", enabled=False)


def _gradients(model: LoadedModel) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.trainable().items()}


def _ours(model: LoadedModel, groups: list[list[Example]]) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one step whose micro-batches are `groups`."""
    batches = [build_micro_batch(group, CPU) for group in groups]
    supervised = sum(len(batch.targets) for batch in batches)
    sums = read_sums([backward(model, batch, _no_scaler(), supervised) for batch in batches])
    return sums.mean, _gradients(model)


def _reference(folder, examples: list[Example], variant: str = "lora") -> tuple[float, dict[str, torch.Tensor]]:
    """One example at a time through the whole model with its logits, mean over all supervised tokens."""
    model = _model(folder, variant=variant)
    model.peft.config._attn_implementation = "sdpa"
    supervised = sum(example.supervised_tokens for example in examples)
    total = torch.zeros(())
    for example in examples:
        labels = torch.tensor([id if part in (THINKING, ANSWER) else -100 for id, part in zip(example.ids, example.parts, strict=True)])
        logits = model.peft(input_ids=torch.tensor([list(example.ids)])).logits[0]
        total = total + cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
    (total / supervised).backward()
    return total.item() / supervised, _gradients(model)


def _assert_equal(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], tolerance: float) -> None:
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        error = (got[name] - gradient).norm() / gradient.norm()
        assert error <= tolerance, f"{name}: relative error {error:.2e}"


@pytest.mark.parametrize("recomputed_layers", [0, 1, ALL])
def test_a_packed_row_gives_the_loss_and_gradients_of_plain_transformers(family, recomputed_layers):
    """Three examples in one row are as three forward passes of the unchanged model: nothing leaks between them."""
    examples = _examples(family)
    loss, gradients = _ours(_model(family, recomputed_layers), [examples])
    wanted_loss, wanted = _reference(family, examples)

    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)


@pytest.mark.parametrize("variant", ["lora", "dora"])
def test_recomputing_some_layers_changes_no_bit_and_keeps_less(family, variant):
    """On the fused and on the plain path: a third number lies between none and all."""
    examples, kept, gradients = _examples(family), [], []
    for number in (0, 1, ALL):
        model, sizes = _model(family, number, variant=variant), []
        batch = build_micro_batch(examples, CPU)
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor, sizes=sizes: sizes.append(tensor.nbytes) or tensor, lambda it: it):
            loss, _ = forward(model, batch)
        loss.backward()
        kept.append(sum(sizes))
        gradients.append({name: parameter.grad for name, parameter in model.trainable().items()})

    assert kept[0] > kept[1] > kept[2]
    for name, gradient in gradients[0].items():
        assert torch.equal(gradients[1][name], gradient) and torch.equal(gradients[2][name], gradient), name


def test_inputs_of_layers_in_the_hosts_memory_change_no_bit(family):
    """Only where they lie is another matter; the block that would hold them side by side is not made."""
    examples = _examples(family)
    usual, offloading = _model(family, ALL), _model(family)
    offloading.offload()
    (loss, gradients), (other_loss, others) = (_ours(model, [examples]) for model in (usual, offloading))

    assert offloading.recomputed_layers == offloading.num_layers and offloading.offloads_inputs
    assert loss == other_loss
    assert all(torch.equal(others[name], gradient) for name, gradient in gradients.items())


@pytest.mark.parametrize("variant", ["rslora", "dora"])
def test_other_lora_variants_give_the_gradients_of_peft(family, variant):
    """The variants go through the same packed path."""
    examples = _examples(family)
    loss, gradients = _ours(_model(family, variant=variant), [examples])
    wanted_loss, wanted = _reference(family, examples, variant)

    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)


def test_a_base_that_stays_in_bf16_trains_in_fp32_as_one_that_was_widened_first(family, tmp_path):
    """Loss, gradients and the logits of generation are the same: a piece of a weight is widened without loss when it is needed."""
    shutil.copytree(family, tmp_path, dirs_exist_ok=True)
    load_base(family, "bf16", "none", CPU).save_pretrained(tmp_path)
    examples = _examples(family)
    narrow, wide = _model(tmp_path, held="bf16"), _model(tmp_path)
    for mine, other in zip(narrow.trainable().values(), wide.trainable().values(), strict=True):
        mine.data.copy_(other.data)
    (loss, gradients), (wanted_loss, wanted) = (_ours(model, [examples]) for model in (narrow, wide))
    with torch.no_grad():
        logits = [model.logits(model.generation().begin(torch.tensor([examples[0].ids]))[1][None]) for model in (narrow, wide)]

    assert is_stored_as(tmp_path, "bf16") and not is_stored_as(family, "bf16")
    assert all(parameter.dtype == torch.bfloat16 for parameter in narrow.peft.parameters() if not parameter.requires_grad)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)


def test_a_step_that_is_given_up_before_its_loss_is_scaled_is_no_fault():
    """Memory may run out in the very first forward, as in the probe: the scaler has no scale yet, and the next step has its own."""
    parameter = torch.nn.Parameter(torch.ones(2))
    updater = Updater([parameter], torch.optim.SGD([parameter], lr=1.0), torch.amp.GradScaler("cpu"), max_grad_norm=0.0)
    updater.clear()
    updater.scaler.scale(parameter.sum()).backward()
    updater.clear()
    updater.scaler.scale(parameter.sum()).backward()

    assert updater.apply(0.5) == (pytest.approx(2**0.5), True)
    assert parameter.tolist() == [0.5, 0.5]


def test_the_split_into_micro_batches_changes_nothing(family):
    """Batch 3 × accumulation 1 is 1 × 3 to 1e-6, though the examples have different numbers of supervised tokens."""
    examples = _examples(family)
    loss, gradients = _ours(_model(family), [examples])
    other_loss, others = _ours(_model(family), [[example] for example in examples])

    assert other_loss == pytest.approx(loss, rel=1e-6)
    _assert_equal(others, gradients, 1e-5)


def test_thinking_and_answer_losses_add_up_to_the_whole(family):
    """Every supervised token is counted in exactly one part."""
    examples = _examples(family)
    model = _model(family)
    batch = build_micro_batch(examples, CPU)
    sums = read_sums([backward(model, batch, _no_scaler(), 1)])

    assert sums.thinking_tokens == sum(example.parts.count(THINKING) for example in examples) > 0
    assert sums.answer_tokens == sum(example.parts.count(ANSWER) for example in examples)
    assert sums.mean * sums.tokens == pytest.approx(sums.thinking + sums.answer)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
def test_an_evaluation_scores_tokens_as_the_whole_logits_would(scaled):
    """Losses as cross-entropy gives them, and right is the token with the highest logit, in chunks that end in the middle."""
    torch.manual_seed(0)
    hidden, linear = torch.randn(50, 8), torch.nn.Linear(8, 30, bias=False)
    head = (lambda states: 3 * torch.tanh(linear(states) / 3)) if scaled else linear
    logits = head(hidden).detach()
    targets = torch.where(torch.arange(50) % 3 == 0, logits.argmax(1), torch.randint(30, (50,)))
    losses, is_right = token_scores(hidden, targets, head, 30, chunk_bytes=4 * 30 * 7)

    torch.testing.assert_close(losses, torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
    assert torch.equal(is_right, logits.argmax(1) == targets) and 17 <= is_right.sum() < 50
    assert not losses.requires_grad


def test_an_evaluation_tells_the_accuracy_of_each_part(family):
    """Of a model that always expects the token an answer ends with: right at the ends of answers, nowhere else."""
    examples, model = _examples(family), _model(family)
    end = examples[0].ids[max(place for place, part in enumerate(examples[0].parts) if part == ANSWER)]
    model.head = lambda states: torch.zeros(len(states), model.vocabulary).index_fill(1, torch.tensor([end]), 5.0)
    told = evaluate(model, examples, step=0, row_length=256, interrupted=lambda: False, progress=lambda done, total: None)
    of_answers = sum(token == end for example in examples for token, part in zip(example.ids, example.parts, strict=True) if part == ANSWER)

    assert told.thinking_accuracy == 0.0
    assert told.answer_accuracy == of_answers / sum(example.parts.count(ANSWER) for example in examples) > 0
    assert told.accuracy == of_answers / told.supervised_tokens


def test_a_micro_batch_without_supervised_tokens_is_harmless(family):
    """Its loss is 0, its gradient 0 and not missing, so that data-parallel ranks would not wait for it."""
    example = _examples(family)[0]
    masked = dataclasses.replace(example, parts=bytes([MASKED]) * len(example.ids))
    model = _model(family)
    sums = read_sums([backward(model, build_micro_batch([masked], CPU), _no_scaler(), 0)])

    assert sums.mean == 0.0 and sums.tokens == 0
    assert all(torch.count_nonzero(gradient) == 0 for gradient in _gradients(model).values())


def test_the_chunks_of_the_head_change_nothing(family, monkeypatch):
    """The vocabulary in many parts gives what it gives in few."""
    examples = _examples(family)
    _, gradients = _ours(_model(family), [examples])
    monkeypatch.setattr("engine.loss.CHUNK_BYTES", 1 << 20)
    _, others = _ours(_model(family), [examples])

    _assert_equal(others, gradients, 1e-5)


def test_a_gradient_that_is_not_finite_changes_no_weight(family):
    """The step is skipped and says so."""
    model = _model(family)
    parameters = list(model.trainable().values())
    updater = Updater(parameters, torch.optim.AdamW(parameters, lr=1.0), _no_scaler(), max_grad_norm=1.0)
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, float("nan"))
    _, applied = updater.apply(1.0)

    assert not applied
    assert all(torch.equal(parameter, old) for parameter, old in zip(parameters, before, strict=True))


def test_clipping_limits_the_update_to_the_norm(family):
    """The norm that is reported is the one before clipping."""
    model = _model(family)
    parameters = list(model.trainable().values())
    updater = Updater(parameters, torch.optim.SGD(parameters, lr=1.0), _no_scaler(), max_grad_norm=1.0)
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    norm, _ = updater.apply(1.0)
    moved = sum(((parameter - old) ** 2).sum() for parameter, old in zip(parameters, before, strict=True)) ** 0.5

    assert norm == pytest.approx(sum(parameter.numel() for parameter in parameters) ** 0.5, rel=1e-5)
    assert moved.item() == pytest.approx(1.0, rel=1e-4)


def test_generation_sees_what_the_whole_model_sees(family):
    """States of a prompt and of the tokens after it, one at a time with remembered keys, are those of one pass over all of them."""
    model = _model(family)
    model.peft.eval()
    ids = torch.tensor([_examples(family)[0].ids])
    with torch.no_grad():
        wanted = model.decoder(input_ids=ids, use_cache=False).last_hidden_state[0]
        generation = model.generation()
        text, state = generation.begin(ids[:, :20])
        got = [state, *(generation.extend([text], token)[0] for token in ids[0, 20:].split(1))]

    assert model.fused is not None
    torch.testing.assert_close(torch.stack(got), wanted[19:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wants_dx", [True, False])
def test_fused_dropout_is_that_of_autograd_with_the_same_draw(wants_dx):
    """Two adapters on one input, half of it dropped: output and gradients are those of the plain formula with the same zeroes."""
    torch.manual_seed(3)
    x, weight = torch.randn(40, 24, requires_grad=True), torch.randn(20, 24)
    adapters = [Adapter(torch.randn(4, 24, requires_grad=True), torch.randn(size, 4, requires_grad=True), 2.0) for size in (12, 8)]
    dropout = Dropout(0.5, seed=7)
    fused = Projections(Dense(weight), None, [12, 8], adapters)
    dropped = x * dropout.factors(x)
    wanted = x @ weight.t() + torch.cat([2.0 * dropped @ adapter.a.t() @ adapter.b.t() for adapter in adapters], dim=1)
    dy = torch.randn_like(wanted)
    gradients = torch.autograd.grad(wanted, [x, *fused.parameters], dy)
    with torch.no_grad():
        y, inner = fused.forward(x, dropout)
        dx, d_parameters = fused.backward(x, inner, dy, dropout, wants_dx)

    torch.testing.assert_close(y, wanted.detach())
    torch.testing.assert_close(d_parameters, list(gradients[1:]))
    assert torch.allclose(dx, gradients[0], rtol=1e-4, atol=1e-5) if wants_dx else dx is None


def test_dropout_drops_the_asked_share_and_keeps_the_mean():
    """A tenth of the inputs is zeroed, the rest scaled so that the mean stays; another place of the layer draws anew."""
    x = torch.ones(1000, 200)
    factors = Dropout(0.1, seed=5).factors(x)

    assert (factors == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
    assert factors.mean().item() == pytest.approx(1.0, abs=0.003)
    assert not torch.equal(factors, at(Dropout(0.1, seed=5), 1).factors(x))


def test_dropout_is_drawn_for_a_step_again_in_recomputation_and_not_at_all_in_evaluation(family):
    """Checkpointing changes no gradient, another seed does; in evaluation mode the model is the one without dropout."""

    def step(seed: int, **settings: object) -> dict[str, torch.Tensor]:
        model = _model(family, **settings)
        torch.manual_seed(seed)
        return _ours(model, [_examples(family)])[1]

    kept, again, other = step(1, dropout=0.3), step(1, dropout=0.3, recomputed_layers=ALL), step(2, dropout=0.3)
    dropping, without = _model(family, dropout=0.3), _model(family)
    dropping.peft.eval()
    batch = build_micro_batch(_examples(family), CPU)
    with torch.no_grad():
        hidden = [model.hidden(batch.input_ids, batch.position_ids, batch.lengths, batch.rows) for model in (dropping, without)]

    assert dropping.fused is not None
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-5, atol=1e-7)
    assert any(not torch.allclose(other[name], gradient, rtol=0.01) for name, gradient in kept.items())
    assert torch.equal(*hidden)


def test_linears_that_share_an_input_keep_each_its_own_bias():
    """One with a bias beside one without: no family has that today, and dropping it would be silent."""
    linears = [torch.nn.Linear(6, 4, bias=bias) for bias in (True, False, True)]
    x = torch.randn(5, 6)

    y, _ = decoder._projections(torch.float32, *linears).forward(x)

    torch.testing.assert_close(y, torch.cat([linear(x) for linear in linears], dim=1))


def test_part_sums_stay_exact_over_many_tokens():
    """Sums are kept in double precision: 100,000 equal losses average to themselves."""
    losses = torch.full((100_000,), 0.1)
    sums = read_sums([part_sums(losses, torch.zeros(100_000, dtype=torch.bool))])

    assert sums.mean == pytest.approx(float(losses[0]), rel=1e-12)
