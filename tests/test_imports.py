"""The console and the data half never load torch: seen in a fresh process, after importing all of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "peft")
PROGRAM = """
import importlib, json, sys
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(sorted(name.partition(".")[0] for name in sys.modules)))
"""


def modules_below(package: str) -> list[str]:
    files = sorted((PROJECT / package).rglob("*.py"))
    names = (".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__") for path in files)
    return [name for name in names if not name.endswith("__main__")]


def loaded_by(modules: list[str]) -> set[str]:
    program = PROGRAM.format(modules=modules)
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", ["tui", "data"])
def test_torch_is_never_loaded(package):
    """Every module of the console, screens included, and of the data half: none brings torch, transformers or peft."""
    assert loaded_by(modules_below(package)) & set(HEAVY) == set()


def test_the_data_half_needs_no_terminal_library():
    """data runs where nothing is drawn."""
    assert loaded_by(modules_below("data")) & {"textual", "rich", "tui", "engine"} == set()


def test_the_first_paint_waits_for_nothing_it_does_not_show():
    """The application and its start screen load neither numpy nor the other screens."""
    program = "import tui.app, tui.screens.train, tui.screens.runs, sys; print('numpy' in sys.modules, 'tui.screens.config' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]


def test_a_screen_that_counts_in_the_background_opens_without_what_counts():
    """Tokenizers, templates and numpy take half a second to import; keys pressed meanwhile would wait."""
    program = "import tui.app, tui.screens.hardware, tui.screens.config, sys; print({'numpy', 'tokenizers', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["set()"]
