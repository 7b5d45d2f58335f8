"""Every setting, declared once: its type with bounds, its default, its sentence of help.

`options.py` makes the command-line flags from these dataclasses, pydantic checks values against them, and a run's
`config.yaml` is their `asdict`. A dataclass is one help panel; its docstring is the panel's title.
"""
