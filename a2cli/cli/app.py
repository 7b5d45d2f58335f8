"""The commands, each with its settings and the function that serves it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from a2cli import __version__, options
from a2cli.cli.ablation import ablate
from a2cli.cli.common import kind_of, tell_edited
from a2cli.cli.comparison import compare_optimizers
from a2cli.cli.data_check import data_check
from a2cli.cli.fields import receptive_field
from a2cli.cli.invariance import probe_invariance
from a2cli.cli.predict import predict
from a2cli.cli.training import finetune, train_cnn, train_mlp
from a2cli.cli.transfer import extract_features
from a2cli.cli.weights import visualize_weights
from a2cli.console import base as console
from a2cli.console.progress import Show
from a2cli.errors import SettingsError
from a2cli.settings.ablation import ABLATIONS
from a2cli.settings.check import CheckOptions, CheckSettings, DebugOptions, GetSettings, PresetsSettings
from a2cli.settings.comparison import CompareMlpSettings, CompareSettings, ComparisonOptions, TrialOptions
from a2cli.settings.fields import LookOptions, ReceptiveFieldSettings
from a2cli.settings.flag_names import hyphenated
from a2cli.settings.invariance import ProbeInvarianceSettings, ProbeOptions
from a2cli.settings.kinds import TRAINING
from a2cli.settings.predict import PredictOptions, PredictSettings
from a2cli.settings.training import RunOptions, SplitSettings, TrainCnnSettings, TrainMlpSettings, split_flags
from a2cli.settings.transfer import ExtractFeaturesSettings, FileOptions, FinetuneSettings, TrainFeaturesSettings
from a2cli.settings.visualize import ViewOptions, VisualizeWeightsSettings

OTHER = {"extract-features": ExtractFeaturesSettings}  # commands with presets, besides the trainings
IN_CONTEXT = {"help_option_names": ["--help", "-h"], "token_normalize_func": hyphenated}
ABOUT_DATA = "Check a data set; download those that are not built in."
GROUPS = ("data",)

app = typer.Typer(
    name="a2",
    help="A deep-learning lab in one command: a ConvNet assignment, experiment by experiment.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=True,
    context_settings=IN_CONTEXT,
)
data_app = typer.Typer(help=ABOUT_DATA, rich_markup_mode=None, no_args_is_help=True, context_settings=IN_CONTEXT)
app.add_typer(data_app, name="data", short_help=ABOUT_DATA)  # Typer cuts a help that is not said to be short


def presets(chosen: DebugOptions, flags: dict[str, Any]) -> None:
    """The presets, with one line each; or a preset's settings, as a file to begin with."""
    name = options.resolve(PresetsSettings, "presets", (), flags).settings.name
    if name is not None:
        preset = preset_of(name)
        same = split_flags({**asdict(SplitSettings()), **preset.values})
        note = f"# not the default's split: other commands hold out the same images with {same}\n" if same else ""
        console.out(options.as_yaml(preset) + note)
        return
    rows = [(name, preset_of(name).about) for name in options.preset_names()]
    console.show_rows(("preset", "what it is"), rows)


def preset_of(name: str) -> options.Preset:
    """Return a preset by its name, of whichever training command it is."""
    command = options.said_by(name, "command", "train-cnn")
    kind = kind_of(command, [name], {}) if command in TRAINING else OTHER[command]
    return options.load_preset(name, command, kind)


def data_get(chosen: DebugOptions, flags: dict[str, Any]) -> None:
    """Download a data set, or go on with it; every file is checked by its SHA-256."""
    from a2cli.data.download import get_paintings
    from a2cli.data.user_folders import data_folder

    settings = options.resolve(GetSettings, "data get", (), flags).settings
    if settings.name != "paintings":
        got = "nothing" if settings.name is None else repr(settings.name)
        raise SettingsError(f"a2 data get: expected paintings, got {got}")
    name = settings.name
    folder = Path(settings.to) if settings.to else data_folder() / name
    with Show() as show:
        show.phase(f"fetching {name}", brief=True)
        result = get_paintings(
            folder, report=show.say, progress=lambda done, total: show.at(done / 1e6, total and total / 1e6, "MB")
        )
    console.note(f"{name}: {result.fetched} files fetched, {result.already} were there; all checksums are right")
    console.out(str(result.folder))


WITH_SETTINGS: dict[str, tuple[tuple[type, ...], type, Any, str]] = {
    "train-cnn": ((TrainCnnSettings,), RunOptions, train_cnn, "Train the ConvNet, on one seed or several."),
    "train-mlp": (
        (TrainMlpSettings, TrainFeaturesSettings),
        RunOptions,
        train_mlp,
        "Train an MLP on images, or a head on features.",
    ),
    "compare-optimizers": (
        (CompareSettings, CompareMlpSettings),
        ComparisonOptions,
        compare_optimizers,
        "Optimizers and schedulers at equal tuning, over seeds, with a verdict.",
    ),
    "ablate": (
        tuple(ABLATIONS.values()),
        TrialOptions,
        ablate,
        "What each ingredient of a training brings.",
    ),
    "receptive-field": ((ReceptiveFieldSettings,), LookOptions, receptive_field, "Which input pixels a unit sees."),
    "extract-features": (
        (ExtractFeaturesSettings,),
        FileOptions,
        extract_features,
        "A pretrained network's activations as data.",
    ),
    "finetune": (
        (FinetuneSettings,),
        RunOptions,
        finetune,
        "A pretrained network with a new head, trained in stages.",
    ),
    "probe-invariance": (
        (ProbeInvarianceSettings,),
        ProbeOptions,
        probe_invariance,
        "Which changes of the image a trained network survives.",
    ),
    "visualize-weights": (
        (VisualizeWeightsSettings,),
        ViewOptions,
        visualize_weights,
        "Filters, hidden units, what a network looks at.",
    ),
    "data check": ((CheckSettings,), CheckOptions, data_check, "What a data set holds, and what is wrong with it."),
    "data get": ((GetSettings,), DebugOptions, data_get, "Download a data set, or go on; every file is checked."),
    "predict": ((PredictSettings,), PredictOptions, predict, "What trained networks answer to images."),
    "presets": ((PresetsSettings,), DebugOptions, presets, "List the presets, or print a preset's settings."),
}


def _served(run: Callable[[Any, dict[str, Any]], None]) -> Callable[[Any, dict[str, Any]], None]:
    """Return a command's function, which first says which presets were edited."""

    def served(chosen: Any, flags: dict[str, Any]) -> None:
        tell_edited(getattr(chosen, "preset", ()))
        run(chosen, flags)

    return served


for _name, (_settings, _options, _run, _short) in WITH_SETTINGS.items():
    _command = options.with_options(_settings, _options, _served(_run))
    _group = data_app if _name.startswith("data ") else app
    _group.command(_name.split()[-1], short_help=_short, add_help_option=False)(_command)


def _version(value: bool) -> None:
    if value:
        console.out(f"a2 {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None: ...
