"""The settings of `a2 replicate`."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from a2cli.settings.declare import CountOrOff, setting


@dataclass(frozen=True, kw_only=True)
class ClaimSettings:
    """What to replicate"""

    ledger: str | None = setting(
        None, "A ledger of claims, by name or YAML file; without it, those that come with a2.", positional=True
    )
    data: str | None = setting(
        None, "Images in the report's place, as for train-cnn; without it the built-in set that the ledger names."
    )
    faces: str | None = setting(None, "Images of its second part; without it the built-in set that the ledger names.")
    weights: str | None = setting(None, "File of pretrained weights, as for finetune; without it no claim on them.")
    only: tuple[str, ...] = setting(
        (), "Claims to judge, by section or id, as 1.4 or 1.4-dropout-helps; error rates are as for the whole ledger."
    )
    budget: str | None = setting(
        None,
        "Training time, as 2h or 90m, or a number of trainings, as 500; a look at a claim, 6 seeds at least, is not "
        "cut short. Without it until all looks are taken.",
    )
    seed: Annotated[int, Ge(0)] = setting(0, "First of the seeds.")
    device: str = setting("auto", "Device: auto, cpu, cuda, cuda:1, mps.", any_case=True)


@dataclass(frozen=True, kw_only=True)
class ReplicateSettings:
    """Everything that decides the result of `a2 replicate`."""

    claims: ClaimSettings = ClaimSettings()


@dataclass(frozen=True, kw_only=True)
class ReplicateOptions:
    """Run"""

    jobs: CountOrOff = setting(0, "Trainings in parallel, one thread each; 0 takes every core.")
    backend: str = setting(
        "loky", "Where they run, as joblib names it: loky (processes here), dask, ray.", any_case=True
    )
    cluster: str | None = setting(None, "Address of the dask scheduler or the ray cluster.")
    out: str | None = setting(None, "Run directory; default a new one in runs/.")
    resume: str | None = setting(
        None, "Resume a run, given its directory; with another --budget or --only, what is done is kept."
    )
    list_: bool = setting(False, "List the claims of the ledger; run nothing.")
    plan: bool = setting(
        False, "Time one short training of each kind, and say what is trained at each look and what can be decided."
    )
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; train nothing.")
    html: bool = setting(False, "Besides, write report.html into the run directory, as a2 report does.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print only the run directory.")
    write: str | None = setting(None, "Folder to write the pages of the docs into, from the run.")
    debug: bool = setting(False, "Show the traceback of an error.")
