"""A run's model asked and measured by a process of its own: the same model as at the end of training, beside its base."""

import json
import queue
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from data.conversation import Conversation, Turn
from data.tokenizer import load_tokenizer
from engine import answers, events
from engine.chosen_adapter import choose_adapter, step_of
from engine.config_file import read_resolved
from engine.errors import RunError
from engine.run_directory import RunDirectory
from engine.sampling import parse_generation
from tests.engine_runs import make_run, of_type, train_here, write_records
from tests.patience import run_to_end
from tests.tiny_models import tiny_model
from tui.answering import Answerer
from tui.texts import set_language


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data") / "records.jsonl")


@pytest.fixture(scope="module", params=["qwen3", "dora"])
def run(request, data, tmp_path_factory):
    """A finished run, on the fused layers and on the plain ones."""
    set_language("en")
    folder = tmp_path_factory.mktemp(request.param)
    lora = {"variant": "dora"} if request.param == "dora" else {}
    made = make_run(folder, tiny_model("qwen3", folder / "model"), data, lora=lora, sample={"temperature": 0.0, "max_new_tokens": 6})
    train_here(made)
    return made


@pytest.fixture
def asking(run):
    """The process and its replies."""
    replies: queue.SimpleQueue = queue.SimpleQueue()
    answerer = Answerer(run, choose_adapter(run), replies.put)
    yield answerer, replies
    answerer.close()
    assert answerer._process.returncode is not None


def model_of(run: RunDirectory) -> Path:
    return Path(read_resolved(run.config).model.name)


@torch.no_grad()
def plain_answer(peft: PeftModel, run: RunDirectory, history: list[tuple[str, str]], is_base: bool) -> str:
    """Thinking and answer of the likeliest six tokens, all of the text anew for each."""
    tokenizer = load_tokenizer(model_of(run))
    said = [turn for question, reply in history for turn in (Turn("user", question), Turn("assistant", reply))]
    ids, new = tokenizer.prompt_ids(Conversation((*said, Turn("user", "再加一")))), []
    while len(new) < 6:
        with peft.disable_adapter() if is_base else nullcontext():
            token = int(peft(input_ids=torch.tensor([[*ids, *new]])).logits[0, -1].argmax())
        if token in tokenizer.eos_ids:
            break
        new.append(token)
    parsed = parse_generation(tokenizer.decode(new), tokenizer.opens_thinking)
    return parsed.thinking + parsed.answer


def until_done(replies, request):
    found = []
    while True:
        reply = replies.get(timeout=300)
        found.append(reply)
        if isinstance(reply, answers.Done | answers.Refused) and reply.id == request:
            return found


def test_the_model_and_its_base_are_those_of_the_run(run, asking):
    """The evaluations are those that the run made at its end and at its start, to the order of additions."""
    answerer, replies = asking
    tuned, base = (until_done(replies, answerer.evaluate(base=base)) for base in (False, True))
    found = [next(reply for reply in replied if isinstance(reply, events.Eval)) for replied in (tuned, base)]
    first, last = of_type(run, events.Eval)[0], of_type(run, events.Eval)[-1]

    ready = next(reply for reply in tuned if isinstance(reply, answers.Ready))
    assert (ready.step, ready.precision) == (8, "fp32")
    assert found[0].loss == pytest.approx(last.loss, rel=1e-5) and found[1].loss == pytest.approx(first.loss, rel=1e-5)
    assert found[0].supervised_tokens == last.supervised_tokens and found[0].accuracy == last.accuracy


def test_answers_are_those_of_plain_transformers_and_peft(run, asking):
    """The likeliest token each time, of the trained model and of its base; a conversation goes on from what was said."""
    answerer, replies = asking
    base = AutoModelForCausalLM.from_pretrained(model_of(run), dtype=torch.float32)
    peft = PeftModel.from_pretrained(base, str(run.final_model)).eval()
    for is_base in (False, True):
        for history in ([], [("一加一", "二")]):
            replied = until_done(replies, answerer.ask("再加一", history=history, base=is_base))
            finished = next(reply for reply in replied if isinstance(reply, events.SampleFinished))
            assert finished.thinking + finished.answer == plain_answer(peft, run, history, is_base), (is_base, history)


def test_a_file_that_cannot_be_used_is_one_sentence_and_the_model_stays(run, asking, tmp_path):
    answerer, replies = asking
    (tmp_path / "empty.jsonl").write_text("")
    refused = until_done(replies, answerer.evaluate(data=str(tmp_path / "empty.jsonl")))[-1]
    done = until_done(replies, answerer.ask("还在吗"))[-1]

    assert isinstance(refused, answers.Refused) and "empty.jsonl" in refused.reason and refused.exit_code == 2
    assert isinstance(done, answers.Done)


def test_a_file_with_other_columns_and_longer_records_than_the_run_trained_on_is_measured_whole(run, asking, tmp_path):
    """Nothing is left out because training would have: the model sees more."""
    answerer, replies = asking
    (tmp_path / "own.jsonl").write_text('{"问": "一加一", "答": "二"}\n{"问": "写长些", "答": "%s"}\n' % ("长" * 500), encoding="utf-8")
    request = answerer.evaluate(data=str(tmp_path / "own.jsonl"), columns=["query=问", "response=答"])
    measured = next(reply for reply in until_done(replies, request) if isinstance(reply, events.Eval))

    assert measured.examples == 2 and measured.supervised_tokens > 128


def test_a_halt_is_heard_in_the_middle_of_an_answer(run, asking):
    """What there is so far is the answer; of a request that has not begun, its first token."""
    answerer, replies = asking
    request, second = (answerer.ask("说下去", max_new_tokens=100_000) for _ in range(2))
    answerer.halt(second)
    while not isinstance(replies.get(timeout=300), events.SampleText):
        pass
    answerer.halt(request)
    finished = next(reply for reply in until_done(replies, request) if isinstance(reply, events.SampleFinished))

    assert 0 < finished.tokens < 100_000 and not finished.ended
    assert next(reply for reply in until_done(replies, second) if isinstance(reply, events.SampleFinished)).tokens == 1


def test_the_process_ends_with_whoever_asks(run):
    """Also while it loads: its stdin is all it lives on."""
    adapter = str(choose_adapter(run))
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.answerer", str(run.path), adapter], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.read()

    assert process.wait(300) == 0


def test_a_process_that_dies_says_so(run):
    """Whoever asks is told; of one that was killed, what that mostly means."""
    replies: queue.SimpleQueue = queue.SimpleQueue()
    answerer = Answerer(run, choose_adapter(run), replies.put)
    answerer._process.kill()
    told = replies.get(timeout=300)
    while not isinstance(told, answers.Refused):
        told = replies.get(timeout=300)
    answerer.close()

    assert told.id == "" and "signal 9" in told.reason


def test_what_there_is_to_ask_is_found_and_what_is_not_is_told(run, tmp_path, data):
    fresh = make_run(tmp_path, model_of(run), data)

    assert choose_adapter(run) == run.final_model and step_of(run.final_model) == 8
    assert step_of(choose_adapter(run, 6)) == 6
    with pytest.raises(RunError, match="no checkpoint of step 5; those it has: 8, 6"):
        choose_adapter(run, 5)
    with pytest.raises(RunError, match="has no checkpoint yet"):
        choose_adapter(fresh)


def test_the_commands_answer_and_measure(run, tmp_path):
    """Questions from a pipe, a line each; figures as a table and as JSON."""
    tui = [sys.executable, "-m", "tui"]
    (tmp_path / "questions").write_text("一加一\n\n二加二\n", encoding="utf-8")
    with open(tmp_path / "questions", encoding="utf-8") as questions:
        chat = run_to_end([*tui, "chat", str(run.path), "--json", "--base"], text=True, stdin=questions)
    table = run_to_end([*tui, "eval", str(run.path)], text=True)
    facts = run_to_end([*tui, "eval", str(run.path), "--base", "--json", "--checkpoint", "6"], text=True)

    decoder, said, text = json.JSONDecoder(), [], chat.stdout.strip()
    while text:
        one, end = decoder.raw_decode(text)
        said.append((one["prompt"], one["base"]))
        text = text[end:].lstrip()
    assert said == [("一加一", True), ("一加一", False), ("二加二", True), ("二加二", False)], chat.stderr
    assert table.returncode == 0 and "step 8" in table.stdout and table.stdout.splitlines()[0].split()[0] == "model"
    assert json.loads(facts.stdout)["tuned"]["step"] == 6 and json.loads(facts.stdout)["base"]["step"] == 0
