"""Versions of Python and of the packages that decide about numbers. Imports none of them."""

import importlib.metadata
import platform

PACKAGES = ("danlu", "torch", "transformers", "peft", "tokenizers", "safetensors", "bitsandbytes")


def versions() -> dict[str, str]:
    """Name → version; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
