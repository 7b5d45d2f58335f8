"""Names of flags in other tools: those that are understood, and those that are answered with the right name."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from a2cli.errors import nearest

if TYPE_CHECKING:
    from a2cli.settings.declare import Declared

# These mean the same wherever they are used.
UNDERSTOOD = {
    "lr": "learning_rate",
    "min-lr": "min_learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "batch": "batch_size",
    "num-epochs": "epochs",
    "n-epochs": "epochs",
    "max-epochs": "epochs",
    "optim": "optimizer",
    "opt": "optimizer",
    "sched": "scheduler",
    "lr-scheduler": "scheduler",
    "img-size": "image_size",
    "input-size": "image_size",
    "imgsz": "image_size",
    "dataset": "data",
    "data-dir": "data",
    "data-path": "data",
    "aug": "augment",
    "augmentation": "augment",
    "val-split": "val_fraction",
    "validation-split": "val_fraction",
    "val-ratio": "val_fraction",
    "test-split": "test_fraction",
    "test-ratio": "test_fraction",
    "k-folds": "folds",
    "act": "activation",
    "filters": "channels",
    "hidden-size": "hidden",
    "hidden-units": "hidden",
    "smoothing": "label_smoothing",
    "random-seed": "seed",
    "manual-seed": "seed",
    "arch": "backbone",
    "output": "out",
    "output-dir": "out",
    "out-dir": "out",
    "config": "preset",
}

# These could mean several things, or take another value than here: what to write instead, each a setting's name and
# what follows its flag. Those that the command has are named.
ANSWERED = {
    "gpu": ("device cuda",),
    "gpus": ("device cuda",),
    "cuda": ("device cuda",),
    "use-cuda": ("device cuda",),
    "mps": ("device mps",),
    "cpu": ("device cpu",),
    "no-cuda": ("device cpu",),
    "workers": ("threads",),
    "num-workers": ("threads",),
    "j": ("jobs", "threads"),
    "n-jobs": ("jobs", "threads"),
    "patience": ("early_stopping", "plateau_patience"),
    "val-size": ("val_fraction", "val_count"),
    "test-size": ("test_fraction",),
    "warmup": ("warmup_epochs",),
    "model": ("backbone",),
    "backbone": ("model",),
    "pretrained": ("weights imagenet",),
    "checkpoint": ("resume", "run"),
    "ckpt": ("resume", "run"),
    "layers": ("channels",),
    "num-layers": ("channels",),
    "l2": ("weight_decay",),
    "ema": ("average_weights 0.99",),
    "model-ema": ("average_weights 0.99",),
    "amp": ("precision bf16",),
    "fp16": ("precision bf16",),
    "test": ("final",),
    "eval": ("final",),
    "verbose": ("debug",),
    "v": ("debug",),
    "q": ("quiet",),
    "o": ("out",),
    "e": ("epochs",),
    "b": ("batch_size",),
    "d": ("data",),
    "s": ("seed",),
    "n": ("dry_run",),
    "c": ("preset",),
}


def hyphenated(name: str) -> str:
    """Return the name of a flag or a choice as it is declared: in small letters, with hyphens."""
    return name.lower().replace("_", "-")


def also_understood(items: "Sequence[Declared]") -> dict[str, list[str]]:
    """Return the other flags of a command's settings, by setting; none that is already a flag of the command."""
    own = {item.flag for item in items}
    with_flag = {item.name for item in items if not item.positional}
    others: dict[str, list[str]] = {}
    for word, name in UNDERSTOOD.items():
        if f"--{word}" not in own and name in with_flag:
            others.setdefault(name, []).append(f"--{word}")
    return others


def setting_like(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean …?' for a setting by its name in other tools, or by one that is nearly right."""
    names = list(known)
    meant = UNDERSTOOD.get(hyphenated(word))
    return f"; did you mean {meant!r}?" if meant in names else nearest(word, names)
