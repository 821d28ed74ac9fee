"""The plan: does it fit, how is it done, what would make it fit, and why."""

import json

import msgspec
import pytest

from engine import fitting
from engine.config import Config, Data, Eval, Parallel, Sample, Train
from engine.config_file import presets, read_resolved
from engine.model_shape import ModelShape
from engine.model_source import REFERENCE_CONFIGS, config_of
from engine.notes import SENTENCES
from engine.plan import FP16_OVERFLOWS, make_plan
from tests.machines import gpu, machine
from tui import texts

SHIPPED = json.loads(REFERENCE_CONFIGS.read_text(encoding="utf-8"))
QWEN, SMOL = (ModelShape.from_config(SHIPPED[name]) for name in ("Qwen3-4B", "SmolLM2-135M-Instruct"))


def changed(section, config=None, **values):
    config = config or Config()
    return msgspec.structs.replace(config, **{section: msgspec.structs.replace(getattr(config, section), **values)})


def codes(plan):
    return [note.code for note in plan.notes]


def test_checkpointing_is_off_where_it_fits_without():
    """It costs a third more time, so auto takes it only where memory asks."""
    assert make_plan(Config(), QWEN, machine(gpu(free=79.0, total=80.0))).recomputed_layers == 0
    assert make_plan(Config(), QWEN, machine(gpu(free=10.0, total=16.0))).recomputed_layers > 0


@pytest.mark.parametrize(
    ("config", "free", "cure"),
    [
        (changed("train", gradient_checkpointing="off"), 10.0, "cure_checkpointing"),
        (changed("model", precision="fp32"), 12.0, "cure_precision"),
        (changed("sample", max_new_tokens=32768), 12.0, "cure_samples"),
        (Config(), 6.0, "cure_nf4"),
        (changed("data", max_seq_length=16384), 12.0, "cure_nf4"),
        (changed("model", changed("data", max_seq_length=16384), quantization="nf4"), 5.0, "cure_length"),
        (changed("data", max_seq_length=16384), 5.0, "cure_several"),
        (Config(), 1.0, "cure_smaller_model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_comes_with_its_cheapest_cure(config, free, cure):
    """Time before precision, precision before data, and honesty when nothing helps."""
    plan = make_plan(config, QWEN, machine(gpu(free=free)))

    assert not plan.fits and "does_not_fit" in codes(plan)
    assert [code for code in codes(plan) if code.startswith("cure")] == [cure]


def test_a_cure_of_several_changes_names_all_of_them_and_fits():
    """Each is needed: with any of them left out it does not fit."""
    config, where = changed("train", gradient_checkpointing="off"), machine(gpu(free=5.2))
    (cure,) = [note for note in make_plan(config, QWEN, where).notes if note.code.startswith("cure")]
    checkpointing, quantization = "train.gradient_checkpointing = 'auto'", "model.quantization = 'nf4'"
    both = changed("model", changed("train", config, gradient_checkpointing="auto"), quantization="nf4")

    assert cure.values["changes"] == f"{checkpointing}; {quantization}"
    assert make_plan(both, QWEN, where).fits and not make_plan(changed("model", config, quantization="nf4"), QWEN, where).fits


def test_weights_on_every_card_that_do_not_fit_are_sharded_as_a_cure():
    """DDP that was asked for takes one setting back, not 4 bits."""
    config = changed("parallel", strategy="ddp")

    assert "cure_strategy" in codes(make_plan(config, QWEN, machine(gpu(free=8.0), gpu(free=8.0, index=1))))


@pytest.mark.parametrize("free", [9.8, 10.0, 12.0, 16.0, 23.0])
def test_the_memory_manager_keeps_the_effective_batch(free):
    """Fewer rows in a micro-batch, as many more micro-batches; the less memory, the smaller."""
    plan = make_plan(changed("train", batch_size=16, gradient_accumulation_steps=3), QWEN, machine(gpu(free=free)))

    assert plan.fits and plan.micro_batch * plan.accumulation == 48
    assert plan.peak_high_gib < free * 1.02


def test_the_memory_manager_goes_from_fast_to_frugal():
    """Half a micro-batch that still fills the device comes before recomputing, an eighth of the layers more each time; micro-batches
    that fill nothing come when all are recomputed, then small loss chunks, and last the way to the host's memory."""
    tried, short = (
        [setting[:2] for setting in fitting._settings(Config(), rows=8, row_tokens=tokens, layers=layers, can_offload=False)]
        for tokens, layers in ((1024, 4), (512, 36))
    )
    last = list(fitting._settings(Config(), rows=8, row_tokens=1024, layers=36, can_offload=True))[-2:]

    assert last == [(1, 36, fitting.SMALL_CHUNK_BYTES, False), (1, 36, fitting.SMALL_CHUNK_BYTES, True)]
    assert tried == [(2, 0), (1, 0), (2, 1), (1, 1), (2, 2), (1, 2), (2, 3), (1, 3), (2, 4), (1, 4), (1, 4)]
    assert short == [*((2, layers) for layers in (0, 4, 9, 13, 18, 22, 27, 31, 36)), (1, 36), (1, 36)]


@pytest.mark.parametrize(("asked", "tried"), [("off", {(0, False)}), ("on", {(36, False)}), ("offload", {(36, True)})])
def test_gradient_checkpointing_that_was_asked_for_or_forbidden_is_obeyed(asked, tried):
    """All layers or none, and their inputs in the host's memory, however much there is."""
    config = changed("train", gradient_checkpointing=asked)

    settings = fitting._settings(config, rows=8, row_tokens=1024, layers=36, can_offload=True)

    assert {(setting.recomputed_layers, setting.offloads_inputs) for setting in settings} == tried


def test_a_long_row_that_fits_in_no_other_way_leaves_its_layers_inputs_in_the_hosts_memory():
    """36 of 32,768 tokens take 5.6 GiB in bf16; two stay. Their way costs time, which the estimate counts."""
    long = msgspec.structs.replace(changed("train", batch_size=1), data=msgspec.structs.replace(Config().data, max_seq_length=32768))
    roomy, tight = (make_plan(long, QWEN, machine(gpu(free=free, total=24.0))) for free in (23.5, 16.5))

    assert roomy.fits and roomy.recomputed_layers and not roomy.offloads_inputs
    assert tight.fits and tight.offloads_inputs and "checkpointing_offloaded" in codes(tight)
    assert tight.components["activations"] == pytest.approx(2 * 32768 * 2560 * 2 / 2**30)
    assert tight.step_s > roomy.step_s


@pytest.mark.parametrize(("lora", "where"), [({}, machine()), ({"variant": "dora"}, machine(gpu(free=20.0)))])
def test_where_inputs_cannot_go_to_the_host_that_is_said(lora, where):
    """On a CPU they are there already, and the plain layers of transformers keep theirs."""
    config = changed("train", gradient_checkpointing="offload")
    plan = make_plan(msgspec.structs.replace(config, lora=msgspec.structs.replace(config.lora, **lora)), QWEN, where)

    assert plan.recomputed_layers == plan.num_layers and not plan.offloads_inputs
    assert "checkpointing_stays" in codes(plan)


def test_less_memory_recomputes_more_layers():
    """From none to all, in steps; the forecast falls and the time of a step rises with each."""
    plans = [make_plan(Config(), QWEN, machine(gpu(free=free, total=24.0))) for free in (24.0, 12.5, 11.5, 10.5, 9.8)]
    layers = [plan.recomputed_layers for plan in plans]

    assert layers == sorted(layers) and len(set(layers)) >= 4 and all(plan.fits for plan in plans)
    assert [plan.step_s for plan in plans] == sorted(plan.step_s for plan in plans)


def test_what_others_hold_is_not_available():
    """The choice follows free memory, not the card's size."""
    alone, shared = (make_plan(Config(), QWEN, machine(gpu(free=free, total=24.0))) for free in (23.0, 10.0))

    assert not alone.recomputed_layers and shared.recomputed_layers


def test_the_cpu_is_held_against_available_memory():
    """Without a GPU the machine's free memory decides, not its total."""
    assert make_plan(Config(), QWEN, machine(available=30.0)).fits is True
    assert make_plan(Config(), QWEN, machine(available=6.0)).fits is False


@pytest.mark.parametrize(
    ("shape", "where", "precision", "code"),
    [
        (QWEN, machine(gpu(capability=(8, 9))), "bf16", "precision_gpu_bf16"),
        (QWEN, machine(gpu(capability=(7, 5), name="Tesla T4")), "fp32", "precision_gpu_fp32"),
        (SMOL, machine(gpu(capability=(7, 5), name="Tesla T4")), "fp16", "precision_gpu_fp16"),
        (SMOL, machine(instructions=("AVX2",)), "fp32", "precision_cpu_fp32"),
        (SMOL, machine(instructions=("AVX-512", "AMX BF16")), "bf16", "precision_cpu_bf16"),
    ],
    ids=["ampere", "turing with qwen", "turing", "plain cpu", "cpu with bf16"],
)  # fmt: skip
def test_precision_is_what_the_hardware_does_well(shape, where, precision, code):
    """bf16 where there are units for it; never fp16 for a family that overflows in it."""
    plan = make_plan(Config(), shape, where)

    assert plan.precision == precision and code in codes(plan)


@pytest.mark.parametrize(("asked", "capability", "refused"), [("bf16", (7, 5), True), ("fp16", (8, 6), True), ("bf16", (8, 6), False)])
def test_a_type_that_the_engine_would_refuse_is_said_before(asked, capability, refused):
    """Not a plan that looks well and a run that ends at once."""
    told = codes(make_plan(changed("model", precision=asked), QWEN, machine(gpu(capability=capability))))

    assert (f"precision_refused_{asked}" in told) is refused


def test_what_the_engine_measured_wins():
    """A CPU whose flags promise bf16 may still be faster in fp32."""
    plan = make_plan(Config(), SMOL, machine(instructions=("AMX BF16",)), precision="fp32")

    assert plan.precision == "fp32" and "precision_measured" in codes(plan)


@pytest.mark.parametrize(
    ("where", "code"),
    [
        (machine(), "strategy_cpu"),
        (machine(gpu(), torch="2.13.0+cpu"), "strategy_no_cuda"),
        (machine(gpu(), visible=()), "strategy_hidden"),
        (machine(gpu(problem="the GPU has fallen off the bus")), "strategy_cpu"),
        (machine(gpu()), "strategy_gpu"),
        (machine(gpu(), gpu(index=1)), "strategy_ddp"),
        (machine(gpu(free=8.0), gpu(free=8.0, index=1)), "strategy_fsdp2"),
    ],
    ids=["cpu", "torch without cuda", "hidden", "lost", "one", "two fit", "two only sharded"],
)  # fmt: skip
def test_where_it_trains_is_said_with_its_reason(where, code):
    """One sentence a rule."""
    assert code in codes(make_plan(Config(), QWEN, where))


@pytest.mark.parametrize("strategy", ["single", "ddp", "fsdp2"])
def test_a_strategy_asked_for_is_obeyed(strategy):
    """Whatever the recommendation is; num_gpus too."""
    config = msgspec.structs.replace(Config(), parallel=Parallel(strategy=strategy, num_gpus=1 if strategy == "single" else 2))
    plan = make_plan(config, QWEN, machine(gpu(), gpu(index=1), gpu(index=2)))

    assert (plan.strategy, plan.world_size) == (strategy, 1 if strategy == "single" else 2)


def test_two_processes_on_a_cpu_only_when_asked():
    """gloo works without a GPU, but gains nothing by itself."""
    config = msgspec.structs.replace(Config(), parallel=Parallel(strategy="ddp", num_gpus=2))

    assert make_plan(Config(), SMOL, machine()).world_size == 1
    plan = make_plan(config, SMOL, machine(available=30.0))
    assert (plan.strategy, plan.world_size, plan.available_gib, plan.gpus, plan.num_nodes) == ("ddp", 2, 15.0, (), 1)


def test_processes_that_share_a_cpu_are_not_faster_than_one():
    """The same cores work, so one process stays the recommendation, and the one asked for says that it was."""
    config = msgspec.structs.replace(Config(), parallel=Parallel(strategy="ddp", num_gpus=2))
    plan = make_plan(config, SMOL, machine(gemm_gflops=140.0))
    single, ddp = (next(option for option in plan.options if option.name == name) for name in ("single", "ddp"))

    assert plan.strategy == "ddp" and plan.recommended == "single" and ddp.note.code == "option_asked"
    assert ddp.step_s == pytest.approx(single.step_s, rel=0.01)


def test_memory_taken_by_others_is_said():
    """A card that would do when free is told apart from one that is too small."""
    assert "gpu_busy" in codes(make_plan(Config(), QWEN, machine(gpu(free=3.0, total=24.0))))
    shared = make_plan(Config(), QWEN, machine(gpu(free=14.0), gpu(index=1)))
    (busy,) = [note for note in shared.notes if note.code == "gpu_busy"]
    assert shared.fits and "GPU 0" in busy.text and "10.0 GiB" in busy.text


def test_a_gpu_that_does_not_work_is_said_to_be_left_out():
    """The other one trains; nobody wonders where the first went."""
    plan = make_plan(Config(), QWEN, machine(gpu(problem="the GPU has fallen off the bus"), gpu(index=1)))

    assert plan.gpus == (1,) and "GPU 0 is left out" in " ".join(plan.reasons)


def test_time_needs_tokens_and_a_rate():
    """None rather than a guess."""
    measured = machine(gemm_gflops=140.0)

    assert make_plan(Config(), SMOL, machine(), tokens=100_000).time_s is None
    assert make_plan(Config(), SMOL, measured).time_s is None
    assert "time_unknown_data" in codes(make_plan(Config(), SMOL, measured))
    assert "time_unknown_data" not in codes(make_plan(Config(), SMOL, measured, tokens=100_000))


def test_the_time_is_that_of_steps_evaluations_and_samples():
    """95,000 tokens of training, and what is kept apart passed twice, forwards only; samples stop it for all the tokens they may write."""
    measured = machine(gemm_gflops=140.0)
    bare = msgspec.structs.replace(
        Config(), eval=Eval(every_steps=0), sample=Sample(num_prompts=0), train=Train(gradient_checkpointing="off")
    )
    plan = make_plan(bare, SMOL, measured, tokens=95_000)
    talking = make_plan(msgspec.structs.replace(bare, sample=Sample(every_steps=0, max_new_tokens=2_000)), SMOL, measured, tokens=95_000)

    assert plan.time_s == pytest.approx((95_000 + 2 * 5_000 / 2) / plan.tokens_per_s, rel=0.01)
    assert talking.time_s - plan.time_s == pytest.approx(2 * 2_000 / 11, rel=0.2)  # 11 tokens/s were measured, two prompts side by side
    assert "time_parts" in codes(talking) and "time_parts" not in codes(plan)


def test_the_speed_estimate_is_of_the_measured_order():
    """136 tokens/s of SmolLM2-135M were measured where GEMM gave 107-155 GFLOP/s; an estimate within half of that is one."""
    rate = make_plan(Config(), SMOL, machine(gemm_gflops=140.0)).tokens_per_s

    assert 136 / 1.5 < rate < 136 * 1.5


def test_max_steps_bounds_the_time():
    """A run of ten steps takes as long as ten steps, whatever the data holds, where none of it is kept apart to be evaluated."""
    config = msgspec.structs.replace(changed("train", max_steps=10), data=Data(eval_fraction=0.0))
    short, long = (make_plan(config, SMOL, machine(gemm_gflops=140.0), tokens=tokens).time_s for tokens in (10**6, 10**9))

    assert short == long


def test_the_json_has_the_promised_keys():
    """`danlu plan --json` is a contract, and plain values only."""
    facts = make_plan(Config(), QWEN, machine(gpu())).facts()

    assert {"peak_memory_gib", "available_gib", "fits", "components", "micro_batch", "strategy", "reasons", "time_s"} <= set(facts)
    assert json.loads(msgspec.json.encode(facts)) == facts


@pytest.mark.parametrize("preset", presets(), ids=lambda path: path.stem)
def test_every_preset_fits_the_card_it_is_for(preset):
    """A preset named after a card's memory must fit that card with a desktop running on it."""
    size = preset.stem.rpartition("-")[2].removesuffix("g")
    config = read_resolved(preset)
    where = machine(gpu(free=int(size) - 0.7, total=int(size))) if size.isdigit() else machine(available=8.0)

    assert make_plan(config, ModelShape.from_config(config_of(config.model)), where).fits


def test_families_that_overflow_are_the_engines():
    """The plan repeats a constant of a module that needs torch."""
    precision = pytest.importorskip("engine.precision")

    assert precision.FP16_OVERFLOWS == FP16_OVERFLOWS


@pytest.mark.parametrize("code", SENTENCES)
def test_the_catalogue_says_every_note(code):
    """Consoles translate by code; the English there is the engine's own sentence."""
    texts.set_language("en")

    assert texts.tr(f"hardware.note.{code}") == SENTENCES[code]
