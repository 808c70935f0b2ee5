"""The schema of a face detector's recipe."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mien.recipes.schema import OptimizerSettings, ScheduleSettings, TrainingSettings
from mien.recipes.settings import Fraction, Settings


class DetectorDataSettings(Settings):
    """The faces that are drawn into scenes: those of a data set's splits that no annotator took for a non-face."""

    dataset: str = "fer2013"
    train_split: str = "train"
    validation_split: str = "validation"


class ScenesSettings(Settings):
    """How many scenes are composed.

    An epoch has `per_epoch` new ones. `validation` scenes stay the same; their faces and photographs are held back from
    training. `hard_share` of the scenes show a place of a photograph that the network took for a face at the start of
    the epoch, with at least the probability `hard_score`.
    """

    per_epoch: int = Field(51_200, ge=1)
    validation: int = Field(2_048, ge=1)
    hard_share: Fraction = 0.25
    hard_score: Fraction = 0.3


def _kernels() -> list[Literal[3, 5, 7]]:
    return [3, 3, 5, 3, 3, 5, 3]


class DetectorNetworkSettings(Settings):
    """The network: channels of the three strided convolutions, then of the depthwise blocks, one kernel for each."""

    stem: tuple[int, int, int] = (16, 24, 64)
    width: int = Field(96, ge=8, le=1024)
    kernels: list[Literal[3, 5, 7]] = Field(default_factory=_kernels)


class DetectorLossSettings(Settings):
    """The loss: focal loss of the scores, and smooth L1 losses of box and roll with these weights."""

    focus: float = Field(2.0, ge=0)
    box: float = Field(1.0, ge=0)
    roll: float = Field(0.3, ge=0)


class DetectorRecipe(Settings):
    """All settings of a face detector's training run."""

    name: str
    task: Literal["detector"]
    data: DetectorDataSettings = DetectorDataSettings()
    scenes: ScenesSettings = ScenesSettings()
    network: DetectorNetworkSettings = DetectorNetworkSettings()
    loss: DetectorLossSettings = DetectorLossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        absent = {
            "training.devices and training.nodes": self.training.processes > 1,
            "training.use_compile": self.training.use_compile,
            "optimizer.sam_rho": self.optimizer.sam_rho > 0,
            "schedule.name = 'plateau'": self.schedule.name == "plateau",
        }
        for setting, is_wanted in absent.items():
            if is_wanted:
                raise ValueError(f"a face detector trains without {setting}; leave the setting out")
        return self
