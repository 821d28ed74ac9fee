"""The typed schema and its TOML: what is refused and with which words, and that a person's file stays as it was written."""

from pathlib import Path

import msgspec
import pytest
import tomli

from data.formats import FORMATS
from engine.config import Config, fields
from engine.config_file import (
    BUNDLED_DATA,
    PRESETS,
    Document,
    allowed,
    find_config,
    find_field,
    open_document,
    presets,
    read_resolved,
    resolve,
    value_from_text,
    write_resolved,
)
from engine.errors import ConfigError

COMMENTED = """# my run
[model]
name = "demo"   # the small one

# about data
[data]
path = "x.jsonl"
# adjacent to path

# about training
[train]
learning_rate = 2e-4 # peak"""


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Document(text, Path("my.toml"))
    return str(caught.value)


def test_record_layouts_are_those_the_reader_knows():
    """data.format offers auto and every layout of `data.formats`, no other."""
    assert find_field("data.format").choices == ("auto", *FORMATS)


@pytest.mark.parametrize("preset", presets(), ids=lambda path: path.stem)
def test_every_preset_is_valid_and_explains_each_key(preset):
    """A shipped preset passes the schema, and a comment stands behind or above most of its keys."""
    document = open_document(preset)
    keys = [line for line in document.text.splitlines() if " = " in line and not line.startswith("#")]

    assert sum("#" in line for line in keys) >= len(keys) / 2
    assert document.text.startswith("# ")


def test_shipped_presets_cover_the_usual_cards():
    """Names that documents and error messages rely on."""
    names = {path.stem for path in presets()}

    assert {"qwen3-4b-24g", "qwen3-4b-16g", "qwen3-4b-12g", "qwen3-4b-nf4-8g", "demo", "cpu-smoke"} <= names


def test_reference_preset_is_the_reference_recipe():
    """The published recipe: rank 16, alpha 32, dropout 0.1, 2 × 4 rows of 1024 tokens at 2e-4."""
    config = open_document(PRESETS / "qwen3-4b-24g.toml").values

    assert (config.lora.r, config.lora.alpha, config.lora.dropout) == (16, 32.0, 0.1)
    assert (config.train.batch_size, config.train.gradient_accumulation_steps) == (2, 4)
    assert (config.data.max_seq_length, config.train.learning_rate) == (1024, 2e-4)


def test_empty_configuration_has_every_default():
    """TOML without keys is the schema's defaults."""
    assert Document("").values == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[train]\nlearnin_rate = 1", "unknown key train.learnin_rate; did you mean train.learning_rate?"),
        ("[train]\nr = 8", "unknown key train.r; r belongs to section [lora]"),
        ("[trian]\nseed = 1", "unknown section [trian]; did you mean train?"),
        ("train = 1", "train = 1 stands alone; write a key of section [train]"),
        ("[train]\nbatch_size = 0", "train.batch_size = 0: must be a whole number from 1 to 4096"),
        ("[train]\nbatch_size = true", "train.batch_size = true: must be a whole number"),
        ("[train]\nscheduler = 'cosin'", "must be one of cosine, linear, constant, wsd; did you mean cosine?"),
        ("[train]\nlearning_rate = nan", "train.learning_rate = nan: must be a number above 0 to 1"),
        ("[train]\nmax_grad_norm = inf", "train.max_grad_norm = inf: must be a number from 0"),
        ("[data]\npacking = 'yes'", "data.packing = 'yes': must be true or false"),
        ("[run]\nname = 'a b'", "run.name = 'a b': must be at most 64 of the letters"),
        ("[lora]\nr = 1\nr = 2", "my.toml: not valid TOML"),
        ("[train]\n\nseed = = 1", "line 3"),
        ("[lora]\ntarget_modules = [1]", "lora.target_modules = [1]"),
    ],
)
def test_refusal_names_file_key_value_and_cure(text, says):
    """Each wrong line is refused with words that lead to the right one."""
    message = refusal(text)

    assert message.startswith("my.toml: ")
    assert says in message


def test_missing_file_is_an_error_of_its_own(tmp_path):
    """A path that is not there, is a folder or is not UTF-8 says so."""
    (tmp_path / "gbk.toml").write_bytes("# 中文".encode("gbk"))

    for path, says in ((tmp_path / "no.toml", "no such file"), (tmp_path, "folder"), (tmp_path / "gbk.toml", "UTF-8")):
        with pytest.raises(ConfigError, match=says):
            open_document(path)


def test_preset_is_found_by_name_and_an_unknown_one_lists_them(tmp_path, monkeypatch):
    """`demo` means the shipped preset unless a file of that name lies here."""
    monkeypatch.chdir(tmp_path)

    assert find_config("demo") == PRESETS / "demo.toml"
    with pytest.raises(ConfigError, match=r"presets: .*qwen3-4b-24g"):
        find_config("nope.toml")


def test_set_changes_values_in_order(tmp_path):
    """`--set` gives typed values; the last one wins."""
    path = tmp_path / "my.toml"
    path.write_text(COMMENTED)

    values = open_document(path, ["train.learning_rate=1e-4", "data.packing=false", "train.max_steps=9", "train.max_steps="]).values

    assert (values.train.learning_rate, values.data.packing, values.train.max_steps) == (1e-4, False, None)


@pytest.mark.parametrize(
    ("change", "says"),
    [("train.learning_rate", "KEY=VALUE"), ("learning_rate=1", "did you mean train.learning_rate?"), ("train.lr=1", "unknown key"),
     ("lora.rnk=3", "--set: unknown key lora.rnk; did you mean lora.r?"),
     ("train.seed=x", "train.seed = 'x': must be a whole number")],
)  # fmt: skip
def test_wrong_set_is_refused(change, says):
    """A `--set` without =, without section, with an unknown key or a wrong value is refused."""
    with pytest.raises(ConfigError) as caught:
        open_document(PRESETS / "demo.toml", [change])

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("train.learning_rate", "2e-4", 2e-4), ("train.learning_rate", "２e-4", 2e-4), ("train.num_epochs", "3", 3.0),
        ("data.packing", "True", True), ("train.max_steps", "", None), ("data.path", "a # b", "a # b"), ("data.path", '"a b"', "a b"),
        ("model.name", "123", "123"), ("data.system", "a\nseed = 1", "a\nseed = 1"), ("lora.target_modules", "all-linear", "all-linear"),
        ("lora.target_modules", "q_proj， v_proj", ["q_proj", "v_proj"]), ("lora.target_modules", "q_proj", ["q_proj"]),
        ("sample.prompts", "SM2, 为什么?", ["SM2, 为什么?"]), ("sample.prompts", '["a", "b"]', ["a", "b"]), ("sample.prompts", "", []),
    ],
)  # fmt: skip
def test_typed_text_becomes_the_keys_kind(key, text, value):
    """Texts need no quotes, names no brackets, and digits may come from a Chinese input method."""
    assert value_from_text(key, text) == value


def test_edit_keeps_comments_order_and_the_way_numbers_are_written():
    """A changed value keeps its comment; a new key stands behind its section's last, a new section at the end."""
    document = Document(COMMENTED)
    document.set("data.limit", 4)
    document.set("model.source", "local")
    document.set_text("train.learning_rate", "1e-4")
    document.set("train.seed", 7)
    document.set("lora.r", 8)

    assert document.text == (
        COMMENTED.replace('one\n', 'one\nsource = "local"\n')
        .replace("adjacent to path\n", "adjacent to path\nlimit = 4\n")
        .replace("2e-4 # peak", "1e-4 # peak\nseed = 7\n\n[lora]\nr = 8\n")
    )


def test_edit_of_one_key_changes_one_line_of_the_reference_preset():
    """The preset's other lines come back byte for byte."""
    document = open_document(PRESETS / "qwen3-4b-24g.toml")
    before = document.text.splitlines()
    document.set_text("train.learning_rate", "1e-4")

    changed = [new for old, new in zip(before, document.text.splitlines(), strict=True) if old != new]

    assert changed == ["learning_rate = 1e-4                  # peak; 1e-4 if the loss jumps"]


@pytest.mark.parametrize("text", ["train.seed = 1\n", "train = {seed = 1}\n", "[train]\nseed = 1"])
def test_dotted_inline_and_unfinished_tables_can_be_edited(text):
    """Whatever way a section is written, a changed and a new key and a new section are what a reader of the file sees."""
    document = Document(text)
    for key, value in (("train.seed", 2), ("train.batch_size", 4), ("data.path", "x")):
        document.set(key, value)

    assert tomli.loads(document.text) == {"train": {"seed": 2, "batch_size": 4}, "data": {"path": "x"}}


def test_refused_edit_changes_nothing():
    """Values and text are as before after a value that is not allowed."""
    document = Document(COMMENTED)
    with pytest.raises(ConfigError):
        document.set_text("train.learning_rate", "5")

    assert document.text == COMMENTED
    assert document.values == Document(COMMENTED).values


def test_unset_key_has_its_default_again():
    """None removes the line; a key that is not there stays away."""
    document = Document(COMMENTED)
    document.set("train.learning_rate", None)
    document.set("train.max_steps", None)

    assert document.values.train == Config().train
    assert "max_steps" not in document.text


def test_save_is_what_text_says_and_becomes_the_documents_place(tmp_path):
    """Saved bytes are the text; the document then lives at the new path; no temporary file stays."""
    document = Document(COMMENTED)
    document.save(tmp_path / "new" / "my.toml")

    assert document.path == tmp_path / "new" / "my.toml"
    assert document.path.read_text() == COMMENTED
    assert [path.name for path in document.path.parent.iterdir()] == ["my.toml"]


def test_resolve_makes_paths_absolute_and_keeps_hub_names(tmp_path):
    """Data, output and local models become absolute; bundled data and hub names are what they are."""
    (tmp_path / "models").mkdir()
    text = '[data]\npath = "a.jsonl"\neval_path = "bundled"\n[model]\nname = "{}"\n'

    local = resolve(Document(text.format("models")).values, tmp_path)
    hub = resolve(Document(text.format("Qwen/Qwen3-0.6B")).values, tmp_path)

    assert (local.data.path, local.data.eval_path) == (str(tmp_path / "a.jsonl"), str(BUNDLED_DATA))
    assert local.run.output_dir == str(tmp_path / "runs")
    assert (local.model.name, hub.model.name) == (str(tmp_path / "models"), "Qwen/Qwen3-0.6B")


def test_resolved_snapshot_reads_back_equal(tmp_path):
    """A run's config.toml holds every value, and its table of facts is no configuration."""
    config = open_document(PRESETS / "demo.toml").values
    write_resolved(tmp_path / "config.toml", config, {"torch": "2.13"})

    assert read_resolved(tmp_path / "config.toml") == config


def test_field_facts_agree_with_what_the_schema_accepts():
    """Every default passes, and every stated bound is one: the value outside it is refused."""
    for field in fields():
        section = {field.section: {field.name: field.default}} if field.default is not None else {}
        msgspec.convert(section, Config)
        low = field.lowest - 1 if field.lowest is not None else field.above
        outside = [low, field.highest + 1 if field.highest is not None else field.below]
        for value in (value for value in outside if value is not None):
            with pytest.raises(ConfigError) as caught:
                Document(f"{field.key} = {int(value) if field.kind == 'whole' else float(value)}")
            assert allowed(field) in str(caught.value)
