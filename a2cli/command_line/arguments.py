"""What all commands share: settling the settings, resuming a run, showing what it found."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from a2cli import storage
from a2cli.commands import make_page
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.data.listing import MOVED
from a2cli.errors import FROM_WHERE_IT_BEGAN, SAY_WHERE, DataError, MissingDataError, SettingsError
from a2cli.reports.agreement import check_config
from a2cli.reports.best import RESUMABLE
from a2cli.reports.report import Report, read_report
from a2cli.settings.conflicts import idle_in_split, most_held_out, split_in_words
from a2cli.settings.declare import declared, flat, shown
from a2cli.settings.kinds import TRAINING, AnyTraining
from a2cli.settings.presets import Resolved, is_file, preset_value, resolve, was_edited
from a2cli.settings.run_options import RunOptions, TrialOptions
from a2cli.settings.training import SplitSettings
from a2cli.strict_json import to_json

if TYPE_CHECKING:
    from a2cli.runs.directory import Run

S = TypeVar("S")
F = TypeVar("F", Path, Path | None)


class Shown(Protocol):
    """Options that say how a result is shown."""

    @property
    def html(self) -> bool: ...
    @property
    def json(self) -> bool: ...
    @property
    def quiet(self) -> bool: ...


def show_report(report: Report, folder: F, chosen: Shown, show: Callable[[Report, F], None]) -> None:
    """Print the report as JSON, the run directory alone, or by `show`, as the options say; write its page, if asked."""
    page = html_page(folder) if chosen.html and folder else None
    if chosen.json:
        console.show_report_json(report)
    elif chosen.quiet and folder:
        console.out(str(folder))
    else:
        show(report, folder)
        if page:
            console.results_console().print(f"Page: {page}", soft_wrap=True)


def html_page(folder: Path) -> Path:
    """Write a run's report.html, and return its path."""
    path = folder / "report.html"
    storage.write(path, make_page("page_of", [folder]).encode())
    return path


def resolve_run(settings: type[S], command: str, chosen: RunOptions, flags: dict[str, Any]) -> Resolved[S]:
    """Settle the settings; with --resume they are the run's own, and a flag or preset that differs is an error.

    But for images or a backbone's weights that lie elsewhere now: the run keeps what it calls them, and they are held
    to its fingerprint and to the SHA-256 of what it has saved.
    """
    if chosen.resume is None:
        return resolve(settings, command, chosen.preset, flags)
    if chosen.out is not None:
        raise SettingsError("--out: a resumed run stays in its folder")
    with saved_config("--resume", chosen.resume) as config:
        of = preset_value(config, "command", command)
    if of != command:
        hint = f"; go on with: a2 {of} --resume {chosen.resume}" if of in RESUMABLE else ", which has no --resume"
        raise SettingsError(f"--resume {chosen.resume}: is of 'a2 {of}'{hint}")
    saved = saved_settings("--resume", chosen.resume, settings, command)
    asked = resolve(settings, command, chosen.preset, flags)
    then, now = flat(saved.settings), flat(asked.settings)
    for name, source in asked.sources.items():
        if source == "default" or now[name] == then[name]:
            continue
        if _is_path(name, then[name]) and asked.by_flag(name):
            saved = replace(saved, moved={**saved.moved, then[name]: now[name]})
        else:
            raise SettingsError(
                f"--resume {chosen.resume}: {name} is {shown(then[name])} in the run, "
                f"{shown(now[name])} by {source}; leave it out, or start a new run"
            )
    return saved


def saved_settings(flag: str, run: str, settings: type[S], command: str) -> Resolved[S]:
    """Return the settings in a run's config.yaml, of this version or an earlier one.

    Raises DataError where it is damaged, or a newer version's.
    """
    with saved_config(flag, run) as config:
        saved = resolve(settings, command, [config], {})
    if lost := [item.name for item in declared(settings) if saved.sources[item.name] == "default" and not item.added]:
        more = " and more" if len(lost) > 1 else ""
        raise DataError(f"{flag} {run}: damaged (config.yaml has lost {lost[0]}{more})")
    return saved


@contextmanager
def saved_config(flag: str, run: str) -> Iterator[str]:
    """Give the path of a run's config.yaml; a setting in it that cannot be is a DataError that names the run."""
    config = str(config_of(flag, run))
    try:
        yield config
    except SettingsError as error:
        raise DataError(f"{flag} {run}: damaged, or made by a newer a2 ({error})") from None


def resolve_study(
    kind: type[S], command: str, presets: Sequence[str], flags: Mapping[str, Any], trains: str, *, resumed: bool
) -> Resolved[S]:
    """Settle a study's settings. What a resumed one is made from may lie elsewhere now: it is called as before.

    Trials are known by their settings, so with others every one would be trained again.
    """
    moved = dict[str, str]()
    for name in [item.name for item in declared(kind)] if resumed else ():
        then, now = preset_value(presets[0], name, ""), flags.get(name)
        if now not in (None, then) and then not in ("", "None") and _is_path(name, then):
            moved |= {then: str(now)}
            flags = {**flags, name: None}
    return replace(resolve(kind, command, presets, flags, also=(trains,)), moved=moved)


def _is_path(name: str, value: Any) -> bool:
    """Return whether a setting is of what a run is made from, which may lie elsewhere once the run is resumed.

    A backbone's weights are, but for torchvision's, by their names, and none.
    """
    if name == "weights":
        return bool(Path(value).suffix) or Path(value).name != value
    return name in ("data", "features", "run") and bool(value)


def saying_where(error: MissingDataError, command: str) -> DataError:
    """Return the error of a command that is resumed, with what to do about what lies elsewhere now."""
    if error.data in MOVED.values():  # it was just said where
        return error
    ways = [FROM_WHERE_IT_BEGAN] * (not Path(error.data).is_absolute())
    ways += [SAY_WHERE.format(error.flag)] * (command != "replicate")
    return DataError("; ".join([str(error), ", or ".join(ways)]).rstrip("; "))


def kind_of(command: str, presets: Sequence[str], flags: Mapping[str, Any]) -> type[AnyTraining]:
    """Return the settings that a training command has here; train-mlp's are others on features than on images."""
    on_features = flags.get("features") is not None or any(preset_value(name, "features", "") for name in presets)
    return TRAINING[command][-1 if on_features else 0]


def select_flags(kind: type, flags: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return the flags of one kind of settings; raises SettingsError, saying `why`, for one that it does not have."""
    own_names = {item.name for item in declared(kind)}
    if other := [name for name, value in flags.items() if value is not None and name not in own_names]:
        raise SettingsError(f"--{other[0].replace('_', '-')}: {why}")
    return {name: value for name, value in flags.items() if name in own_names}


def training_of(flag: str, run: str) -> AnyTraining:
    """Return the settings of a training run, by its folder; raises DataError, SettingsError where it is none."""
    with saved_config(flag, run) as config:
        command = preset_value(config, "command", "train-cnn")
        kind = kind_of(command, [config], {}) if command in TRAINING else None
    if kind is None:
        raise SettingsError(
            f"{flag} {run}: is of 'a2 {command}'; expected a training ({', '.join(TRAINING)}), "
            "or a comparison or an ablation of trainings"
        )
    return saved_settings(flag, run, kind, command).settings


def presets_of(chosen: TrialOptions, command: str) -> list[str]:
    """Return the presets that a command's trials begin with; with --resume the config of what is gone on with."""
    if chosen.resume is None:
        return list(chosen.preset)
    if chosen.out is not None or chosen.preset:
        raise SettingsError("--resume: goes on with the run's settings and folder; leave out --out, --preset")
    with saved_config("--resume", chosen.resume) as config:
        of = preset_value(config, "command", command)
    if of != command:
        hint = f"; to begin with its settings use -p {config}" if of in TRAINING else ""
        raise SettingsError(f"--resume {chosen.resume}: is of 'a2 {of}', not of 'a2 {command}'{hint}")
    return [config]


def config_of(flag: str, run: str) -> Path:
    """Return a run's config.yaml.

    Raises DataError where a folder given by `flag` has none, or an edited one, or one that contradicts its report.
    """
    config = Path(run) / "config.yaml"
    if not is_file(config):
        if storage.never_began(Path(run)) and any(path.is_file() for path in Path(run).rglob("*")):
            raise DataError(f"{flag} {run}: this run was stopped before it began; begin it again, with --out {run}")
        raise MissingDataError(f"{flag} {run}: {storage.no_run(Path(run))}", run, flag)
    if was_edited(config):
        raise DataError(
            f"{flag} {run}: config.yaml was damaged or edited (its SHA-256 is not the one written in it); put it back "
            f"as it was, or begin a new run with -p {config}"
        )
    if report := read_report(Path(run)):
        check_config(Path(run), report, f"{flag} {run}")
    return config


def tell_edited(presets: Sequence[str]) -> None:
    """Say which presets are the config.yaml of a run and were edited since."""
    for name in presets:
        if was_edited(Path(name)):
            console.note(f"warning: --preset {name}: edited since a2 wrote it; taken as it is now")


def show_dry_run(
    resolved: Resolved[Any], plan: list[str], as_json: bool, warnings: list[str], without_test: str = ""
) -> None:
    """Print what a command would do, with its data and split; raises DataError and SettingsError as it would.

    `without_test` is the error where the data has no test images, if the command would read these.
    """
    from a2cli.data.plan import plan_data

    values = flat(resolved.settings)
    rows = [(name.rstrip("_"), value, resolved.sources[name]) for name, value in values.items()]
    data_lines, given, to_split = plan_data(values.get("data"), values.get("features"))
    plan = [*plan, *data_lines]
    split = getattr(resolved.settings, "split", None)
    if isinstance(split, SplitSettings):
        warnings = [*warnings, *idle_in_split(split, given or ())]
        if without_test and given is not None and "test" not in given and not split.test_fraction:
            raise SettingsError(without_test.format(values.get("features") or values.get("data")))
        if to_split is not None:
            test = 0 if "test" in (given or ()) else round(to_split * split.test_fraction)
            most = most_held_out(split, given or (), to_split - test)
            warnings += [] if split.train_per_class else most
        plan.append(split_in_words(split, given))
    if as_json:
        settings = {name: {"value": value, "from": source} for name, value, source in rows}
        console.out(to_json({"settings": settings, "plan": plan, "warnings": warnings}))
        return
    items = {item.name.rstrip("_"): item for item in declared(type(resolved.settings))}
    console.show_plan([(name, shown(value, items[name]), source) for name, value, source in rows], plan)
    for warning in warnings:
        console.note(f"warning: {warning}")


def _quoted(word: str) -> str:
    """Return a word as the shell takes it."""
    if sys.platform != "win32":
        return shlex.quote(word)
    import subprocess

    return subprocess.list2cmdline([word])


def run_for(command: str, out: str | None, resume: str | None, sources: Mapping[str, str]) -> "Run":
    """Return the run directory to work in, a new one or that of --resume, which knows where its settings came from."""
    from a2cli.runs.directory import Run

    if resume is None:
        run = Run.create(command, out)
        run.config_from = {name: source for name, source in sources.items() if source != "default"}
    else:
        run = Run.open(resume)
        before = run.read_report()
        run.config_from = before.config_from if before else None
    return run


@contextmanager
def resumable(run: "Run", show: ConsoleReporter, command: str, flags: str = "") -> Iterator[None]:
    """Say how to go on when a run is interrupted, with `flags`; leave no empty folder of one that could not begin."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        show.close()
        if (run.folder / "config.yaml").exists():
            console.note(f"interrupted; go on with: a2 {command} --resume {_quoted(str(run.folder))}{flags}")
        raise
    except MissingDataError as error:
        raise (saying_where(error, command) if (run.folder / "config.yaml").exists() else error) from None
    finally:
        run.discard()
