"""Every command, once: the app, the help, the reference in docs and the tests read this table.

What serves a command is named here and imported when it is needed: `a2 --help` imports none of it, `a2 CMD --help` the
command's settings alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a2cli.settings.declare import Declared

GROUPS = {"data": "Check a data set; download those that are not built in."}


@dataclass(frozen=True)
class Command:
    """One command: its line in `a2 --help`, the sentence of its own help and of its reference, and what serves it.

    `run` is a function of the options and the flags given; `settings` are the dataclasses of what decides the results,
    one for each kind of training, `options` that of the rest, `results` that of what its report holds, if it makes one.
    Each is named as `module:name` inside `a2cli`.
    """

    short: str
    help: str
    run: str
    settings: tuple[str, ...]
    options: str
    results: str = ""

    def results_type(self) -> type | None:
        results: type | None = resolve_name(f"a2cli.results.{self.results}") if self.results else None
        return results

    def function(self) -> Callable[[Any, dict[str, Any]], None]:
        function: Callable[[Any, dict[str, Any]], None] = resolve_name(f"a2cli.cli.{self.run}")
        return function

    def settings_types(self) -> tuple[type, ...]:
        return tuple(resolve_name(f"a2cli.settings.{name}") for name in self.settings)

    def options_type(self) -> type:
        options: type = resolve_name(f"a2cli.settings.{self.options}")
        return options

    def declared(self) -> "list[Declared]":
        """Return all its settings, then its options."""
        from a2cli.settings.declare import declared, declared_in

        return [*declared_in(*self.settings_types()), *declared(self.options_type())]


COMMANDS = {
    "train-cnn": Command(
        "Train the ConvNet, on one seed or several.",
        "Train the ConvNet of the coursework's first part on labelled images: pooling, dropout, schedulers, "
        "optimizers, decay, early stopping, norms, augmentation.",
        "training:train_cnn",
        ("training:TrainCnnSettings",),
        "run_options:RunOptions",
        "training:TrainingResults",
    ),
    "train-mlp": Command(
        "Train an MLP on images, or a head on features.",
        "Train a multilayer perceptron on images, with the coursework's section 2.1 as defaults; with --features a "
        "head on a file of extracted features, with those of section 2.2 and the usual probes.",
        "training:train_mlp",
        ("training:TrainMlpSettings", "transfer:TrainFeaturesSettings"),
        "run_options:RunOptions",
        "training:TrainingResults",
    ),
    "compare-optimizers": Command(
        "Compare optimizers and schedulers, each tuned the same way, over seeds.",
        "Compare optimizers, schedulers and more: the same hyperparameter search for each, over several seeds, with a "
        "verdict on each pair. "
        "Settings beyond the first panel are those of the training.",
        "comparison:compare_optimizers",
        ("comparison:CompareSettings", "comparison:CompareMlpSettings"),
        "comparison:ComparisonOptions",
        "comparison:ComparisonResults",
    ),
    "ablate": Command(
        "Ablation study: what each component of a training contributes.",
        "Ablation study of a training: each component removed alone, or averaged over orders of removal (Shapley "
        "values), with a verdict. "
        "Settings beyond the first panel are those of the training.",
        "ablation:ablate",
        (
            "ablation:AblateCnnSettings",
            "ablation:AblateMlpSettings",
            "ablation:AblateFeaturesSettings",
            "ablation:AblateFinetuneSettings",
        ),
        "run_options:TrialOptions",
        "ablation:AblationResults",
    ),
    "receptive-field": Command(
        "Which input pixels a unit sees.",
        "Which input pixels a unit sees: derived, proven with NaN through the network, weighed by the gradient, drawn; "
        "for layers in words, the ConvNet, a run's network, or torchvision's.",
        "receptive_field:receptive_field",
        ("receptive_field:ReceptiveFieldSettings",),
        "receptive_field:LookOptions",
        "receptive_field:FieldResults",
    ),
    "extract-features": Command(
        "A pretrained network's activations as data.",
        "The activations of a pretrained network, or of a run's own, as data: some layers, for all images of a set, in "
        "one file.",
        "transfer:extract_features",
        ("transfer:ExtractFeaturesSettings",),
        "transfer:FileOptions",
        "transfer:FeatureResults",
    ),
    "finetune": Command(
        "A pretrained network with a new head, trained in stages.",
        "Put a new head on a pretrained network and train it in stages: the head, then more and more of what is below.",
        "training:finetune",
        ("transfer:FinetuneSettings",),
        "run_options:RunOptions",
        "training:TrainingResults",
    ),
    "probe-invariance": Command(
        "Which changes of the image a trained network survives.",
        "Which changes of the image trained networks survive: each at fixed strengths, with intervals and a verdict.",
        "invariance:probe_invariance",
        ("invariance:ProbeInvarianceSettings",),
        "invariance:ProbeOptions",
        "invariance:InvarianceResults",
    ),
    "visualize-weights": Command(
        "Filters, hidden units, what a network looks at.",
        "What networks learned, and whether they did: weights as pictures, units by what excites them, maps of an "
        "image, each beside random weights.",
        "weights:visualize_weights",
        ("visualize:VisualizeWeightsSettings",),
        "visualize:ViewOptions",
        "weights:WeightResults",
    ),
    "data check": Command(
        "What a data set holds, and what is wrong with it.",
        "What a data set holds and what is wrong with it, without training; exit status 3 when something is wrong.",
        "data:data_check",
        ("check:CheckSettings",),
        "check:CheckOptions",
    ),
    "data get": Command(
        "Download a data set, or go on; every file is checked.",
        "Download a data set, or go on with it; every file is checked by its SHA-256.",
        "data:data_get",
        ("check:GetSettings",),
        "check:DebugOptions",
    ),
    "predict": Command(
        "What trained networks answer to images.",
        "What a run's networks answer to images: the class, its probability, and the next ones.",
        "predict:predict",
        ("predict:PredictSettings",),
        "predict:PredictOptions",
    ),
    "presets": Command(
        "List the presets, or print a preset's settings.",
        "The presets, with one line each; or a preset's settings, as a file to begin with.",
        "presets:presets",
        ("check:PresetsSettings",),
        "check:DebugOptions",
    ),
}
