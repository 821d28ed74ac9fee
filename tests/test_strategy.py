"""The recommender over described machines and models, as a table that was reviewed cell by cell, and its single rules.

Each row is (machine, model): recommended way × processes, rows of a micro-batch, layers whose activations are recomputed, and whether
their inputs wait in the host's memory (offload). The reasons: Kept activations are 2.9 MB a token of 4B in bf16, 5.5 GiB for two rows.
T4: no bf16 and Qwen overflows in fp16, so fp32, and attention that keeps keys and values once a query head: 0.6B (2.2 GiB) fits, 1.7B
(6.4) a row at a time, 4B (15.0) does not and takes 4 bits, beside which one row keeps 7.2 GiB; 14B in 4 bits still keeps 2 × 2.9 GiB of
fp32 embedding and head, too much. RTX 3060: 4B in bf16 leaves 3.8 GiB, so a row at a time and half the layers again; 8B (15.3) needs 4
bits; 14B in 4 bits leaves nothing. 2 × 3090 on 8 lanes: up to 8B every card holds all, so DDP; 14B (27.5 GiB) would be gathered over 6
GB/s for longer than 4 bits take to unpack, which leave 9.7 GiB for two rows; 32B in 4 bits takes 22.6 of 23.6 GiB, which is not sure
enough, until the 0.6 GiB of its layers' inputs leave the card. 4 × A10G: 8B keeps one row of activations (15.3 + 0.7 + 3.3 GiB and 1.0 of
the rest of 21.7); 14B as on the 3090. H100, A100: eight rows feed eight GPUs, a second machine would stay idle; 32B whole on each just
leaves room for a row's activations on the H100 and on the A100 for those of seven layers in eight, which costs less than gathering
shards. Mixed: the 3060 would hold the 4090 up sixfold. CPU: fp32, and 4 bits from 8B on, as slowly as that is; it works through one row
at a time, so two cost no more memory than one.
"""

import json

import msgspec
import pytest

from engine.config import Config, Data, Parallel, Train
from engine.machine_file import find_machine, read_machine
from engine.model_shape import ModelShape
from engine.model_source import REFERENCE_CONFIGS
from engine.plan import make_plan
from tests.machines import gpu, machine

SHIPPED = json.loads(REFERENCE_CONFIGS.read_text(encoding="utf-8"))
MODELS = ("0.6B", "1.7B", "4B", "8B", "14B", "32B")
NOTHING = "nothing fits"
TABLE = {
    "1xT4": ("single 2", "single 1", "nf4 1", "nf4 1 again 27", NOTHING, NOTHING),
    "1xRTX3060": ("single 2", "single 2", "single 1 again 18", "nf4 1 again 4", NOTHING, NOTHING),
    "2xRTX3090-PCIe": ("ddp×2 2", "ddp×2 2", "ddp×2 2", "ddp×2 1", "nf4_ddp×2 2", "nf4_ddp×2 1 again 64 offload"),
    "4xA10G": ("ddp×4 2", "ddp×4 2", "ddp×4 2", "ddp×4 1", "nf4_ddp×4 1", NOTHING),
    "8xH100-NVLink": ("ddp×8 1", "ddp×8 1", "ddp×8 1", "ddp×8 1", "ddp×8 1", "ddp×8 1"),
    "2nodes-8xA100": ("ddp×8 1", "ddp×8 1", "ddp×8 1", "ddp×8 1", "ddp×8 1", "ddp×8 1 again 8"),
    "mixed-4090-3060": ("single 2", "single 2", "single 2", "single 1", "nf4 2", "nf4 1 again 64 offload"),
    "cpu-only": ("single 2", "single 2", "single 2", "nf4 2", "nf4 2 again 5", "nf4 2 again 64"),
}


def shape(model):
    return ModelShape.from_config(SHIPPED[f"Qwen3-{model}"])


def plan_on(name, model="4B", tokens=None, **sections):
    return make_plan(msgspec.structs.replace(Config(), **sections), shape(model), read_machine(find_machine(name)), tokens)


def told(plan):
    """The recommendation in the words of the table."""
    best = plan.options[0]
    if not best.fits:
        return NOTHING
    devices = f"×{best.world_size}" if best.world_size > 1 else ""
    again = f" again {best.recomputed_layers}" if best.recomputed_layers else ""
    return f"{best.name}{devices} {best.micro_batch}{again}" + (" offload" if best.offloads_inputs else "")


def reason(plan, name):
    return next(option.note.code for option in plan.options if option.name == name)


@pytest.mark.parametrize(("name", "model"), [(name, model) for name in TABLE for model in MODELS])
def test_the_recommendation_is_the_reviewed_one(name, model):
    """Reference preset (batch 2 × 4, rows of 1024, rank 16) over machines and models."""
    assert told(plan_on(name, model)) == TABLE[name][MODELS.index(model)]


@pytest.mark.parametrize(("name", "model"), [(name, model) for name in TABLE for model in ("0.6B", "32B")])
def test_every_way_has_one_reason_and_one_is_taken(name, model):
    """The reasons are sentences, not codes without words."""
    options = plan_on(name, model).options

    assert [option.taken for option in options] == [True] + [False] * (len(options) - 1)
    assert all(option.note.text for option in options)
    assert {option.name for option in options} >= {"single", "ddp", "fsdp2", "nf4", "context_parallel", "cpu_offload"}


def test_a_larger_effective_batch_feeds_the_second_machine():
    """32 rows keep 16 GPUs busy, 8 rows only one machine."""
    plan = plan_on("2nodes-8xA100", train=Train(batch_size=2, gradient_accumulation_steps=16))

    assert (plan.strategy, plan.world_size, plan.num_nodes) == ("ddp", 16, 2)
    assert plan.micro_batch * plan.accumulation * plan.world_size == 32


def test_a_short_job_stays_on_one_gpu():
    """Starting four processes takes longer than they save."""
    short, long = (plan_on("4xA10G", tokens=tokens) for tokens in (20_000, 5_000_000))

    assert (short.strategy, reason(short, "ddp")) == ("single", "option_short_job")
    assert long.strategy == "ddp"


def test_a_configuration_that_fits_sharded_runs_sharded_even_where_4_bits_would_be_faster():
    """The plan never changes the precision by itself; it says what would be better."""
    plan = plan_on("2xRTX3090-PCIe", "14B")

    assert (plan.strategy, plan.fits, plan.recommended) == ("fsdp2", True, "nf4_ddp")
    assert "recommended_other" in [note.code for note in plan.notes]


def test_nvlink_turns_the_choice_to_sharded_weights():
    """The same two cards with a bridge carry 14B's shards faster than 4 bits unpack."""
    bridged = machine(*(gpu(index=index, free=23.6, nvlinks=4) for index in (0, 1)))
    linked = msgspec.structs.replace(bridged, links=(read_machine(find_machine("8xH100-NVLink")).links[0],))

    assert make_plan(Config(), shape("14B"), linked).recommended == "fsdp2"


@pytest.mark.parametrize("length", [1024, 65536])
@pytest.mark.parametrize("name", TABLE)
def test_only_what_the_engine_trains_is_recommended(name, length):
    """Also where nothing else fits: the simplest way is then told, with its cure."""
    one_row = {"data": Data(max_seq_length=length), "train": Train(batch_size=1, gradient_accumulation_steps=1)}
    for model in MODELS:
        plan = plan_on(name, model, **one_row)

        assert plan.options[0].driven, model
        assert plan.fits or plan.options[0].fits or plan.options[0].name == "single", model


def test_one_long_row_names_context_parallel_and_that_it_is_not_driven():
    """A row of 64k tokens fits no single card with recomputation, but cut over eight it does."""
    plan = plan_on("8xH100-NVLink", "32B", data=Data(max_seq_length=65536), train=Train(batch_size=1, gradient_accumulation_steps=1))
    context = next(option for option in plan.options if option.name == "context_parallel")

    assert context.impossible is None and not context.driven


def test_the_gpus_named_are_those_with_room():
    """Of two equal cards the one that others use less."""
    plan = make_plan(Config(), shape("4B"), machine(gpu(free=3.0), gpu(index=1, free=23.0)))

    assert (plan.strategy, plan.gpus) == ("single", (1,))


def test_a_number_of_gpus_asked_for_is_the_number_used():
    """parallel.num_gpus on each machine of parallel.num_nodes."""
    plan = plan_on("2nodes-8xA100", parallel=Parallel(strategy="ddp", num_gpus=4, num_nodes=2))

    assert (plan.world_size, plan.gpus) == (8, (0, 1, 2, 3))
