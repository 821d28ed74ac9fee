"""Machines described in TOML: what is read from them, and what a mistake in one says."""

import pytest

from engine.errors import ConfigError
from engine.machine_file import EXAMPLES, find_machine, read_machine
from engine.topology import link_between

EXAMPLE_NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))


def described(tmp_path, text):
    path = tmp_path / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_every_example_is_a_machine(name):
    """Each reads without its path, and says that it is a description."""
    machine = read_machine(find_machine(name))

    assert machine.described == name and machine.memory.available_gib > 0
    assert len(machine.usable_gpus) == len(machine.gpus)


def test_only_the_name_of_a_card_is_needed(tmp_path):
    """Memory and capability come from its data sheet."""
    machine = read_machine(described(tmp_path, '[[gpu]]\nname = "NVIDIA GeForce RTX 3090"\ncount = 2\n'))

    assert [(gpu.index, gpu.vram_total_gib, gpu.compute_capability) for gpu in machine.gpus] == [(0, 24.0, (8, 6)), (1, 24.0, (8, 6))]
    assert link_between(machine.links, 1, 0).kind == "cpu"


def test_nvlink_joins_every_pair(tmp_path):
    """Eighteen links of an H100, four of a bridge."""
    switch = read_machine(find_machine("8xH100-NVLink"))
    bridge = read_machine(described(tmp_path, 'link = "nvlink"\n[[gpu]]\nname = "RTX 3090"\ncount = 2\n'))

    assert len(switch.links) == 28 and {link.nvlinks for link in switch.links} == {18}
    assert bridge.links[0].nvlinks == 4 and bridge.links[0].p2p


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[gpu]\n", "not a readable TOML file"),
        ('[[gpu]]\nname = "Voodoo 2"\n', "add vram_gib and compute_capability"),
        ('[[gpu]]\nname = "T4"\ncount = 0\n', r"\$\.gpu\[0\]\.count"),
        ('[[gpu]]\nname = "T4"\nvram = 16\n', "vram"),
        ('link = "usb"\n', r"\$\.link"),
    ],
    ids=["syntax", "unknown card", "none of it", "unknown key", "unknown link"],
)  # fmt: skip
def test_a_mistake_is_named_with_file_and_key(tmp_path, text, words):
    """No traceback, and where to read on."""
    path = described(tmp_path, text)

    with pytest.raises(ConfigError, match=words) as error:
        read_machine(path)
    assert str(path) in str(error.value)


def test_an_unknown_name_lists_the_examples():
    """One of them is probably meant."""
    with pytest.raises(ConfigError, match="1xT4"):
        find_machine("2xT4")
