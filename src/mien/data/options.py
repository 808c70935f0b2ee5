"""How a data set is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from mien.core.card import CropSpec, InputSpec


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
        frames: Images of each sequence that are used, the last ones, by data sets of sequences (`ckplus`); 1 or more.
        use_lazy_images: Leave image files on disk and read each one when it is needed.

    Raises:
        ModelError: Size or channels are out of range.
    """

    image_size: int = 48
    channels: int = 1
    crop: CropSpec = field(default_factory=CropSpec)
    seed: int = 0
    validation_share: float = 0.2
    faces_per_class: int = 60
    frames: int = 3
    use_lazy_images: bool = False

    def __post_init__(self) -> None:
        InputSpec(self.image_size, self.channels)  # checks both
