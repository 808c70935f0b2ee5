"""What the groups of a recipe's settings have in common, and the group that says which faces are used."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.core.errors import DataError
from mien.data.protocols import Protocol, ProtocolName

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Base of every group of settings: unknown keys are errors, numbers finite, and values do not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Which faces, and what they are called.

    `ferplus_weight` w mixes the data set's own label y and the annotators' votes v into the target (1 - w) y + w v.
    `not_a_face_share` adds that many made non-faces a face to every batch, and one output to the network.
    `class_balance` b draws an image of a class with n images in proportion to n^(-b): 0 every image at most once an
    epoch, 1 all classes equally often. Images that annotators call no face keep their share.

    The rest is the protocol (`mien.data.protocols.Protocol`): `protocol` is its name, `split_seed` its seed
    (`training.seed` when not given). The split named `score_split` is scored; "": the test part of a drawn protocol
    that has one, and otherwise `validation_split`.
    """

    dataset: str = "fer2013"
    protocol: ProtocolName = "official"
    shares: list[float] = Field(default_factory=list)
    counts: list[int] = Field(default_factory=list)
    folds: int = 10
    fold: int = 0
    split_seed: int | None = Field(None, ge=0)
    held_out: Literal["test", "validation"] = "test"
    validation_from: list[str] = Field(default_factory=list)
    use_clean: bool = False
    score_split: Literal["", "train", "validation", "test"] = ""
    train_split: str = "train"
    validation_split: str = "validation"
    ferplus_weight: Fraction = 0.0
    not_a_face_share: Fraction = 0.0
    class_balance: Fraction = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            self.make_protocol(0)
        except DataError as error:
            raise ValueError(str(error).rstrip(".")) from None
        return self

    def make_protocol(self, seed: int) -> Protocol:
        """Return the protocol; `seed` is the run's, for a protocol without a seed of its own."""
        return Protocol(
            name=self.protocol,
            shares=tuple(self.shares),
            counts=tuple(self.counts),
            folds=self.folds,
            fold=self.fold,
            seed=seed if self.split_seed is None else self.split_seed,
            held_out=self.held_out,
            validation_from=tuple(self.validation_from),
            use_clean=self.use_clean,
        )

    def describe(self, seed: int) -> dict[str, Any]:
        """Return what a run record says of the division: protocol, seed and fold, and the split that is scored."""
        return {"protocol": self.make_protocol(seed).describe(), "score_split": self.scored_split}

    @property
    def scored_split(self) -> str:
        """The split whose scores a run is judged by."""
        has_test = self.protocol != "official" and not self.make_protocol(0).scores_its_validation
        return self.score_split or ("test" if has_test else self.validation_split)
