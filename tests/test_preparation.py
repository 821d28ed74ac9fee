"""Preparation: a file becomes examples, and whatever is odd about it is said before the first step."""

import json
import re

import pytest

from data.errors import DataError
from data.examples import ExampleSettings, build_examples
from data.preparation import PreparationSettings, prepare
from data.reading import read_file
from engine.events import Phase
from tui.sentences import phase_text
from tui.texts import set_language

HAN = [chr(0x4E00 + number * 11) * 3 for number in range(400)]


def _raw(number, thinking=True, answer="是"):
    output = f"<think>想{HAN[number]}</think>{HAN[number]}{answer}" if thinking else f"{HAN[number]}{answer}"
    return {"instruction": f"{HAN[number]}问题{number * 7919}？", "output": output}


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory, monkeypatch):
    """Examples of other tests, and of the user, are not met."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def file(tmp_path):
    """Writes records to a file and returns its path."""

    def write(records, name="train.jsonl"):
        lines = (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records)
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        return str(tmp_path / name)

    return write


def _prepare(tokenizer, path, seed=42, **options):
    return prepare(PreparationSettings(path, **options), tokenizer, seed, lambda phase, done, total: None)


def _codes(prepared):
    return [code for code, _ in prepared.remarks]


def test_every_record_is_trained_on_or_evaluated(qwen3, file):
    """Counts add up, and a sound file gives no remark."""
    prepared = _prepare(qwen3, file(map(_raw, range(40))), eval_fraction=0.1)

    assert (len(prepared.train), len(prepared.eval), prepared.records, prepared.invalid) == (36, 4, 40, 0)
    assert sorted(example.record for example in [*prepared.train, *prepared.eval]) == list(range(40))
    assert {record.index for record in prepared.eval_records} == {example.record for example in prepared.eval}
    assert (prepared.format, prepared.with_thinking, prepared.without_thinking, prepared.remarks) == ("alpaca", 40, 0, [])


def test_the_same_file_and_seed_give_the_same_fingerprint(qwen3, file):
    """A resumed run knows its data; another seed or limit is other data."""
    path = file(map(_raw, range(40)))
    same, again = _prepare(qwen3, path), _prepare(qwen3, path)
    others = [_prepare(qwen3, path, seed=2), _prepare(qwen3, path, limit=39), _prepare(qwen3, path, missing_thinking="drop", system="s")]

    assert same.fingerprint == again.fingerprint
    assert len({same.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_invalid_records_are_left_out_and_the_first_is_named(qwen3, file):
    """File and line of the first, and how many in all."""
    prepared = _prepare(qwen3, path := file([_raw(0), "{broken", *map(_raw, range(1, 9)), {"instruction": "q"}]))

    assert (prepared.records, prepared.invalid) == (9, 2)
    code, text = prepared.remarks[0]
    assert code == "invalid_records" and text.startswith(f"2 records cannot be used and are left out; the first, {path}:2: not valid JSON")


def test_strict_reading_stops_at_the_first_invalid_record(qwen3, file):
    """For those who want to know before the night."""
    with pytest.raises(DataError, match=r"train\.jsonl:2: not valid JSON"):
        _prepare(qwen3, file([_raw(0), "{broken"]), strict=True)


@pytest.mark.parametrize(("without", "is_told"), [(2, False), (3, True)])
def test_little_thinking_is_told_under_three_quarters(qwen3, file, without, is_told):
    """At exactly 75 % nothing is said, under it the share is."""
    count = 8 if not is_told else 10
    prepared = _prepare(qwen3, file(_raw(number, thinking=number >= without) for number in range(count)))

    assert (prepared.with_thinking, prepared.without_thinking) == (count - without, without)
    told = [text for code, text in prepared.remarks if code == "little_thinking"]
    assert told == (["only 70 % of the records show reasoning; under 75 % the model may unlearn to think"] if is_told else [])


def test_over_length_is_counted_and_told(qwen3, file):
    """Dropped examples are no silent loss."""
    prepared = _prepare(qwen3, file([*map(_raw, range(9)), _raw(9, answer="很长" * 300)]), max_seq_length=200, eval_fraction=0)

    assert (len(prepared.train), prepared.dropped_over_length) == (9, 1)
    assert ("over_length", "1 example is longer than 200 tokens and dropped") in prepared.remarks


def test_truncated_thinking_is_told(qwen3, file):
    """How many, and that answers are whole."""
    long = {"instruction": "q", "output": f"<think>{'想很久。' * 300}</think>a"}
    prepared = _prepare(qwen3, file([_raw(0), long]), max_seq_length=200, over_length="truncate_thinking", eval_fraction=0)

    assert len(prepared.train) == 2 and prepared.counts["truncated"] == 1 and prepared.dropped_over_length == 0
    assert _codes(prepared) == ["truncated"]


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"max_seq_length": 16}, "3 are longer than data.max_seq_length = 16: raise it, or set data.over_length = 'truncate_thinking'"),
        ({"max_seq_length": 16, "over_length": "truncate_thinking"}, "3 are longer than data.max_seq_length = 16: raise it"),
        ({"missing_thinking": "drop"}, "3 have no reasoning: set data.missing_thinking = 'mask'"),
        ({"eval_fraction": 1.0}, "all records went to evaluation: lower data.eval_fraction or add records"),
    ],
)
def test_nothing_to_train_on_is_an_error_with_its_cure(qwen3, file, options, cure):
    """A run whose every label would be masked does not start."""
    path = file(_raw(number, thinking=False) for number in range(3))

    with pytest.raises(DataError) as caught:
        _prepare(qwen3, path, **({"eval_fraction": 0.0} | options))

    assert str(caught.value) == f"{path}: no example is left to train on; {cure}"


def test_a_file_of_its_own_is_evaluated_on_whole(qwen3, file):
    """eval_path takes nothing from training, whatever eval_fraction says."""
    train, other = file(map(_raw, range(10))), file(map(_raw, range(10, 15)), "eval.jsonl")
    prepared = _prepare(qwen3, train, eval_path=other, eval_fraction=0.5)

    assert (len(prepared.train), len(prepared.eval), prepared.leaks) == (10, 5, 0)
    assert [record.conversation.turns[0].content for record in prepared.eval_records] == [_raw(n)["instruction"] for n in range(10, 15)]
    assert prepared.remarks == []


def test_evaluation_records_known_from_training_are_told(qwen3, file):
    """A near duplicate is as good as a copy: the evaluation would flatter."""
    train = [_raw(0, answer="是的，正如上面所说的那样，密码学的书里都这么写着"), *map(_raw, range(1, 5))]
    near = train[0] | {"instruction": train[0]["instruction"] + "！"}
    prepared = _prepare(qwen3, file(train), eval_path=file([near, train[1], _raw(20)], "eval.jsonl"))

    assert prepared.leaks == 2
    assert prepared.remarks == [("eval_overlap", "2 evaluation records are near duplicates of training records: the evaluation flatters")]


def test_exact_duplicates_are_told(qwen3, file):
    """They stay, but weigh double."""
    prepared = _prepare(qwen3, file([_raw(0), _raw(0), *map(_raw, range(1, 8))]))

    assert prepared.remarks == [("exact_duplicates", "1 record repeats an earlier one exactly; what is repeated weighs double in training")]


def test_control_tokens_in_the_data_are_told(qwen3, file):
    """They are encoded as text, and the user hears of it."""
    prepared = _prepare(qwen3, file([_raw(0, answer="<|im_end|>"), *map(_raw, range(1, 5))]))

    assert _codes(prepared) == ["control_tokens"]


def test_tools_a_template_does_not_show_are_told(smollm2, qwen3, file):
    """The same record is fine for a model that shows them."""
    records = [_raw(number) | {"tools": '[{"name": "f"}]'} for number in range(4)]

    assert "tools_ignored" in _codes(_prepare(smollm2, file(records)))
    assert "tools_ignored" not in _codes(_prepare(qwen3, file(records)))


def test_an_evaluation_set_that_came_out_empty_is_told(qwen3, file):
    """One record cannot be split."""
    assert _codes(_prepare(qwen3, file([_raw(0)]))) == ["no_evaluation"]
    assert _codes(_prepare(qwen3, file([_raw(0)]), eval_fraction=0)) == []


def test_limit_is_the_number_of_records_read(qwen3, file):
    """For a quick try on the head of a big file."""
    prepared = _prepare(qwen3, file(map(_raw, range(30))), limit=7, eval_fraction=0)

    assert prepared.records == len(prepared.train) == 7


def test_prompts_are_different_questions_of_the_evaluation(qwen3, file):
    """Samples are drawn from what is not trained on, with the configured system prompt."""
    prepared = _prepare(qwen3, file([_raw(0), _raw(0), *map(_raw, range(1, 30))]), eval_fraction=0.2, system="预设")
    prompts = prepared.prompts(3)

    asked = {record.conversation.turns[0].content for record in prepared.eval_records}
    assert len({prompt.text() for prompt in prompts}) == 3
    assert all(prompt.system == "预设" and [turn.role for turn in prompt.turns] == ["user"] for prompt in prompts)
    assert all(prompt.turns[0].content in asked for prompt in prompts)


def test_progress_goes_through_its_phases_in_order(qwen3, file):
    """Each phase counts up to its end."""
    told = []
    path, other = file(map(_raw, range(300))), file(map(_raw, range(300, 310)), "eval.jsonl")
    prepare(PreparationSettings(path, other), qwen3, 42, lambda *step: told.append(step))

    assert list(dict.fromkeys(phase for phase, _, _ in told)) == ["read", "group", "train", "eval"]
    for phase in ("group", "train", "eval"):
        steps = [(done, total) for name, done, total in told if name == phase]
        assert steps == sorted(steps) and steps[-1][0] == steps[-1][1] > 0


def test_the_split_is_written_where_the_run_wants_it(qwen3, file, tmp_path):
    """split.json of the run directory."""
    _prepare(qwen3, file(map(_raw, range(20)))).write_split(tmp_path / "split.json")

    assert json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))["records"] == {"train": 19, "eval": 1}


def test_a_real_file_with_thinking_is_ready_for_training(qwen3, shared_data):
    """cipher_thinking: all 432 records show reasoning; what is over 1,024 tokens is told."""
    prepared = _prepare(qwen3, str(shared_data / "cipher_thinking.jsonl"))

    assert prepared.with_thinking == 432 and len(prepared.train) + len(prepared.eval) + prepared.dropped_over_length == 432
    assert all(len(example.ids) <= 1024 and example.supervised_tokens for example in prepared.train)
    assert "over_length" in _codes(prepared) and "little_thinking" not in _codes(prepared)


def test_the_second_preparation_takes_the_tokens_of_the_first(qwen3, file, monkeypatch):
    """Same content, tokenizer and settings: nothing is tokenised again, whatever seed and share of evaluation are."""
    path = file(map(_raw, range(30)))
    first = _prepare(qwen3, path)
    monkeypatch.setattr("data.preparation.ExampleBuilder.build", None)
    again, other = _prepare(qwen3, path), _prepare(qwen3, path, seed=7, eval_fraction=0.3)

    assert again.fingerprint == first.fingerprint and [one.ids for one in again.train] == [one.ids for one in first.train]
    assert len(other.train) == 21 and len(other.eval) == 9


def test_examples_on_disk_are_those_that_were_built(qwen3, file):
    """Ids, parts, record and turn come back as they were; a slice is a view."""
    path = file([*map(_raw, range(5)), _raw(6) | {"history": [["问", "答"]]}])
    prepared = _prepare(qwen3, path, eval_fraction=0)
    records = read_file(path).records
    built = [one for record in records for one in build_examples(record.conversation, qwen3, ExampleSettings(), record.index)]

    assert list(prepared.train) == built and len(built) == 7
    assert list(prepared.train[2:4]) == built[2:4]
    assert prepared.train.lengths.tolist() == [len(one.ids) for one in built]
    assert prepared.train.supervised.tolist() == [one.supervised_tokens for one in built]


def test_a_run_proves_its_split(qwen3, file, tmp_path):
    """split.json of a run says how many near duplicates are in different parts: none."""
    _prepare(qwen3, file(map(_raw, range(20)))).write_split(tmp_path / "split.json")

    assert json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))["crossing_pairs"] == {"exact": 0, "near": 0}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_done_to_the_data_is_told_in_words(qwen3, file, language):
    """No name that the code gives a stage of its work reaches the screen."""
    names = set()
    settings = PreparationSettings(file(map(_raw, range(4))), eval_path=file([_raw(9)], "eval.jsonl"))
    prepare(settings, qwen3, 42, lambda name, done, total: names.add(name))
    set_language(language)
    told = {name: phase_text(Phase(name="tokenise", detail=name)) for name in names}
    set_language("auto")

    assert names == {"read", "group", "train", "eval"}
    assert all(re.search(r"[：:] ?(?!" + name + r"$)\S+", text) for name, text in told.items()), told
