"""Merged weights are those that peft makes, tensor by tensor, whatever the kind of adapter and however the base is stored."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine.base_weights import INDEX, plan_shards
from engine.checkpoint import save_adapter
from engine.config import Lora
from engine.errors import ModelError
from engine.initialisation import begin_at, find_start
from engine.loading import add_adapter, load_base
from engine.merged_weights import MergedWeights
from engine.merging import read_adapter
from tests.test_numerics import CPU
from tests.tiny_models import ARCHITECTURES, FAMILIES, shape_of, tiny_architecture, tiny_model

KINDS = {
    "lora": {}, "rslora": {"variant": "rslora"}, "dora": {"variant": "dora"}, "pissa": {"init": "pissa"},
    "olora and rslora": {"init": "olora", "variant": "rslora"}, "attention only": {"target_modules": ["q_proj", "v_proj"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A tiny model of each family."""
    return {family: tiny_model(family, tmp_path_factory.mktemp(family)) for family in FAMILIES}


def trained_adapter(base, folder, **lora):
    """An adapter in which every number has moved, saved as a run saves it."""
    settings = Lora(**{"r": 4, "alpha": 12.0} | lora)
    model = add_adapter(load_base(base, "fp32", "none", CPU), shape_of(base), settings, seed=0)
    start = None
    if settings.init != "default":
        start = find_start(model, settings.init)
        begin_at(model, start)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    folder.mkdir(exist_ok=True)
    save_adapter(model, folder, start)
    return folder


def merged(base, adapter, folder, dtype=None, largest=5 * 10**9):
    """The files of the merged model, and what is told of them."""
    folder.mkdir()
    weights = MergedWeights(adapter, plan_shards(base, dtype, largest), dtype)
    weights.write(folder, lambda done, total: None)
    return folder, weights.facts


def tensors(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_merged_weights_are_those_of_peft(bases, tmp_path, family, kind):
    """To the rounding of fp32; what has no adapter, biases and embeddings too, is bit for bit the base's."""
    adapter = trained_adapter(bases[family], tmp_path / "adapter", **KINDS[kind])
    ours, facts = merged(bases[family], adapter, tmp_path / "merged")
    found, base = tensors(ours), tensors(bases[family])
    plain = AutoModelForCausalLM.from_pretrained(bases[family], dtype=torch.float32)
    wanted = PeftModel.from_pretrained(plain, adapter).merge_and_unload().state_dict()

    assert found.keys() == base.keys()
    changed = {name for name in base if not torch.equal(found[name], base[name])}
    assert changed == read_adapter(adapter).layers.keys() and len(changed) == facts["merged"]
    for name in found:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES.keys() - {*FAMILIES, "lfm2", "stablelm"}))
def test_every_proven_architecture_is_merged(tmp_path, model_type):
    """Its files call the adapted layers what the loaded model calls them; projections in one matrix too."""
    tiny_architecture(model_type, tmp_path)
    adapter = trained_adapter(tmp_path, tmp_path / "adapter")
    ours, _ = merged(tmp_path, adapter, tmp_path / "merged")
    (ours / "config.json").write_bytes((tmp_path / "config.json").read_bytes())
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32), adapter)
    wanted, loaded = plain.merge_and_unload().state_dict(), AutoModelForCausalLM.from_pretrained(ours, dtype=torch.float32).state_dict()

    assert loaded.keys() == wanted.keys()
    for name in loaded:
        torch.testing.assert_close(loaded[name], wanted[name], rtol=1e-5, atol=1e-6)


def test_a_base_in_several_files_stays_in_as_many(bases, tmp_path):
    """Each tensor is where the index says, with the value that a base in one file gives."""
    whole = bases["qwen2"]
    AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32).save_pretrained(tmp_path / "base", max_shard_size="100KB")
    adapter = trained_adapter(whole, tmp_path / "adapter")
    ours, _ = merged(tmp_path / "base", adapter, tmp_path / "merged")
    wanted, _ = merged(whole, adapter, tmp_path / "wanted")
    places = json.loads((ours / INDEX).read_text(encoding="utf-8"))["weight_map"]

    assert len(set(places.values())) == len(list((tmp_path / "base").glob("*.safetensors"))) > 1
    assert all(torch.equal(load_file(ours / places[name])[name], tensor) for name, tensor in tensors(wanted).items())


def test_a_file_that_would_grow_too_large_is_cut(bases, tmp_path):
    """No tensor is lost, transformers reads the pieces through their index."""
    adapter = trained_adapter(bases["qwen3"], tmp_path / "adapter")
    ours, _ = merged(bases["qwen3"], adapter, tmp_path / "merged", largest=60_000)
    (ours / "config.json").write_bytes((bases["qwen3"] / "config.json").read_bytes())
    whole, _ = merged(bases["qwen3"], adapter, tmp_path / "whole")
    loaded = AutoModelForCausalLM.from_pretrained(ours).state_dict()

    assert len(list(ours.glob("model-*-of-*.safetensors"))) > 2
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors(whole).items())


def test_weights_keep_the_type_they_are_published_in(bases, tmp_path):
    """The sum is rounded once, from fp32; how far that is off beside the update is told, and fp32 is off by nothing."""
    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(bases["llama"], dtype=torch.bfloat16).save_pretrained(base)
    adapter = trained_adapter(base, tmp_path / "adapter")
    narrow, told = merged(base, adapter, tmp_path / "narrow")
    wide, wide_told = merged(base, adapter, tmp_path / "wide", torch.float32)
    found, exact, before = tensors(narrow), tensors(wide), tensors(base)
    shares = [
        ((found[name].float() - exact[name]).norm() / (exact[name] - before[name].float()).norm()).item()
        for name in read_adapter(adapter).layers
    ]

    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in exact.values()} == {torch.float32}
    assert all(torch.equal(found[name], exact[name].bfloat16()) for name in found)
    assert told["shift"] == pytest.approx({"mean": sum(shares) / len(shares), "max": max(shares)}) and told["shift"]["mean"] > 0.001
    assert (told["dtype"], wide_told["dtype"], wide_told["shift"]) == ("bf16", "fp32", {"mean": 0.0, "max": 0.0})


def test_an_adapter_for_another_base_is_refused_by_name(bases, tmp_path):
    """A layer that the base has not, or has in another size, is no layer to skip."""
    adapter = trained_adapter(bases["llama"], tmp_path / "adapter")
    weights = load_file(adapter / "adapter_model.safetensors")
    strange = {name.replace("layers.1", "layers.7"): tensor for name, tensor in weights.items()}
    save_file(strange, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"layers\.7.*which the base has not"):
        merged(bases["llama"], adapter, tmp_path / "merged")

    save_file({name: tensor[..., :-1].contiguous() for name, tensor in weights.items()}, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="not the one that the run was trained on"):
        merged(bases["llama"], adapter, tmp_path / "again")


@pytest.mark.parametrize(("value", "dtype", "says"), [(float("nan"), None, "numbers that are none"), (1e6, torch.float16, "too large")])
def test_weights_that_cannot_be_stored_are_refused(bases, tmp_path, value, dtype, says):
    """A model of infinities would load everywhere and say nothing."""
    adapter = trained_adapter(bases["llama"], tmp_path / "adapter")
    weights = load_file(adapter / "adapter_model.safetensors")
    next(tensor for name, tensor in weights.items() if "lora_B" in name)[0, 0] = value
    save_file(weights, adapter / "adapter_model.safetensors")

    with pytest.raises(ModelError, match=says):
        merged(bases["llama"], adapter, tmp_path / "merged", dtype)
