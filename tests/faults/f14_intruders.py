"""F14: pickles, remote code, template bombs, paths that climb out, symbolic links. Nothing runs, nothing outside is read or changed."""

import hashlib
import json
import os
import pickle
import resource
import shutil
import sys
from pathlib import Path

import pytest

from data.errors import DanluError
from engine import run_directory
from engine.errors import RunError
from engine.launch import PROJECT
from engine.manifest import MANIFEST, _digest, newest_verified, rotate
from engine.run_directory import RunDirectory
from tests.engine_runs import losses, train_here
from tests.faults.bench import Bench
from tests.faults.byte_model import SPECIAL
from tests.faults.runs import new_run, tiny_model, undisturbed
from tests.patience import run_to_end

TITLE = "pickles in checkpoints and models, auto_map, chat-template bombs, ../ in names, symbolic links swapped in"
SECONDS = 240
BOMBS = (
    "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s OPERATOR ns.s %}{% endfor %}{{ ns.s }}",
    "{{ '%1000000000d' % 1 }}",
    "{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('x', ns.s) %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}{{ ns.s }}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{{ lipsum.__globals__['os'].system('touch CANARY') }}",
)


class Bomb:
    """Unpickling one touches the canary."""

    def __init__(self, canary: Path):
        self._canary = canary

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self._canary}'",)


def inject(bench: Bench) -> None:
    """Plant each and look whether the canary was touched."""
    canary = bench.folder / "canary"
    _pickles_in_a_checkpoint(bench, canary)
    _models(bench, canary)
    _templates(bench, canary)
    _names(bench)
    _links(bench)


def _pickles_in_a_checkpoint(bench: Bench, canary: Path) -> None:
    whole = undisturbed(bench)
    for name in ("optimizer.pt", "adapter_model.bin", "rng_state.pth", "state.json", "adapter_model.safetensors", "optimizer.safetensors"):
        run = new_run(bench, f"pickle-{name}")
        folder = Path(shutil.copytree(whole.checkpoints()[1], run.path / whole.checkpoints()[1].name))
        (folder / name).write_bytes(pickle.dumps(Bomb(canary)))
        _seal_again(folder)
        with bench.injection(f"a pickle called {name} in a checkpoint whose manifest vouches for it"):
            if name.endswith((".pt", ".bin", ".pth")):
                train_here(run)
                assert losses(run)[40] == losses(whole)[40]
            else:
                with pytest.raises(DanluError, match="checkpoint-"):
                    train_here(run)
            assert not canary.exists()


def _models(bench: Bench, canary: Path) -> None:
    """Weights as pickles, code beside them, an index that points outside."""
    evil = f"import os\nos.system('touch {canary}')\nclass EvilConfig: pass\n"
    for what in ("bin", "auto_map", "unknown type", "index"):
        folder = Path(shutil.copytree(tiny_model(bench), bench.folder / f"model-{what}"))
        config = json.loads((folder / "config.json").read_text())
        (folder / "evil.py").write_text(evil)
        if what == "bin":
            (folder / "model.safetensors").unlink()
            (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(canary)))
        elif what == "index":
            (folder / "model.safetensors").rename(bench.folder / "outside.safetensors")
            (folder / "model-00001.safetensors").write_bytes(b"")
            index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": "../outside.safetensors"}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        else:
            config["auto_map"] = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.EvilModel"}
            config["model_type"] = "evil" if what == "unknown type" else config["model_type"]
            (folder / "config.json").write_text(json.dumps(config))
        run = new_run(bench, f"with {what}", train={"max_steps": 1})
        run.config.write_text(run.config.read_text().replace(str(tiny_model(bench)), str(folder)))
        with bench.injection(f"a model with {what}"):
            if what == "auto_map":  # a known architecture is loaded by the library's own code
                assert train_here(run) == "finished"
            else:
                with pytest.raises(DanluError):
                    train_here(run)
            assert not canary.exists()


def _templates(bench: Bench, canary: Path) -> None:
    """In a process with little memory, because a bomb that goes off would take the machine."""
    signs = {bomb: ("+", "~") if "OPERATOR" in bomb else ("",) for bomb in BOMBS}
    bombs = [bomb.replace("OPERATOR", sign).replace("CANARY", str(canary)) for bomb in BOMBS for sign in signs[bomb]]
    program = "import sys; from data.tokenizer import load_tokenizer; load_tokenizer(sys.argv[1])"
    for number, bomb in enumerate(bench.some(bombs, 2)):
        folder = Path(shutil.copytree(tiny_model(bench), bench.folder / f"bomb-{number}"))
        (folder / "chat_template.jinja").write_text("{{ '" + SPECIAL[1] + "' }}" + bomb)
        with bench.injection(f"the template {bomb[:60]}"):
            done = run_to_end([sys.executable, "-c", program, str(folder)], cwd=PROJECT, text=True, preexec_fn=_little)
            assert done.returncode == 1 and "data.errors.TemplateError" in done.stderr, done.stderr[-500:]
            assert not canary.exists()


def _little() -> None:
    """2 GiB of memory, 60 s of CPU."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def _names(bench: Bench) -> None:
    for name in ("../out", "a/b", "/abs", "..", ".", "", "a\0b", "名", "x" * 65, "a\nb", "-rf ~", "a b"):
        with bench.injection(f"a run called {name!r}"), pytest.raises(RunError):
            run_directory.create(bench.folder / "named", name)
    assert not (bench.folder / "out").exists()
    with bench.injection("a manifest that names a file outside"):
        run = RunDirectory(shutil.copytree(undisturbed(bench).path, bench.folder / "outside"))
        (bench.folder / "elsewhere").write_bytes(b"x")
        newest = run.checkpoints()[0]
        manifest = json.loads((newest / MANIFEST).read_text())
        manifest["files"].append({"path": "../../elsewhere", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()})
        _write(newest, manifest)
        found, skipped = newest_verified(run)
        assert found == run.checkpoints()[1] and "not a plain file" in skipped[0]


def _links(bench: Bench) -> None:
    """What a link points to is neither taken for a checkpoint nor deleted with one."""
    precious = bench.folder / "precious"
    shutil.copytree(undisturbed(bench).checkpoints()[0], precious)
    for what in ("checkpoint-50", "checkpoint-1", ".tmp-checkpoint-9-1", ".old-checkpoint-8", "final_model"):
        run = RunDirectory(shutil.copytree(undisturbed(bench).path, bench.folder / f"link-{what}"))
        shutil.rmtree(run.final_model)
        with bench.injection(f"{what} is a link to a folder elsewhere"):
            (run.path / what).symlink_to(precious)
            found, _ = newest_verified(run)
            assert found is not None and not found.is_symlink()
            rotate(run, keep=2)
            train_here(run)
            assert len(list(precious.iterdir())) == 5
            assert run.final_model.is_dir() and not run.final_model.is_symlink()


def _seal_again(folder: Path) -> None:
    """As an intruder who knows the format would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    files = [path for path in sorted(folder.iterdir()) if path.name != MANIFEST]
    manifest["files"] = [
        {"path": path.name, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in files
    ]
    _write(folder, manifest)


def _write(folder: Path, manifest: dict) -> None:
    manifest.pop("sha256", None)
    (folder / MANIFEST).write_text(json.dumps(manifest | {"sha256": _digest(manifest)}))
