"""The settings of `a2 data check`, `a2 data get` and `a2 presets`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from a2cli.settings.declare import setting


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """What to check"""

    data: str | None = setting(
        None, "Images, as --data takes them: a folder, a CSV manifest, an .npz, a data set's name.", positional=True
    )
    image_size: Annotated[int, Ge(4), Le(1024)] = setting(
        50, "Side of the square that images are compared at, in pixels; that of the training to come."
    )
    fit: Literal["squash", "crop", "pad"] = setting(
        "squash", "How an image that is not square becomes one: squashed, cropped to its centre, or padded with black."
    )


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Run"""

    json: bool = setting(False, "Print what was found as one JSON document, with every file's name.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class GetSettings:
    """What to download"""

    name: str | None = setting(None, "The data set: paintings.", positional=True, any_case=True)
    to: str | None = setting(None, "Into this folder instead of where '--data NAME' looks.")


@dataclass(frozen=True, kw_only=True)
class PresetsSettings:
    """What to list"""

    name: str | None = setting(None, "A preset, to print its settings; without it, all presets.", positional=True)


@dataclass(frozen=True, kw_only=True)
class DebugOptions:
    """Run"""

    debug: bool = setting(False, "Show the traceback of an error.")
