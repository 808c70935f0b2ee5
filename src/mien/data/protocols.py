"""Protocols: which faces are trained on, which select the epoch, and which are scored.

A data set's official splits, random or stratified shares of the whole set, and folds, by subject or not. What is drawn
depends only on the seed and the rows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.data.dataset import SPLITS, SUBJECT, FaceDataset
from mien.data.duplicates import identical_groups
from mien.data.splits import LEFT_OUT, apportion, assign_groups, stratified_mask, subject_mask

ProtocolName = Literal["official", "ratio", "random", "k-fold", "subject-k-fold"]
FOLDED = ("k-fold", "subject-k-fold")
SHARED = ("ratio", "random")
ROW = "row"
# Of the training images, if a held-out test set leaves none for validation.
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Protocol:
    """How a data set is divided.

    Attributes:
        name: "official" keeps the data set's own splits; all others pool the images and draw splits: "ratio" stratified
            by label, "random" regardless of labels, "k-fold" stratified, "subject-k-fold" with each person in one fold.
        shares: For "ratio" and "random": train : validation : test in any unit; or two numbers, train : held out.
        counts: Numbers of images instead of `shares`; images beyond their sum are left out.
        folds: Number of folds of the two k-folds.
        fold: The held-out fold, from 0.
        keep_together: For "ratio", "random" and "k-fold": the metadata column whose images stay in one part, "subject"
            or "sequence"; the parts then have their sizes only nearly. "": every image for itself.
        seed: Seed of the drawn splits.
        held_out: Use of the held-out images. "test": they are scored, and the epoch is selected on others: the next
            fold, or a stratified tenth of the training images. "validation": the epoch is selected on the scored images
            themselves, as in many papers. Ignored for three shares.
        validation_from: For "official": the splits joined into the validation split; () leaves them as they are.
        use_clean: Remove from training every image with an exact duplicate in validation or test.

    Raises:
        DataError: The values contradict each other.
    """

    name: ProtocolName = "official"
    shares: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    folds: int = 10
    fold: int = 0
    keep_together: Literal["", "sequence", "subject"] = ""
    seed: int = 0
    held_out: Literal["test", "validation"] = "test"
    validation_from: tuple[str, ...] = ()
    use_clean: bool = False

    def __post_init__(self) -> None:
        if self.name in SHARED:
            self._check_shares()
        elif self.shares or self.counts:
            raise DataError(f"The protocol '{self.name}' has no shares or counts; 'ratio' and 'random' have.")
        if self.name in FOLDED:
            self._check_folds()
        if self.keep_together and self.name not in (*SHARED, "k-fold"):
            raise DataError(f"keep_together is for ratio, random and k-fold; the protocol is '{self.name}'.")
        if self.validation_from and self.name != "official":
            raise DataError(f"validation_from joins official splits; the protocol '{self.name}' draws its own.")
        unknown = sorted(set(self.validation_from) - set(SPLITS))
        if unknown or "train" in self.validation_from:
            raise DataError(f"validation_from names '{(unknown or ['train'])[0]}'; validation and test can be joined.")
        if self.use_clean and self.name != "official" and self.scores_its_validation:
            raise DataError("A clean protocol selects and scores on different images: held_out must be 'test'.")

    def _check_shares(self) -> None:
        given = self.shares or self.counts
        if bool(self.shares) == bool(self.counts):
            raise DataError(f"The protocol '{self.name}' needs either shares (as [7, 2, 1]) or counts (as [735, 246]).")
        if len(given) not in (2, 3) or not all(np.isfinite(value) and value > 0 for value in given):
            raise DataError(f"{list(given)} are not shares; expected two or three numbers above 0.")

    def _check_folds(self) -> None:
        least = 3 if self.held_out == "test" else 2
        if self.folds < least:
            raise DataError(f"{self.folds} folds are too few: training and the held-out fold(s) need {least}.")
        if not 0 <= self.fold < self.folds:
            raise DataError(f"Fold {self.fold} is out of range; {self.folds} folds are 0 to {self.folds - 1}.")

    @property
    def scores_its_validation(self) -> bool:
        """Whether the epoch is selected on the scored images."""
        return self.name == "official" or (self.held_out == "validation" and len(self.shares or self.counts) != 3)

    def describe(self) -> dict[str, Any]:
        """Return the values that matter to this protocol, for a record."""
        drawn = {"seed", "held_out"} | ({"keep_together"} if self.keep_together else set())
        drawn |= {"folds", "fold"} if self.name in FOLDED else {"shares", "counts"}
        wanted = {"name", "use_clean"} | ({"validation_from"} if self.name == "official" else drawn)
        values = {key: value for key, value in dataclasses.asdict(self).items() if key in wanted and value != ()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def divide(dataset: FaceDataset, protocol: Protocol) -> FaceDataset:
    """Return the data set with the splits of a protocol.

    If the protocol leaves images out, they are removed, and the metadata column `row` has the others' original row
    numbers.

    Raises:
        DataError: The protocol needs more images, subjects or splits than exist, or leaves a label without training
            images or a stratified part without a label.
    """
    if protocol == Protocol(seed=protocol.seed):
        return dataset
    dataset = dataclasses.replace(dataset, unclear=None)  # its splits are the official ones
    splits = _draw(dataset, protocol) if protocol.name != "official" else _join(dataset, protocol)
    if protocol.use_clean:
        group = identical_groups(dataset.images)
        is_duplicate = np.isin(group, group[np.isin(splits, ("validation", "test"))])
        splits = np.where((splits == "train") & is_duplicate, LEFT_OUT, splits)
    _check_labels(dataset, splits, protocol)
    kept = splits != LEFT_OUT
    if kept.all():
        return dataclasses.replace(dataset, splits=splits)
    numbered = dataclasses.replace(
        dataset,
        splits=np.where(kept, splits, "train"),
        metadata={**dataset.metadata, ROW: np.arange(len(dataset)).astype(np.str_)},
    )
    return numbered.subset(kept)


def original_rows(dataset: FaceDataset) -> NDArray[np.int64]:
    """Return (n,) the row number that each image had before `divide`."""
    if ROW in dataset.metadata:
        return dataset.metadata[ROW].astype(np.int64)
    return np.arange(len(dataset), dtype=np.int64)


def _join(dataset: FaceDataset, protocol: Protocol) -> NDArray[np.str_]:
    """Return the official splits, with those of `validation_from` joined."""
    missing = [name for name in protocol.validation_from if name not in dataset.split_names]
    if missing:
        raise DataError(
            f"The protocol validates on {' and '.join(protocol.validation_from)}, but the data set '{dataset.name}' "
            f"here has no {missing[0]} images. Splits with images: {', '.join(dataset.split_names) or 'none'}."
        )
    splits = dataset.splits.astype("<U10")
    if protocol.validation_from:
        splits[np.isin(splits, protocol.validation_from)] = "validation"
    return splits


def _draw(dataset: FaceDataset, protocol: Protocol) -> NDArray[np.str_]:
    """Return the splits (n,) of a protocol that pools all images."""
    if protocol.name in FOLDED:
        return _draw_fold(dataset, protocol)
    sizes = _sizes(len(dataset), protocol)
    # "random" ignores labels
    labels = dataset.labels if protocol.name == "ratio" else np.zeros_like(dataset.labels)
    groups = _groups(dataset, protocol.keep_together)
    if groups is None:
        parts = apportion(labels, sizes, protocol.seed)
    else:
        left = len(dataset) - sum(sizes)
        parts = assign_groups(groups, labels, [*sizes, *([left] if left else [])], protocol.seed)
    names = ("train", "validation", "test") if len(sizes) == 3 else ("train", protocol.held_out)
    splits = np.array([*names, LEFT_OUT], dtype="<U10")[parts]
    if "validation" not in names:
        train = np.flatnonzero(splits == "train")
        labels = dataset.labels[train]
        if groups is None:
            aside = stratified_mask(labels, VALIDATION_SHARE, protocol.seed)
        else:
            aside = subject_mask(groups[train], labels, VALIDATION_SHARE, protocol.seed)
        splits[train[aside]] = "validation"
    return splits


def _draw_fold(dataset: FaceDataset, protocol: Protocol) -> NDArray[np.str_]:
    folds = protocol.folds
    groups = _groups(dataset, SUBJECT if protocol.name == "subject-k-fold" else protocol.keep_together)
    kind, present = ("images", len(dataset)) if groups is None else ("groups", len(np.unique(groups)))
    if folds > present:
        kind = "subjects" if groups is not None and protocol.keep_together != "sequence" else kind
        raise DataError(f"{folds} folds need as many {kind}; the data set has {present}. Lower data.folds.")
    if groups is None:
        number = apportion(dataset.labels, [(len(dataset) + k) // folds for k in range(folds)], protocol.seed)
    else:
        number = assign_groups(groups, dataset.labels, [1] * folds, protocol.seed)
    splits = np.full(len(dataset), "train", dtype="<U10")
    if protocol.held_out == "test":
        splits[number == (protocol.fold + 1) % folds] = "validation"
    splits[number == protocol.fold] = protocol.held_out
    return splits


def _groups(dataset: FaceDataset, column: str) -> NDArray[np.str_] | None:
    """Return the column (n,) whose images stay together; None for "", where each image is for itself."""
    if not column:
        return None
    if column not in dataset.metadata:
        raise DataError(
            f"Data set '{dataset.name}' does not say which {column} its images belong to (no column '{column}'); use a "
            "protocol that divides images, in which the same person may be trained on and scored."
        )
    values = dataset.metadata[column]
    unknown = int((values == "").sum())
    if unknown:
        raise DataError(
            f"Data set '{dataset.name}' does not say the {column} of {unknown} of its {len(dataset)} images."
        )
    return values


def _sizes(n: int, protocol: Protocol) -> list[int]:
    """Return the numbers of images of each part, by `counts` or by the largest remainders of `shares`."""
    if protocol.counts:
        if sum(protocol.counts) > n:
            raise DataError(
                f"The protocol asks for {' + '.join(map(str, protocol.counts))} = {sum(protocol.counts)} images; "
                f"the data set has {n}."
            )
        return list(protocol.counts)
    exact = n * np.array(protocol.shares) / sum(protocol.shares)
    sizes = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]] += 1
    if not sizes.all():
        raise DataError(f"Shares {list(protocol.shares)} of {n} images leave a part empty.")
    return [int(size) for size in sizes]


def _check_labels(dataset: FaceDataset, splits: NDArray[np.str_], protocol: Protocol) -> None:
    """Reject splits without a label of the data: the training split always, the others if stratified by label."""
    stratified = protocol.name in ("ratio", "k-fold")
    needed = [name for name in SPLITS if (splits == name).any()] if stratified else ["train"]
    for label in np.unique(dataset.labels).tolist():
        for name in needed:
            if not ((splits == name) & (dataset.labels == label)).any():
                images = int((dataset.labels == label).sum())
                raise DataError(
                    f"Label '{dataset.label_set.names[label]}' has {images} images, none of which is in {name} under "
                    f"the protocol '{protocol.name}'; choose fewer folds, larger shares or another data.split_seed."
                )
