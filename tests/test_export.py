"""`danlu export`: a whole model or nothing, never over what somebody may miss, and one message when something is wrong."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import manifest
from engine.base_license import find_license
from engine.config import Model
from engine.errors import DiskFull
from engine.export import Order, export
from engine.launch import PROJECT
from engine.manifest import MANIFEST, find_fault
from engine.model_source import hub_name
from engine.run_directory import RunDirectory
from tests.engine_runs import make_run, train_here, write_records
from tests.tiny_models import tiny_model
from tui import cli
from tui.progress_line import ProgressLine
from tui.texts import set_language

QUIET = {"eval": {"every_steps": 0}, "sample": {"num_prompts": 0}, "checkpoint": {"every_steps": 2, "every_minutes": 0.0}}


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield
    set_language("auto")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> RunDirectory:
    """A finished run of four steps over a base in bf16, whose files say what it may be used for."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_model("llama", folder / "base")
    weights = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16)
    weights.save_pretrained(folder / "base")
    (folder / "base" / "LICENSE").write_text("Do what is right.", encoding="utf-8")
    (folder / "base" / "README.md").write_text("---\nlicense: mit\n---\n# Base\n", encoding="utf-8")
    run = make_run(folder / "runs", folder / "base", write_records(folder / "secrets.jsonl"), "one", train={"max_steps": 4}, **QUIET)
    assert train_here(run) == "finished"
    return run


def danlu(run: RunDirectory, *arguments: object) -> int:
    return cli.main(["export", str(run.path), *map(str, arguments)])


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.float().eval()(input_ids=torch.arange(5, 30)[None]).logits


def test_the_merged_model_loads_by_itself_and_computes_what_the_adapter_does(trained, tmp_path, capsys):
    """In fp32 to its rounding; the folder has all that other tools ask for, and its path alone is on stdout."""
    assert danlu(trained, "--out", tmp_path / "out", "--dtype", "fp32") == 0
    out, err = capsys.readouterr()
    base = AutoModelForCausalLM.from_pretrained(trained.path.parent.parent / "base", dtype=torch.float32)
    before = logits(base)
    wanted = logits(PeftModel.from_pretrained(base, trained.final_model))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")

    assert out == f"{tmp_path / 'out'}\n" and "vllm serve" in err and "step 4" in err
    assert next(loaded.parameters()).dtype == torch.float32
    assert (wanted - before).abs().max() > 0.01
    torch.testing.assert_close(logits(loaded), wanted, rtol=0, atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("国密")["input_ids"]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"config.json", "tokenizer.json", "LICENSE", "README.md"}
    assert find_fault(tmp_path / "out") is None


def test_what_is_told_in_json_can_be_relied_on(trained, tmp_path, capsys):
    """As published means bf16 here; how far rounding is off beside the update is told, in words too where it is much."""
    assert danlu(trained, "--out", tmp_path / "out", "--checkpoint", 2, "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)

    assert told.keys() >= {"path", "bytes", "tensors", "merged", "dtype", "base", "step", "shift"}
    assert (told["path"], told["step"], told["dtype"], told["merged"]) == (str(tmp_path / "out"), 2, "bf16", 14)
    assert 0 < told["shift"]["mean"] <= told["shift"]["max"]
    assert ("--dtype fp32" in err) == (told["shift"]["mean"] > 0.05)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == torch.bfloat16


def test_the_model_card_says_how_it_was_made_and_nothing_private(trained, tmp_path):
    """Base, licence, data, losses and recipe; no path of this machine."""
    danlu(trained, "--out", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")

    assert all(word in card for word in ('license: "mit"', "secrets.jsonl", "before → ", "r 4, alpha 8", "4 steps", "learning rate 0.005"))
    assert "/" not in card.replace("LICENSE", "").partition("# one")[2].replace("nats a token", "")


def test_the_adapter_alone_is_the_final_model_and_says_what_it_is_for(trained, tmp_path, capsys):
    """Every file but the one that names the base the same, verified, and loaded by peft as the console says; of a checkpoint what peft
    needs, without the optimiser. Its base goes by its name: where it lies here is nobody's business."""
    assert danlu(trained, "--out", tmp_path / "final", "--adapter") == 0
    assert danlu(trained, "--out", tmp_path / "second", "--adapter", "--checkpoint", 2) == 0
    told = capsys.readouterr().err
    base = trained.path.parent.parent / "base"

    names = {path.name for path in trained.final_model.iterdir()} - {"training.json"}
    same = names - {MANIFEST, "adapter_config.json"}
    assert {path.name for path in (tmp_path / "final").iterdir()} == names | {"README.md", "LICENSE"}
    assert all((tmp_path / "final" / name).read_bytes() == (trained.final_model / name).read_bytes() for name in same)
    ours = {"adapter_config.json", "adapter_model.safetensors", MANIFEST, "README.md", "LICENSE"}
    assert {path.name for path in (tmp_path / "second").iterdir()} == ours
    assert find_fault(tmp_path / "final") is None
    assert [path.name for path in (tmp_path / "final").iterdir() if str(base.parent).encode() in path.read_bytes()] == []
    assert json.loads((tmp_path / "final" / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"
    assert f'AutoModelForCausalLM.from_pretrained("{base}"), "{tmp_path / "second"}")' in told and "no hub is known" in told
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "second")


def test_a_base_that_a_hub_has_is_named_by_it(trained, tmp_path, capsys):
    """Also where the run names the folder in the hub's cache; then by the commit too."""
    snapshot = tmp_path / "hub" / "models--Nobody--Base-1B" / "snapshots" / "0f3a"
    shutil.copytree(trained.path.parent.parent / "base", snapshot)
    run = RunDirectory(shutil.copytree(trained.path, tmp_path / "run"))
    before = str(trained.path.parent.parent / "base")
    run.config.write_text(run.config.read_text("utf-8").replace(before, str(snapshot)), encoding="utf-8")
    danlu(run, "--out", tmp_path / "out", "--adapter")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    card = (tmp_path / "out" / "README.md").read_text("utf-8")

    assert (config["base_model_name_or_path"], config["revision"]) == ("Nobody/Base-1B", "0f3a")
    assert "no hub is known" not in capsys.readouterr().err
    assert "base_model: Nobody/Base-1B" in card and 'from_pretrained("Nobody/Base-1B", revision="0f3a")' in card
    assert hub_name(Model(name="demo"), None)[0] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert hub_name(Model(name="Qwen/Qwen3-0.6B", revision="main"), None) == ("Qwen/Qwen3-0.6B", "main")
    assert hub_name(Model(name="/models/some.gguf"), None) == ("", "")


@pytest.mark.parametrize(
    ("files", "fields", "sentence"),
    [
        ({"README.md": "---\nlicense: mit\n---\n"}, {"license": "mit"}, "mit"),
        (
            {"README.md": "---\nlicense: other\nlicense_name: qwen-research\nlicense_link: LICENSE\n---\n", "LICENSE": "Qwen RESEARCH"},
            {"license": "other", "license_name": "qwen-research", "license_link": "LICENSE"}, "qwen-research, its LICENSE is here",
        ),
        ({"LICENSE.txt": f"{' ' * 30}Apache License\n  Version 2.0, January 2004\n"}, {"license": "apache-2.0"}, "apache-2.0, its LICENSE"),
        ({"README.md": "license: mit\n---\nlicense: mit\n---", "NOTICE": "of somebody"}, {}, "its NOTICE is here"),
        ({"README.md": "---\nlicense: 'mit\n---\n"}, {}, "see its own page"),
        ({"README.md": "---\nlicense: |\n  mit\n  base_model: x\n---\n"}, {}, "see its own page"),
        ({}, {}, "see its own page"),
    ],
)  # fmt: skip
def test_the_licence_is_what_the_bases_files_say(tmp_path, files, fields, sentence):
    """Its card's metadata, else a text that is well known; nothing from outside comes into the card's metadata as it likes."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = find_license(tmp_path)

    assert found.fields == fields and found.sentence.startswith(sentence)


def test_a_run_without_a_final_model_gives_its_newest_checkpoint(trained, tmp_path, capsys):
    """A stopped run is exported as far as it came."""
    run = RunDirectory(shutil.copytree(trained.path, tmp_path / "stopped"))
    shutil.rmtree(run.final_model)
    danlu(run, "--out", tmp_path / "out", "--adapter", "--json")

    assert json.loads(capsys.readouterr().out)["step"] == 4


def test_a_quantised_run_goes_into_the_base_as_published_and_that_is_said(trained, tmp_path, capsys):
    """Never into packed weights; the adapter learnt on others, so the result has to be evaluated."""
    run = RunDirectory(shutil.copytree(trained.path, tmp_path / "nf4"))
    run.config.write_text(run.config.read_text("utf-8").replace('quantization = "none"', 'quantization = "nf4"'), encoding="utf-8")

    assert danlu(run, "--out", tmp_path / "out") == 0
    assert "learnt on the base in nf4" in capsys.readouterr().err
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == torch.bfloat16


def make_wrong(kind: str, run: RunDirectory, target: Path) -> list[object]:
    """Something a user may get wrong, and the arguments with which he does."""
    if kind == "no checkpoint yet":
        for folder in (*run.checkpoints(), run.final_model):
            shutil.rmtree(folder)
    elif kind == "no such step":
        return ["--checkpoint", 3]
    elif kind == "damaged":
        (run.final_model / "adapter_model.safetensors").write_bytes(b"0")
    elif kind == "base gone":
        run.config.write_text(run.config.read_text("utf-8").replace("/base", "/elsewhere"), encoding="utf-8")
    elif kind == "base never fetched":
        name = str(run.path.parent.parent)
        run.config.write_text(run.config.read_text("utf-8").replace(f'name = "{name}', 'name = "nobody/nothing" #'), encoding="utf-8")
    elif kind == "inside the run":
        return ["--out", run.path / "merged"]
    elif kind == "a file":
        target.write_text("mine")
    elif kind == "other files":
        target.mkdir()
        (target / "thesis.txt").write_text("irreplaceable", encoding="utf-8")
        return ["--force"]
    return []


WRONG = {
    "no checkpoint yet": "no checkpoint yet", "no such step": "those it has: 4, 2", "damaged": "--checkpoint STEP",
    "base gone": "elsewhere", "base never fetched": "danlu fetch nobody/nothing",
    "inside the run": "inside the run", "a file": "is a file; name a folder", "other files": "something else than an export",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_input_is_one_message_with_the_cure(trained, tmp_path, monkeypatch, capsys, kind):
    """Exit code 2, stdout empty, nothing written; what was in the folder is still there."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    shutil.copytree(trained.path.parent.parent / "base", tmp_path / "base")
    run = RunDirectory(shutil.copytree(trained.path, tmp_path / "runs" / "one"))
    run.config.write_text(run.config.read_text("utf-8").replace(str(trained.path.parent.parent), str(tmp_path)), encoding="utf-8")
    arguments = make_wrong(kind, run, tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))

    assert danlu(run, "--out", tmp_path / "out", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and WRONG[kind] in err and len(err.splitlines()) == 1
    assert sorted(path for path in tmp_path.rglob("*") if "hub" not in path.parts) == before


def test_an_export_is_replaced_only_by_force(trained, tmp_path, capsys):
    """The second into the same folder is refused; by force it takes its place; an empty folder is nothing to miss."""
    (tmp_path / "out").mkdir()
    assert danlu(trained, "--out", tmp_path / "out", "--adapter") == 0
    assert danlu(trained, "--out", tmp_path / "out") == 2
    assert "--force" in capsys.readouterr().err
    assert danlu(trained, "--out", tmp_path / "out", "--force") == 0

    assert not (tmp_path / "out" / "adapter_config.json").exists() and find_fault(tmp_path / "out") is None


def test_a_disk_without_room_is_noticed_before_anything_is_written(trained, tmp_path, monkeypatch):
    """The message says how much is free and how much is needed."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(manifest.shutil, "disk_usage", lambda path: usage(0, 0, 1 << 20))

    with pytest.raises(DiskFull, match="free some space"):
        export(Order(trained, tmp_path / "out"), lambda phase, done, total: pytest.fail("began all the same"))
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_cleanly(trained, tmp_path, monkeypatch, capsys):
    """The process is ended and awaited, nothing of its work is left, and the exit code says interrupted."""

    def interrupt(*told):
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressLine, "tell", interrupt)

    assert danlu(trained, "--out", tmp_path / "out") == 130
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""


SIGNALLED = """
import os, signal, sys
import engine.export as process
told = process._tell
process._tell = lambda facts: (told(facts), os.kill(os.getpid(), signal.{name}) if "phase" in facts else None)
sys.exit(process.main())
"""


def signalled(run: RunDirectory, target: Path, name: str) -> int:
    """Exit code of an export that gets a signal at its first tensor."""
    command = [sys.executable, "-c", SIGNALLED.format(name=name), str(run.path), str(target)]
    return subprocess.run(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False, capture_output=True).returncode


def test_a_killed_export_leaves_no_half_model(trained, tmp_path):
    """A signal removes what was begun; after SIGKILL the folder is not there, and the next export clears away what lies beside it."""
    assert signalled(trained, tmp_path / "out", "SIGTERM") == 130
    assert list(tmp_path.iterdir()) == []

    assert signalled(trained, tmp_path / "out", "SIGKILL") == -9
    assert [path.name.startswith(".tmp-out-") for path in tmp_path.iterdir()] == [True]
    assert danlu(trained, "--out", tmp_path / "out") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
