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

PAGES = "a2cli.html_report.page"  # makes the pages that --html asks for, of what all commands print
GROUPS = {
    "data": "Check a data set; download those that are not built in.",
    "runs": "List runs, filter and export them, remove some.",
    "cache": "What is cached; remove what was not used for long.",
}


@dataclass(frozen=True)
class Command:
    """One command: its line in `a2 --help`, the sentence of its own help and of its reference, and what serves it.

    `run` is a function of the options and the flags given; `settings` are the dataclasses of what decides the results,
    one for each kind of training, `options` that of the rest, `results` that of what its report holds, if it makes one,
    and `show` prints that. Each is named as `module:name` inside `a2cli`.
    """

    short: str
    help: str
    run: str
    settings: tuple[str, ...]
    options: str
    results: str = ""
    show: str = ""

    def results_type(self) -> type | None:
        results: type | None = resolve_name(f"a2cli.{self.results}") if self.results else None
        return results

    def show_function(self) -> Callable[[Any, Any], None]:
        function: Callable[[Any, Any], None] = resolve_name(f"a2cli.{self.show}")
        return function

    def function(self) -> Callable[[Any, dict[str, Any]], None]:
        function: Callable[[Any, dict[str, Any]], None] = resolve_name(f"a2cli.{self.run}")
        return function

    def settings_types(self) -> tuple[type, ...]:
        return tuple(resolve_name(f"a2cli.{name}") for name in self.settings)

    def options_type(self) -> type:
        options: type = resolve_name(f"a2cli.{self.options}")
        return options

    def declared(self) -> "list[Declared]":
        """Return all its settings, then its options."""
        from a2cli.settings.declare import declared, declared_in

        return [*declared_in(*self.settings_types()), *declared(self.options_type())]


def make_page(function: str, *of: Any) -> str:
    """Return the HTML document that a function of `PAGES` makes."""
    page: str = resolve_name(f"{PAGES}:{function}")(*of)
    return page


# The options, the results and what prints them.
OF_TRAININGS = (
    "settings.run_options:RunOptions",
    "reports.training_results:TrainingResults",
    "train.console:show_training",
)
COMMANDS = {
    "train-cnn": Command(
        "Train the ConvNet, on one seed or several.",
        "Train the ConvNet of the coursework's first part on labelled images: pooling, dropout, schedulers, "
        "optimizers, decay, early stopping, norms, augmentation.",
        "train.command:train_cnn",
        ("settings.training:TrainCnnSettings",),
        *OF_TRAININGS,
    ),
    "train-mlp": Command(
        "Train an MLP on images, or a head on features.",
        "Train a multilayer perceptron on images, with the coursework's section 2.1 as defaults; with --features a "
        "head on a file of extracted features, with those of section 2.2 and the usual probes.",
        "train.command:train_mlp",
        ("settings.training:TrainMlpSettings", "settings.transfer:TrainFeaturesSettings"),
        *OF_TRAININGS,
    ),
    "compare-optimizers": Command(
        "Compare optimizers and schedulers, each tuned the same way, over seeds.",
        "Compare optimizers, schedulers and more: the same hyperparameter search for each, over several seeds, with a "
        "verdict on each pair. "
        "Settings beyond the first panel are those of the training.",
        "compare_optimizers.command:compare_optimizers",
        ("compare_optimizers.settings:CompareSettings", "compare_optimizers.settings:CompareMlpSettings"),
        "compare_optimizers.settings:ComparisonOptions",
        "reports.study_results:ComparisonResults",
        "compare_optimizers.console:show_comparison",
    ),
    "ablate": Command(
        "Ablation study: what each component of a training contributes.",
        "Ablation study of a training: each component removed alone, or averaged over orders of removal (Shapley "
        "values), with a verdict. "
        "Settings beyond the first panel are those of the training.",
        "ablate.command:ablate",
        (
            "ablate.settings:AblateCnnSettings",
            "ablate.settings:AblateMlpSettings",
            "ablate.settings:AblateFeaturesSettings",
            "ablate.settings:AblateFinetuneSettings",
        ),
        "settings.run_options:TrialOptions",
        "reports.ablation_results:AblationResults",
        "ablate.console:show_ablation",
    ),
    "receptive-field": Command(
        "Which input pixels a unit sees.",
        "Which input pixels a unit sees: derived, proven with NaN through the network, weighed by the gradient, drawn; "
        "for layers in words, the ConvNet, a run's network, or torchvision's.",
        "receptive_field.command:receptive_field",
        ("receptive_field.settings:ReceptiveFieldSettings",),
        "receptive_field.settings:LookOptions",
        "receptive_field.results:FieldResults",
        "receptive_field.console:show_fields",
    ),
    "extract-features": Command(
        "A pretrained network's activations as data.",
        "The activations of a pretrained network, or of a run's own, as data: some layers, for all images of a set, in "
        "one file.",
        "transfer.command:extract_features",
        ("settings.transfer:ExtractFeaturesSettings",),
        "settings.transfer:FileOptions",
        "reports.transfer_results:FeatureResults",
        "transfer.console:show_features",
    ),
    "finetune": Command(
        "A pretrained network with a new head, trained in stages.",
        "Put a new head on a pretrained network and train it in stages: the head, then more and more of what is below.",
        "train.command:finetune",
        ("settings.transfer:FinetuneSettings",),
        *OF_TRAININGS,
    ),
    "probe-invariance": Command(
        "Which changes of the image a trained network survives.",
        "Which changes of the image trained networks survive: each at fixed strengths, with intervals and a verdict.",
        "probe_invariance.command:probe_invariance",
        ("probe_invariance.settings:ProbeInvarianceSettings",),
        "probe_invariance.settings:ProbeOptions",
        "probe_invariance.results:InvarianceResults",
        "probe_invariance.console:show_probe",
    ),
    "visualize-weights": Command(
        "Filters, hidden units, what a network looks at.",
        "What networks learned, and whether they did: weights as pictures, units by what excites them, maps of an "
        "image, each beside random weights.",
        "visualize_weights.command:visualize_weights",
        ("visualize_weights.settings:VisualizeWeightsSettings",),
        "visualize_weights.settings:ViewOptions",
        "visualize_weights.results:WeightResults",
        "visualize_weights.console:show_weights",
    ),
    "replicate": Command(
        "Redo a report's claims over seeds, and judge each.",
        "Redo the claims of a report over seeds, and say of each: supported, contradicted, undecided or not attempted. "
        "The claims are listed in a ledger, a YAML file; claims still open get more seeds.",
        "replicate.command:replicate",
        ("replicate.settings:ReplicateSettings",),
        "replicate.settings:ReplicateOptions",
        "replicate.results:ReplicationResults",
        "replicate.console:show_replication",
    ),
    "report": Command(
        "One HTML file that shows runs: verdict, numbers, figures, settings.",
        "One HTML file that shows runs of any command, opens offline and can be handed in: the verdict first, then "
        "accuracies, warnings, data, settings, figures with their numbers, and how the run was made.",
        "html_report.command:report",
        ("html_report.settings:HtmlSettings",),
        "html_report.settings:HtmlOptions",
    ),
    "data check": Command(
        "What a data set holds, and what is wrong with it.",
        "What a data set holds and what is wrong with it, without training; exit status 3 when something is wrong.",
        "check_data.command:data_check",
        ("check_data.settings:CheckSettings",),
        "check_data.settings:CheckOptions",
    ),
    "data get": Command(
        "Download a data set, or go on; every file is checked.",
        "Download a data set, or go on with it; every file is checked by its SHA-256.",
        "check_data.command:data_get",
        ("check_data.settings:GetSettings",),
        "check_data.settings:DebugOptions",
    ),
    "predict": Command(
        "Predict the classes of images with trained networks.",
        "What a run's networks answer to images: the class, its probability, and the next ones.",
        "predict.command:predict",
        ("predict.settings:PredictSettings",),
        "predict.settings:PredictOptions",
    ),
    "runs list": Command(
        "The runs below a folder, filtered and sorted.",
        "The runs below folders: command, data, accuracy with its interval, what their settings differ in, age, size; "
        "exit status 3 when one is damaged.",
        "manage.run_command:list_runs",
        ("manage.settings:ListRunsSettings",),
        "manage.settings:ListRunsOptions",
    ),
    "runs export": Command(
        "Runs as a CSV table, or for TensorBoard.",
        "Runs as rows of a CSV table, for a gradebook or a notebook, or as event files for TensorBoard; "
        "exit status 3 when one is damaged.",
        "manage.run_command:export_runs",
        ("manage.settings:ExportRunsSettings",),
        "manage.settings:ExportRunsOptions",
    ),
    "runs rm": Command(
        "Remove run directories.",
        "Remove run directories, each with all that is in it; none that is in use.",
        "manage.run_command:remove_runs",
        ("manage.settings:RemoveRunsSettings",),
        "manage.settings:RemoveRunsOptions",
    ),
    "cache list": Command(
        "What is cached, how large it is, and for how long it was not used.",
        "What is in the cache: packed images, activations, downloaded weights; how large each is, since when unused.",
        "manage.cache_command:list_cache",
        ("manage.settings:CacheSettings",),
        "manage.settings:CacheOptions",
    ),
    "cache prune": Command(
        "Remove what was not used for long, or what is too much.",
        "Remove cache entries: those not used for long, then those unused longest until the rest is small enough. "
        "What is removed is made again when it is needed.",
        "manage.cache_command:prune_cache",
        ("manage.settings:PruneSettings",),
        "manage.settings:PruneOptions",
    ),
    "presets": Command(
        "List the presets, or print a preset's settings.",
        "The presets, with one line each; or a preset's settings, as a file to begin with.",
        "app.presets:presets",
        ("check_data.settings:PresetsSettings",),
        "check_data.settings:DebugOptions",
    ),
}
