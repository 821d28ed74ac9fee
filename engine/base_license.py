"""Under which licence a base model is: as its own model card says it to hubs, else as the text of its LICENSE shows.

It says only what is found; a licence that is neither named nor known by its text is "".
"""

import re
from dataclasses import dataclass
from pathlib import Path

FILES = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")
"""What travels with a model and with all that is made from it."""
FIELDS = {"license": r"[\w.+-]{1,60}", "license_name": r"[\w .+-]{1,80}", "license_link": r"https://[\w./~%-]{1,200}|[\w.-]{1,80}"}
"""Of a model card's metadata, with what may stand there: it comes from outside, and goes into a card again."""
TEXTS = {"apache-2.0": r"Apache License\s+Version 2\.0, January 2004", "mit": "Permission is hereby granted, free of charge, to any person"}
BEGINNING = 4000
"""Characters of a LICENSE within which it says what it is."""


@dataclass(frozen=True)
class License:
    """fields: as they stand in a model card, `license` first; {} where nothing is known.  files: licence texts beside the weights."""

    fields: dict[str, str]
    files: tuple[Path, ...]

    @property
    def sentence(self) -> str:
        """For people."""
        named = self.fields.get("license_name") or self.fields.get("license", "")
        beside = f"its {self.files[0].name} is here" if self.files else ""
        return ", ".join(part for part in (named, beside) if part) or "see its own page"


def find_license(base: Path) -> License:
    """The licence of the model in that folder."""
    files = tuple(sorted(path for pattern in FILES for path in base.glob(pattern) if path.is_file()))
    return License(_from_card(base / "README.md") or _from_text(files), files)


def _from_card(card: Path) -> dict[str, str]:
    """Its metadata, as hubs read it."""
    if not card.is_file():
        return {}
    from huggingface_hub.repocard import metadata_load  # half a second

    try:
        facts = metadata_load(card) or {}
    except Exception:  # whatever somebody else's card makes a YAML reader raise: it says nothing then
        return {}
    found = {name: str(facts[name]) for name, shape in FIELDS.items() if re.fullmatch(shape, str(facts.get(name, "")))}
    return found if "license" in found else {}


def _from_text(files: tuple[Path, ...]) -> dict[str, str]:
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")[:BEGINNING]
        for name, shape in TEXTS.items():
            if re.search(shape, text):
                return {"license": name}
    return {}
