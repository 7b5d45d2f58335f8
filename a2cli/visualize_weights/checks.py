"""Settings of `a2 visualize-weights` that cannot act together, and what it would draw."""

from importlib.util import find_spec
from pathlib import Path

from a2cli.errors import DataError, SettingsError, no_file
from a2cli.formats import counted
from a2cli.geometry import NO_TRAINING
from a2cli.settings.conflicts import threads_in_words
from a2cli.settings.presets import Resolved, is_file
from a2cli.visualize_weights.settings import BY_CAPTUM, VIEWS, ViewOptions, VisualizeWeightsSettings


def check_view(resolved: Resolved[VisualizeWeightsSettings], chosen: ViewOptions) -> None:
    """Raise SettingsError for settings that cannot be used, or could not act; DataError for no image file."""
    view, look = resolved.settings.view, resolved.settings.look
    if bool(view.run) == (view.backbone is not None):
        got = "both" if view.run else "neither"
        raise SettingsError(f"--run: expected the folder of a training run, or a --backbone, got {got}")
    if view.weights is not None and view.backbone is None:
        raise SettingsError("--weights: acts only with --backbone")
    if look.image and view.backbone is not None:
        raise SettingsError("--image: a --backbone has no classes of its own; name a run by --run")
    if resolved.by_flag("methods") and not look.image:
        raise SettingsError("--methods: acts only with --image")
    for flag, named in (("--run", view.run), ("--units", view.units), ("--layer", view.layer), ("--image", look.image),
                        ("--show", view.show), ("--methods", look.methods)):  # fmt: skip
        if twice := [name for i, name in enumerate(named) if name in named[:i]]:
            raise SettingsError(f"{flag}: {twice[0]} is named twice")
    if resolved.by_flag("count") and view.units:
        raise SettingsError("--count: does not act beside --units")
    shown = {name: name in view.show for name in VIEWS}
    excited = shown["patches"] or shown["ascent"]
    acts = {"steps": shown["ascent"], "layer": excited, "count": excited or shown["units"]}
    for name, does in acts.items():
        if resolved.by_flag(name) and not does:
            raise SettingsError(f"--{name}: does not act with --show {','.join(view.show)}")
    if chosen.animate and not shown["film"]:
        raise SettingsError(f"--animate: does not act with --show {','.join(view.show)}")
    if needed := [name for name in look.methods if name in BY_CAPTUM and look.image and find_spec("captum") is None]:
        raise SettingsError(f"--methods {needed[0]}: needs captum, which is not installed; pip install 'a2cli[captum]'")
    for file in look.image:
        if not is_file(Path(file)):
            raise DataError(f"--image {file}: {no_file(file, 'an image')}")


def plan_view(settings: VisualizeWeightsSettings) -> list[str]:
    """Return what would be drawn, line by line."""
    view, look = settings.view, settings.look
    images = view.data or ("atelier" if view.backbone else "their own validation images")
    lines = [f"Networks: {', '.join(view.run) or view.backbone}, on {images}"]
    if view.show == VIEWS:
        lines.append("Parts: all that suit the network")
    else:
        lines.append(f"Parts: {', '.join(view.show)}")
    lines.append(f"Against: {counted(view.redraws, 'network')} re-initialised")
    lines.append(threads_in_words(view.threads, NO_TRAINING))
    return lines + [f"Image: {file}, by {', '.join(look.methods)}" for file in look.image]
