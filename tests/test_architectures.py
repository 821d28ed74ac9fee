"""What is proven of each architecture, on tiny random models of it: exact packed training, a falling loss, an adapter plain peft loads."""

import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from engine import events
from engine.attention import NAME
from engine.batches import build_micro_batch
from engine.checkpoint import save_adapter
from engine.config import Lora, Train
from engine.errors import ModelError
from engine.loading import add_adapter, prepare_training
from engine.model_shape import ModelShape
from engine.optimizers import build_optimizer
from engine.packing_check import leaks
from engine.train_step import Updater, train_step
from tests.engine_runs import losses, make_run, of_type, train_here, write_records
from tests.test_numerics import CPU, _assert_equal, _examples, _model, _no_scaler, _ours, _reference
from tests.tiny_models import ARCHITECTURES, SIZES, tiny_architecture

FUSED = {"qwen3", "qwen2", "llama", "mistral"}
LEAKY = ("lfm2", "stablelm")


@pytest.fixture(scope="module", params=[name for name in ARCHITECTURES if name not in LEAKY])
def architecture(request, smollm2_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / request.param
    return request.param, tiny_architecture(request.param, Path(shutil.copytree(smollm2_folder, folder)))


def test_packed_examples_give_the_loss_and_gradients_of_each_alone(architecture):
    """Held against the unchanged model of transformers and peft, one example at a time with its own masks."""
    model_type, folder = architecture
    examples, model = _examples(folder), _model(folder)
    loss, gradients = _ours(model, [examples])
    wanted_loss, wanted = _reference(folder, examples)

    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    _assert_equal(gradients, wanted, 1e-5)
    assert (model.fused is not None) is (model_type in FUSED)


def test_examples_of_a_row_do_not_see_one_another(architecture):
    """What the engine measures after loading agrees with the gradients."""
    _, folder = architecture

    assert not leaks(_model(folder))


def test_the_loss_falls_and_plain_peft_computes_the_same_with_the_saved_adapter(architecture, tmp_path):
    """A few steps on three examples; logits of the trained model and of a fresh base with the adapter beside it."""
    _, folder = architecture
    model, batch = _model(folder), build_micro_batch(_examples(folder), CPU)
    trainable = model.trainable()
    updater = Updater(list(trainable.values()), build_optimizer(trainable, Train(), 1.0), _no_scaler(), 1.0)
    losses = [train_step(model, [batch], updater, 5e-3).sums.mean for _ in range(6)]
    save_adapter(model.peft, tmp_path)
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tmp_path)
    ids = batch.input_ids[:, : batch.lengths[0]]
    got = []
    with torch.no_grad():
        for peft in (model.peft, plain):
            peft.eval()
            got.append(peft(input_ids=ids).logits)

    assert losses[-1] < 0.95 * losses[0]
    torch.testing.assert_close(got[0], got[1], rtol=1e-4, atol=1e-4)


def test_generation_sees_what_the_whole_model_sees(architecture):
    """States of a prompt longer than any window, and of the tokens after it, are those of one pass by transformers' own attention."""
    _, folder = architecture
    model = _model(folder)
    model.peft.eval()
    ids = torch.tensor([_examples(folder)[0].ids])
    with torch.no_grad():
        generation = model.generation()
        text, state = generation.begin(ids[:, :24])
        got = [state, *(generation.extend([text], token)[0] for token in ids[0, 24:].split(1))]
        model.peft.config._attn_implementation = "sdpa"
        wanted = model.decoder(input_ids=ids, use_cache=False).last_hidden_state[0]

    torch.testing.assert_close(torch.stack(got), wanted[23:], rtol=1e-4, atol=1e-4)


def test_texts_generated_side_by_side_do_not_see_one_another(architecture):
    """Three prompts of different lengths, one of which ends early: each has the states that it has alone."""
    _, folder = architecture
    model = _model(folder)
    model.peft.eval()
    texts = [torch.tensor([example.ids]) for example in _examples(folder)[:3]]
    prompts = [7, 24, 3]
    with torch.no_grad():
        alone = [_generated(model, [text], [prompt], [4])[0] for text, prompt in zip(texts, prompts, strict=True)]
        together = _generated(model, texts, prompts, [4, 2, 4])

    for mine, wanted in zip(together, alone, strict=True):
        torch.testing.assert_close(mine, wanted[: len(mine)], rtol=1e-4, atol=1e-4)


def _generated(model, texts, prompts, tokens):
    """States of the last token of each prompt and of so many `tokens` after it, taken from the text."""
    generation = model.generation()
    begun = [generation.begin(text[:, :prompt]) for text, prompt in zip(texts, prompts, strict=True)]
    states = [[state] for _, state in begun]
    for number in range(max(tokens)):
        writing = [place for place, most in enumerate(tokens) if number < most]
        following = torch.stack([texts[place][0, prompts[place] + number] for place in writing])
        for place, state in zip(writing, generation.extend([begun[place][0] for place in writing], following), strict=True):
            states[place].append(state)
    return [torch.stack(found) for found in states]


@pytest.mark.parametrize(("model_type", "says"), [("gemma2", "softcap"), ("gpt_oss", "s_aux")])
def test_an_attention_that_would_be_computed_wrongly_is_refused(model_type, says):
    """Capped scores and sinks have no place in PyTorch's kernels, and leaving them out would train another model."""
    config = AutoConfig.for_model(
        model_type, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=32,
        vocab_size=64, pad_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation=NAME)

    with pytest.raises(ModelError, match=says):
        model(input_ids=torch.arange(8)[None])


@pytest.mark.parametrize("model_type", LEAKY)
def test_a_model_that_mixes_examples_of_a_row_trains_them_one_by_one(model_type, smollm2_folder, tmp_path):
    """A convolution over tokens, an attention that drops its arguments: found out, told, and losses are those of each example alone."""
    folder = tiny_architecture(model_type, Path(shutil.copytree(smollm2_folder, tmp_path / model_type)))
    model, examples = _model(folder), _examples(folder)
    run = make_run(tmp_path, folder, write_records(tmp_path / "records.jsonl"), train={"max_steps": 2}, sample={"num_prompts": 0})
    train_here(run)
    first = next(event for event in of_type(run, events.Eval) if event.step == 0)
    alone, _ = _ours(model, [[example] for example in examples])
    packed, _ = _ours(_model(folder), [examples])

    assert leaks(model) and packed != pytest.approx(alone, rel=1e-4)
    assert "not_packed" in [warning.code for warning in of_type(run, events.Warning)]
    assert first.supervised_tokens and losses(run).keys() == {1, 2}


def test_experts_are_refused_as_targets(tmp_path):
    """Named ones too, with what to take instead."""
    with pytest.raises(ModelError, match="experts and their router are not trained"):
        _model(tiny_architecture("qwen3_moe", tmp_path), target_modules=["q_proj", "gate"])


def test_only_attention_is_adapted_where_experts_are(tmp_path):
    """Experts lie in one tensor, and a router that learns would send tokens elsewhere than it was balanced for."""
    model = _model(tiny_architecture("qwen3_moe", tmp_path))
    adapted = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in model.trainable()}

    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_a_model_whose_head_is_not_apart_is_refused():
    """Llama 4's class calls itself its decoder; that is told before anything is computed, with what to do."""
    config = AutoConfig.for_model("llama4_text", **SIZES | {"hidden_size": 64, "head_dim": 16, "vocab_size": 64, "num_local_experts": 2})
    lora = Lora(r=4)
    shape = ModelShape.from_config(config.to_dict())
    model = add_adapter(AutoModelForCausalLM.from_config(config), shape, lora, seed=0)

    with pytest.raises(ModelError, match="llama4_text models cannot be trained"):
        prepare_training(model, shape, lora, CPU, "fp32", 0)
