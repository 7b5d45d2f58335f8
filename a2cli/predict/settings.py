"""The settings of `a2 predict`."""

from dataclasses import dataclass

from a2cli.settings.declare import Count, Threads, setting


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """What to predict"""

    image: tuple[str, ...] = setting(
        (),
        "Image files, folders with all image files in them, patterns in quotes as 'photos/**/*.jpg', or - for standard "
        "input: an image, or a list of files, one a line.",
        positional=True,
    )
    run: str | None = setting(
        None,
        "The folder of a finished run that trained a network; of one over several seeds or folds, the mean of all its "
        "networks' probabilities; of a comparison or an ablation, its best run, as their --best prints it.",
    )
    top: Count = setting(5, "Classes to list for each image, the most probable first.")
    batch_size: Count = setting(64, "Images per forward pass; about three times as many are in memory at once.")
    device: str = setting("auto", "Device: auto, cpu, cuda, cuda:1, mps.", any_case=True)
    threads: Threads = setting(
        0,
        "Processor threads, for reading images as well; auto computes with four and reads with every core.",
        words=(("auto", 0),),
    )


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """Everything that decides the result of `a2 predict`."""

    prediction: PredictionSettings = PredictionSettings()


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Run"""

    picture: str | None = setting(
        None, "Besides, write a contact sheet: the first images, the answer under each; a file that ends in .png."
    )
    html: str | None = setting(
        None, "Besides, write the answers and the contact sheet as an HTML file that opens offline; ends in .html."
    )
    overwrite: bool = setting(False, "Write them although files of that name are there.")
    json: bool = setting(False, "Print the answers as one JSON document.")
    quiet: bool = setting(False, "Print a line for each image: the answer, a tab, the image.")
    debug: bool = setting(False, "Show the traceback of an error.")
