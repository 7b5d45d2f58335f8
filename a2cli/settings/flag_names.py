"""Names of flags in other tools: those that are understood, and those that are answered with the right name."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from a2cli.errors import nearest

if TYPE_CHECKING:
    from a2cli.settings.declare import Declared

# These mean the same wherever they are used: by setting, its other names.
OTHER_NAMES = {
    "learning_rate": ("lr",),
    "min_learning_rate": ("min-lr",),
    "weight_decay": ("wd",),
    "batch_size": ("bs", "batch"),
    "epochs": ("num-epochs", "n-epochs", "max-epochs"),
    "optimizer": ("optim", "opt"),
    "scheduler": ("sched", "lr-scheduler"),
    "image_size": ("img-size", "input-size", "imgsz"),
    "data": ("dataset", "data-dir", "data-path"),
    "augment": ("aug", "augmentation"),
    "val_fraction": ("val-split", "validation-split", "val-ratio"),
    "test_fraction": ("test-split", "test-ratio"),
    "folds": ("k-folds",),
    "activation": ("act",),
    "channels": ("filters",),
    "hidden": ("hidden-size", "hidden-units"),
    "label_smoothing": ("smoothing",),
    "seed": ("random-seed", "manual-seed"),
    "backbone": ("arch",),
    "out": ("output", "output-dir", "out-dir"),
    "preset": ("config",),
}
UNDERSTOOD = {word: name for name, words in OTHER_NAMES.items() for word in words}

# These could mean several things, or take another value than here: by what to write instead, each a setting's name and
# what follows its flag. Those that the command has are named.
INSTEAD = {
    ("device cuda",): ("gpu", "gpus", "cuda", "use-cuda"),
    ("device mps",): ("mps",),
    ("device cpu",): ("cpu", "no-cuda"),
    ("threads",): ("workers", "num-workers"),
    ("jobs", "threads"): ("j", "n-jobs"),
    ("early_stopping", "plateau_patience"): ("patience",),
    ("val_fraction", "val_count"): ("val-size",),
    ("test_fraction",): ("test-size",),
    ("warmup_epochs",): ("warmup",),
    ("backbone",): ("model",),
    ("model",): ("backbone",),
    ("weights imagenet",): ("pretrained",),
    ("resume", "run"): ("checkpoint", "ckpt"),
    ("channels",): ("layers", "num-layers"),
    ("weight_decay",): ("l2",),
    ("average_weights 0.99",): ("ema", "model-ema"),
    ("precision bf16",): ("amp", "fp16"),
    ("final",): ("test", "eval"),
    ("debug",): ("verbose", "v"),
    ("quiet",): ("q",),
    ("out",): ("o",),
    ("epochs",): ("e",),
    ("batch_size",): ("b",),
    ("data",): ("d",),
    ("seed",): ("s",),
    ("dry_run",): ("n",),
    ("preset",): ("c",),
}
ANSWERED = {word: instead for instead, words in INSTEAD.items() for word in words}


def hyphenated(name: str) -> str:
    """Return the name of a flag or a choice as it is declared: in small letters, with hyphens."""
    return name.lower().replace("_", "-")


def also_understood(items: "Sequence[Declared]") -> dict[str, list[str]]:
    """Return the other flags of a command's settings, by setting; none that is already a flag of the command."""
    own = {item.flag for item in items}
    others = {item.name: OTHER_NAMES.get(item.name, ()) for item in items if not item.positional}
    return {name: [f"--{word}" for word in words if f"--{word}" not in own] for name, words in others.items()}


def setting_like(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean …?' for a setting by its name in other tools, or by one that is nearly right."""
    names = list(known)
    meant = UNDERSTOOD.get(hyphenated(word))
    return f"; did you mean {meant!r}?" if meant in names else nearest(word, names)
