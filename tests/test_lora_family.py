"""Kinds of LoRA beside the plain one: their gradients on the fused path, what plain peft loads of them, and that they resume exactly."""

import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from engine import events
from engine.batches import build_micro_batch
from engine.checkpoint import save_adapter
from engine.config import Config, Lora, Train
from engine.config_file import parse
from engine.contradictions import check_together
from engine.errors import ConfigError, ModelError
from engine.initialisation import as_plain, begin_at, find_start, from_plain
from engine.loading import LoadedModel, add_adapter, load_base, prepare_training
from engine.neftune import with_noise
from engine.optimizers import build_optimizer, parameter_groups
from engine.train_step import Updater, forward, train_step
from tests.engine_runs import losses, make_run, of_type, train_here, write_records
from tests.test_numerics import CPU, _assert_equal, _examples, _no_scaler, _ours
from tests.tiny_models import shape_of, tiny_model

INITS = ("pissa", "olora")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data") / "records.jsonl")


def begun(folder, init: str, fused: bool = True, **lora: object) -> LoadedModel:
    """A model whose adapter began as a part of the base."""
    settings = Lora(**{"r": 4, "alpha": 8.0, "init": init} | lora)
    peft = add_adapter(load_base(folder, "fp32", "none", CPU), shape_of(folder), settings, seed=0)
    start = find_start(peft, init)
    begin_at(peft, start)
    model = prepare_training(peft, shape_of(folder), settings, CPU, "fp32", recomputed_layers=0)
    model.start = start
    if not fused:
        model.fused = None
    return model


def logits(model: torch.nn.Module) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.arange(5, 30)[None]).logits[0]


@pytest.mark.parametrize("variant", ["lora", "rslora"])
@pytest.mark.parametrize("init", INITS)
def test_adapters_that_begin_as_a_part_of_the_base_train_on_the_fused_path(folder, init, variant):
    """Another beginning and another scale only: the fused gradients are those of peft's own layers."""
    examples = _examples(folder)
    loss, gradients = _ours(begun(folder, init, variant=variant), [examples])
    wanted_loss, wanted = _ours(begun(folder, init, fused=False, variant=variant), [examples])

    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    _assert_equal(gradients, wanted, 1e-5)


def test_olora_begins_as_peft_begins_it(folder):
    """A, B and what is left of the base are those of a model that peft initialised itself."""
    ours = begun(folder, "olora")
    settings = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8.0, target_modules="all-linear", init_lora_weights="olora")
    peft = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), settings)
    wanted = dict(peft.named_parameters())

    for name, parameter in ours.peft.named_parameters():
        torch.testing.assert_close(parameter.data, wanted[name].data, rtol=0, atol=1e-5)


def test_pissa_begins_with_nearly_the_largest_part(folder):
    """What is left of each matrix is at most 5 % more than after its best approximation of that rank, though they are random, so that
    nothing stands out."""
    before = dict(load_base(folder, "fp32", "none", CPU).named_parameters())
    model = begun(folder, "pissa", fused=False)

    for name, layer in model.peft.get_base_model().named_modules():
        if hasattr(layer, "base_layer"):
            least = torch.linalg.svdvals(before[f"{name}.weight"])[4:].norm()
            assert least <= layer.base_layer.weight.norm() * 1.0001 and layer.base_layer.weight.norm() < 1.05 * least, name


@pytest.mark.parametrize("init", INITS)
def test_the_model_computes_what_it_did_before_it_learns(folder, init):
    """What the base gives away the adapter has."""
    before = logits(load_base(folder, "fp32", "none", CPU))

    torch.testing.assert_close(logits(begun(folder, init).peft), before, rtol=0, atol=1e-4)


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("init", INITS)
def test_a_trained_adapter_loads_in_plain_peft_on_the_original_base(folder, tmp_path, init, variant):
    """What is saved is the change alone, so nobody has to take anything out of the base."""
    model = begun(folder, init, variant=variant)
    updater = Updater(list(model.trainable().values()), build_optimizer(model.trainable(), Train(), 1.0), _no_scaler(), 1.0)
    for _ in range(3):
        train_step(model, [build_micro_batch(_examples(folder), CPU)], updater, 1e-2)
    save_adapter(model.peft, tmp_path, model.start)
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tmp_path)
    trained = logits(model.peft)

    assert (trained - logits(load_base(folder, "fp32", "none", CPU))).abs().max() > 0.1
    torch.testing.assert_close(logits(plain), trained, rtol=0, atol=2e-3)
    assert plain.peft_config["default"].init_lora_weights is True


def test_a_saved_adapter_gives_back_what_it_began_with(folder):
    """Bit for bit, so that a resumed run takes the same part out of the base."""
    model = begun(folder, "pissa")
    adapter = {name: torch.randn_like(matrix) for name, matrix in model.start.items()}
    back, start = from_plain(as_plain(adapter, model.start))

    assert all(torch.equal(back[name], adapter[name]) and torch.equal(start[name], model.start[name]) for name in adapter)


RECIPES = {
    "pissa and schedule_free": ({"init": "pissa"}, {"optimizer": "schedule_free", "warmup_ratio": 0.3}),
    "olora, rslora, LoRA+, muon and NEFTune": (
        {"init": "olora", "variant": "rslora", "plus_ratio": 4.0},
        {"optimizer": "muon", "neftune_alpha": 5.0, "scheduler": "wsd", "learning_rate": 1e-3},
    ),
    "LoRA+ and adamw": ({"plus_ratio": 16.0}, {"learning_rate": 1e-3}),
    "NEFTune on plain layers": ({"dropout": 0.1}, {"neftune_alpha": 5.0}),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_learns_and_resumes_bit_for_bit(folder, data, tmp_path, recipe):
    """Steps 5 to 8 from checkpoint-4 are those of the uninterrupted run, and so is the adapter; watching changes nothing."""
    lora, train = RECIPES[recipe]
    lora = {"r": 4, "alpha": 8.0} | lora
    train = {"batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 5e-3, "max_steps": 8} | train
    whole, resumed, unwatched = (
        make_run(tmp_path, folder, data, name, lora=lora, train=train, **watching)
        for name, watching in (("whole", {}), ("resumed", {}), ("unwatched", {"eval": {"every_steps": 0}, "sample": {"num_prompts": 0}}))
    )
    train_here(whole)
    shutil.copytree(whole.checkpoint(4), resumed.checkpoint(4))
    for run in (resumed, unwatched):
        train_here(run)
    evals = of_type(whole, events.Eval)
    result = [(run.final_model / "adapter_model.safetensors").read_bytes() for run in (whole, resumed, unwatched)]

    assert evals[-1].loss < evals[0].loss
    assert losses(resumed) == {step: loss for step, loss in losses(whole).items() if step > 4}
    assert losses(unwatched) == losses(whole)
    assert result[0] == result[1] == result[2]


def test_lora_plus_gives_b_its_own_rate(folder):
    """Two groups: A learns at the schedule's rate, B so many times as fast; without a ratio there is one group."""
    trainable = begun(folder, "olora").trainable()
    optimizer = build_optimizer(trainable, Train(), plus_ratio=16.0)
    Updater(list(trainable.values()), optimizer, _no_scaler(), 0.0).apply(1e-4)
    slow, fast = optimizer.param_groups
    of_b = {id(parameter) for name, parameter in trainable.items() if "lora_B" in name}

    assert (slow["lr"], fast["lr"]) == pytest.approx((1e-4, 1.6e-3))
    assert {id(parameter) for parameter in fast["params"]} == of_b
    assert len(parameter_groups(trainable, 1.0)) == 1


def test_noise_is_bounded_by_each_examples_own_length_and_drawn_anew():
    """alpha / sqrt(tokens × D), not by the length of the row it shares with others."""
    states = torch.zeros(110, 16)
    first, second = with_noise(states, (10, 100), 5.0), with_noise(states, (10, 100), 5.0)
    bounds = [5.0 / (tokens * 16) ** 0.5 for tokens in (10, 100)]

    assert 0.8 * bounds[0] < first[:10].abs().max() <= bounds[0]
    assert 0.8 * bounds[1] < first[10:].abs().max() <= bounds[1]
    assert not torch.equal(first, second)


@pytest.mark.parametrize("fused", [True, False])
def test_only_training_is_noisy(folder, fused):
    """An evaluated model has no noise; a training one has, and the same for the same random state."""
    model, batch = begun(folder, "olora", fused), build_micro_batch(_examples(folder), CPU)
    quiet = forward(model, batch)[1]
    model.neftune_alpha = 5.0
    noisy = []
    for _ in range(2):
        torch.manual_seed(7)
        noisy.append(forward(model, batch)[1])
    model.peft.eval()

    assert torch.equal(noisy[0], noisy[1]) and not torch.allclose(noisy[0], quiet)
    torch.testing.assert_close(forward(model, batch)[1], quiet)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[lora]\ninit = 'pissa'\n[model]\nquantization = 'nf4'", "lora.init = 'pissa' takes a part out of the base"),
        ("[lora]\nvariant = 'dora'\n[model]\nquantization = 'int8'", "lora.variant = 'dora' reads the base weights in every pass"),
        ("[lora]\nvariant = 'dora'\n[train]\noptimizer = 'muon'", "train.optimizer = 'muon' updates matrices"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_both_ways_out(text, says):
    """Each alone is allowed, so the schema has nothing against them."""
    with pytest.raises(ConfigError, match=says):
        check_together(parse(text, "test"))
    check_together(Config())


def test_a_rank_above_the_layers_size_is_said_in_words(folder):
    """PiSSA has no more directions than the smaller side of a matrix."""
    settings = Lora(r=64, init="pissa")
    peft = add_adapter(load_base(folder, "fp32", "none", CPU), shape_of(folder), settings, seed=0)

    with pytest.raises(ModelError, match=r"lora\.r = 64"):
        find_start(peft, "pissa")


@pytest.mark.parametrize("name", ["lm_head", "embed_tokens"])
def test_the_head_and_the_embeddings_are_no_targets(folder, name):
    """The loss treats the head as frozen, so an adapter there would silently learn nothing."""
    with pytest.raises(ModelError, match=name):
        add_adapter(load_base(folder, "fp32", "none", CPU), shape_of(folder), Lora(target_modules=["q_proj", name]), seed=0)
