"""The schema of a recipe: every setting of a training run, its default and its range."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mien.core.card import CropSpec
from mien.core.errors import DataError
from mien.data.protocols import Protocol, ProtocolName
from mien.recipes.corruption import CorruptionSettings
from mien.recipes.settings import Fraction, NonNegative, Settings

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class DataSettings(Settings):
    """Which faces are used, how they are divided, and what their targets are.

    The settings from `protocol` to `use_clean` define a `mien.data.protocols.Protocol`; `split_seed` is its seed, by
    default `training.seed`. `score_split` names the split to score; "" means the test part if the protocol draws one,
    else `validation_split`. `ferplus_weight` w mixes the data set's label y and the annotators' votes v into the target
    (1 - w) y + w v. `not_a_face_share` adds that share of synthetic non-faces to every batch, and one output to the
    network. `class_balance` b weights the images of a class of n with n^(-b): with 0 an epoch shows every image at most
    once, with 1 all classes equally often. Images that the annotators call "not a face" keep their share. `frames` is
    the number of last images of each sequence that are used, for data sets of sequences (`ckplus`).
    """

    dataset: str = "fer2013"
    protocol: ProtocolName = "official"
    shares: list[float] = Field(default_factory=list)
    counts: list[int] = Field(default_factory=list)
    folds: int = 10
    fold: int = 0
    keep_together: Literal["", "sequence", "subject"] = ""
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
    frames: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            self.make_protocol(0)
        except DataError as error:
            raise ValueError(str(error).rstrip(".")) from None
        return self

    def make_protocol(self, seed: int) -> Protocol:
        """Return the protocol; `seed` is the run's and applies if `split_seed` is unset."""
        return Protocol(
            name=self.protocol,
            shares=tuple(self.shares),
            counts=tuple(self.counts),
            folds=self.folds,
            fold=self.fold,
            keep_together=self.keep_together,
            seed=seed if self.split_seed is None else self.split_seed,
            held_out=self.held_out,
            validation_from=tuple(self.validation_from),
            use_clean=self.use_clean,
        )

    @property
    def scored_split(self) -> str:
        """The split that a finished run is scored on."""
        has_test = self.protocol != "official" and not self.make_protocol(0).scores_its_validation
        return self.score_split or ("test" if has_test else self.validation_split)


class NetworkSettings(Settings):
    """A network by name, its input, its options and the modulators after its stages."""

    name: str
    input_size: int = Field(48, ge=8, le=1024)
    channels: Literal[1, 3] = 1
    options: dict[str, Any] = Field(default_factory=dict)
    modulators: dict[str, str | dict[str, Any]] = Field(default_factory=dict)


class CropSettings(Settings):
    """The square cut around a face, see `mien.core.card.CropSpec`.

    Training cuts it around the face boxes of a data set that has them; recognition cuts it around detected faces.
    """

    scale: float = Field(CropSpec.scale, ge=0.2, le=5)
    shift_x: float = CropSpec.shift_x
    shift_y: float = CropSpec.shift_y

    def make_spec(self) -> CropSpec:
        """Return the crop for data sets and for the model's card."""
        return CropSpec(self.scale, self.shift_x, self.shift_y)


class LossSettings(Settings):
    """A loss by name, and its options."""

    name: str = "cross_entropy"
    options: dict[str, Any] = Field(default_factory=dict)


class OptimizerSettings(Settings):
    """An optimizer by name, its peak learning rate, and its weight decay: decoupled or L2, as the optimizer defines it.

    `backbone_lr_share` scales the rate of all layers but the classifier. Below 1, their batch norms keep their
    statistics; with 0 they are frozen. A `sam_rho` above 0 turns on sharpness-aware minimization (Foret et al. 2021):
    each gradient is taken where the loss is largest within that distance of the weights, so a step costs two passes.
    """

    name: str = "sgd"
    lr: float = Field(0.1, gt=0)
    weight_decay: NonNegative = 5e-4
    backbone_lr_share: Fraction = 1.0
    sam_rho: NonNegative = 0.0
    options: dict[str, Any] = Field(default_factory=dict)


class ScheduleSettings(Settings):
    """The schedule of the learning rate.

    "cosine", "linear" and "constant" are updated every step, after a linear warm-up: a half cosine from the peak to
    `final_lr_share` of it, restarted every `cycle_epochs` (0: once over the whole run), or the peak throughout.
    "linear" is a straight line over the whole run, which the warm-up multiplies, as in the YOLO framework. "plateau"
    multiplies the rate by `plateau_factor` once the validation loss has not fallen for more than `plateau_patience`
    epochs; it has no warm-up.
    """

    name: Literal["cosine", "linear", "constant", "plateau"] = "cosine"
    epochs: int = Field(30, ge=1, le=10_000)
    warmup_epochs: NonNegative = 1.0
    final_lr_share: Fraction = 0.0
    cycle_epochs: int = Field(0, ge=0)
    plateau_factor: float = Field(0.1, gt=0, lt=1)
    plateau_patience: int = Field(5, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.name == "plateau" and self.warmup_epochs:
            raise ValueError("a plateau schedule has no warm-up; set schedule.warmup_epochs = 0")
        return self


class AugmentationSettings(Settings):
    """How much a training face may be changed; 0 turns a change off.

    Rotation is in degrees; scale and translation are shares of the side, brightness and contrast shares of their value.
    Contrast multiplies the distance of each pixel from `contrast_about`: "black", which is a gain, or the image's
    "mean". `erasing` is the probability of erasing a patch, `erasing_area` its largest share of the area. `noise`:
    standard deviation of Gaussian noise as a share of the range, added with probability 1/2. `grayscale`: the
    probability of removing colour. `randaugment`: number of random operations of RandAugment per face, at
    `randaugment_magnitude`. `mixup`, `cutmix`: alpha of Beta(alpha, alpha), from which the share of the blend is drawn;
    with both, each batch uses one of them at random.
    """

    flip: Fraction = 0.5
    rotation: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    translate: Fraction = 0.0
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    contrast_about: Literal["black", "mean"] = "black"
    erasing: Fraction = 0.0
    erasing_area: float = Field(0.2, gt=0.02, le=1)
    noise: Fraction = 0.0
    grayscale: Fraction = 0.0
    randaugment: int = Field(0, ge=0, le=10)
    randaugment_magnitude: int = Field(10, ge=1, le=29)
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0


class TrainingSettings(Settings):
    """How the run is carried out.

    `batch_size` is the total over all processes: `devices` on each of `nodes` machines. On accelerators, batch norms
    use the statistics of all processes. On CPUs, 16-bit `precision` means bf16, or 32 bits if bf16 would be emulated.
    With `threads` 0 torch chooses their number; with `ema_decay` 0 the weights are not averaged. `ema_ramp_steps` r
    lets the average follow fast at first: at step t the decay is `ema_decay` (1 - exp(-t / r)); 0: the same at every
    step. `gradient_clip` limits the norm of the gradient; 0: no limit. `use_compile` is ignored if there is no C++
    compiler; on CUDA it uses CUDA graphs. `selection` keeps the weights of the epoch with the best validation accuracy,
    the lowest validation loss, or of the last. The run ends after `patience` epochs without a better validation
    accuracy, or without a lower validation loss if `patience_on` is "loss"; 0: never. With `workers` above 0, that many
    processes per loader read images from their files when needed: for data larger than memory.
    """

    batch_size: int = Field(128, ge=2)
    seed: int = Field(0, ge=0, lt=2**32)
    precision: Precision = "32-true"
    ema_decay: float = Field(0.0, ge=0, lt=1)
    ema_ramp_steps: int = Field(0, ge=0)
    gradient_clip: NonNegative = 0.0
    selection: Literal["best", "lowest-loss", "last"] = "best"
    patience: int = Field(0, ge=0)
    patience_on: Literal["accuracy", "loss"] = "accuracy"
    use_compile: bool = False
    use_deterministic: bool = False
    threads: int = Field(0, ge=0)
    workers: int = Field(0, ge=0)
    devices: int = Field(1, ge=1)
    nodes: int = Field(1, ge=1)

    @property
    def processes(self) -> int:
        """The number of processes of the run, over all machines."""
        return self.devices * self.nodes

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.batch_size % self.processes:
            raise ValueError(f"{self.processes} processes cannot share training.batch_size = {self.batch_size} evenly")
        return self


class DistillationSettings(Settings):
    """Learning from trained networks as well as from labels (Hinton et al. 2015).

    `teachers` are run folders with the same labels. Their mean probabilities, softened by `temperature`, are a second
    target: the loss is (1 - w) times the recipe's loss plus w = `weight` times the divergence from them. With `mirror`,
    they score each image and its mirror image, and the logits are averaged. `reinforced` is a folder of `mien
    reinforce`, whose stored views and logits replace images, augmentation and teachers.
    """

    teachers: list[str] = Field(default_factory=list)
    mirror: bool = False
    reinforced: str = ""
    weight: Fraction = 0.5
    temperature: float = Field(2.0, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.teachers and self.reinforced:
            raise ValueError("stored views have their own teachers; leave out either teachers or reinforced")
        if self.mirror and self.reinforced:
            raise ValueError("stored views have their own teachers; give mirror to `mien reinforce` instead")
        return self


class Recipe(Settings):
    """All settings of a training run.

    `ablation` names the ablation whose changes were applied; `weights` what the network starts from: "default" (the
    shipped model's), a run folder or a file, "" for random weights. With `fit_classifier`, the classifier is first
    fitted to the features of the training images, as a logistic regression.
    """

    name: str
    paper: str = ""
    ablation: str = ""
    weights: str = ""
    fit_classifier: bool = False
    data: DataSettings = DataSettings()
    network: NetworkSettings
    crop: CropSettings = CropSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    corruption: CorruptionSettings = CorruptionSettings()
    distillation: DistillationSettings = DistillationSettings()
    training: TrainingSettings = TrainingSettings()
