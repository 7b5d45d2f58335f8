"""What is found of a data set: nearly identical images, and what `a2 data check` says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NearDuplicate:
    """Two images that are nearly the same, and the part of the split of each: train, val, test or none.

    `similarity` is 1 for the same pixels: 1 - the rest, over the variance, where they agree least once aligned.
    """

    first: str
    second: str
    similarity: float
    first_part: str
    second_part: str
    same_class: bool

    @property
    def in_two_parts(self) -> bool:
        return self.first_part != self.second_part and "" not in (self.first_part, self.second_part)


@dataclass(frozen=True)
class DataCheck:
    """A data set as it is on disk; `wrong` says what has to be mended, `warnings` what should be looked at.

    `classes` has each class's number of images by part of the split ('' where the data has none); `sizes` and `modes`
    count the images as stored. `damaged` are names with the reason, `single_valued` those of images of one value,
    `identical` those of each group of images with the same pixels at `image_size`.
    """

    source: str
    image_size: int
    images: int
    classes: dict[str, dict[str, int]]
    sizes: dict[str, int]
    modes: dict[str, int]
    scaling: str
    passed_over: dict[str, int]
    unused: list[str]
    damaged: list[str]
    single_valued: list[str]
    identical: list[list[str]]
    near_duplicates: list[NearDuplicate]
    wrong: list[str]
    warnings: list[str]
