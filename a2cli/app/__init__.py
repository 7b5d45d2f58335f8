"""The Typer app made from the table of commands, its help pages, wrong flags answered, and `a2 presets`."""
