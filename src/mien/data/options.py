"""How a data set is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from mien.core.card import CropSpec
from mien.core.errors import DataError

FerplusMode = Literal["majority", "probability"]


@dataclass(frozen=True)
class LoadOptions:
    """How a data set is read; an adapter uses what applies to it.

    Attributes:
        image_size: Side of the returned square images, in pixels, 8 to 1024.
        channels: 1 (grey) or 3 (RGB).
        crop: How faces are cut out of images that show more than the face, such as CK+'s frames.
        seed: Seed of everything drawn at random, such as validation images.
        validation_share: Share of the training images set aside for validation if the data set has no validation
            split, 0 to below 1. Drawn per label, or by whole subjects (`ckplus`, `jaffe`).
        faces_per_class: Training faces per label that `synthetic` draws; a third as many for validation.
        ferplus_mode: Which images and label distributions `ferplus` keeps (see there).
        use_lazy_images: Leave image files on disk and read each one when it is needed.

    Raises:
        DataError: A value is out of range.
    """

    image_size: int = 48
    channels: int = 1
    crop: CropSpec = field(default_factory=CropSpec)
    seed: int = 0
    validation_share: float = 0.2
    faces_per_class: int = 60
    ferplus_mode: FerplusMode = "majority"
    use_lazy_images: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.image_size <= 1024:
            raise DataError(f"Image size {self.image_size} is out of range; expected 8 to 1024 pixels.")
        if self.channels not in (1, 3):
            raise DataError(f"Images cannot have {self.channels} channels; expected 1 (grey) or 3 (RGB).")
        if self.seed < 0:
            raise DataError(f"Seed {self.seed} is negative; expected a whole number from 0.")
        if not 0 <= self.validation_share < 1:
            raise DataError(f"Validation share {self.validation_share} is out of range; expected 0 to below 1.")
        if not 1 <= self.faces_per_class <= 10_000:
            raise DataError(f"{self.faces_per_class} faces per class is out of range; expected 1 to 10000.")
        if self.ferplus_mode not in get_args(FerplusMode):
            raise DataError(f"FER+ mode '{self.ferplus_mode}' is not one of {', '.join(get_args(FerplusMode))}.")
