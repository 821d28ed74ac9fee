"""Data half of Danlu: reading, thinking traces, Chinese and cryptography text, templates, splits, packing.

Imports neither `engine` nor `tui`, and never torch, transformers, textual or rich.
"""
