"""Sets of images by name: those that are drawn, and torchvision's."""

from typing import Any

from a2cli.data.arrays import items_of
from a2cli.data.decode import Decoded
from a2cli.data.items import Items, Source
from a2cli.errors import DataError
from a2cli.progress import ProgressReporter
from a2cli.user_folders import data_folder


def drawn_set(name: str) -> Source:
    """Return a built-in set."""

    def items(reporter: ProgressReporter) -> Items:
        from a2cli.drawn_sets.atelier import draw_atelier
        from a2cli.drawn_sets.portraits import draw_portraits

        reporter.step("drawing the images")
        drawn = {"atelier": draw_atelier, "portraits": draw_portraits}[name](reporter=reporter)
        reporter.step("")
        return items_of(drawn.images, drawn.labels, drawn.class_names, drawn.names)

    return Source(name, f"{name} 1", items)


def torchvision_set(name: str) -> Source:
    """Return one of torchvision's data sets, which it downloads when its images are asked for."""

    def items(reporter: ProgressReporter) -> Items:
        from torchvision import datasets

        from a2cli.data.download_progress import told_to

        folder, kind = str(data_folder() / "torchvision"), getattr(datasets, name)
        by_flag = name in {"CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST"}
        reporter.step(f"fetching them into {folder}")
        try:
            with told_to(reporter, datasets.utils):
                train = kind(folder, True, download=True) if by_flag else kind(folder, download=True)
                test = kind(folder, False, download=True) if by_flag else kind(folder, "test", download=True)
        except (OSError, RuntimeError, ImportError) as error:  # some sets need SciPy
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"--data {name}: torchvision cannot fetch it into {folder} ({reason})") from None
        both = [*((train, i) for i in range(len(train))), *((test, i) for i in range(len(test)))]
        reporter.step("reading the labels")
        labels = [int(part[i][1]) for part, i in reporter.batches(both, len(both))]
        reporter.step("")
        classes = getattr(train, "classes", None) or sorted({str(label) for label in labels}, key=int)
        return Items(
            class_names=tuple(classes),
            names=[f"{'train' if part is train else 'test'}/{i:06d}" for part, i in both],
            labels=labels,
            splits=["train" if part is train else "test" for part, _ in both],
            image=lambda i: _decoded(both[i][0][both[i][1]][0]),
        )

    return Source(name, f"torchvision {name}", items)


def _decoded(image: Any) -> Decoded:
    return Decoded(image.convert("RGB"), image.mode, image.size)
