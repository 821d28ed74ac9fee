"""What the documentation promises is what there is."""

import re

import msgspec
import pytest

from engine import config, events
from engine.config_file import presets
from tests.conftest import PROJECT


@pytest.mark.parametrize("field", config.fields(), ids=lambda field: field.key)
def test_every_key_is_documented_with_its_default(field):
    """docs/configuration.md follows the schema."""
    text = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    section = text.partition(f"## [{field.section}]")[2].partition("\n## ")[0]
    default = "unset" if field.default is None else msgspec.json.encode(field.default).decode()

    assert f"| `{field.name}` | `{default}` |" in section


@pytest.mark.parametrize("kind", events.KNOWN.__args__, ids=lambda kind: kind.__struct_config__.tag)
def test_every_event_and_its_fields_are_documented(kind):
    """docs/protocol.md follows the types."""
    text = (PROJECT / "docs" / "protocol.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| `{kind.__struct_config__.tag}` |"))

    assert all(field.name in row for field in msgspec.structs.fields(kind) if field.name not in ("seq", "time"))


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readmes_name_every_preset_and_only_files_that_are_there(name):
    """A preset or a linked file that is missing would be the first thing a newcomer meets."""
    text = (PROJECT / name).read_text(encoding="utf-8")

    assert all(f"`{preset.stem}`" in text for preset in presets())
    assert all((PROJECT / link).exists() for link in re.findall(r"\]\(([^)#:]+)\)", text))


@pytest.mark.parametrize("package", ["data", "engine", "tui"])
def test_every_module_has_its_place_in_the_design(package):
    """A stranger finds each file in docs/design.md."""
    text = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
    modules = [path.relative_to(PROJECT / package) for path in (PROJECT / package).rglob("*.py") if path.name != "__init__.py"]

    assert [str(module) for module in modules if f"`{module}`" not in text] == []
