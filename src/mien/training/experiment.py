"""Experiments: a recipe and its ablations over seeds, folds and protocols, as jobs of a queue, and their summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from mien.core.dotted import flatten
from mien.core.errors import RecipeError
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.data.protocols import FOLDED
from mien.recipes import load_ablations, load_recipe
from mien.recipes.queue import Job, QueueEntry, make_entry
from mien.training.ledger import LedgerRow
from mien.training.run import Run

ProtocolChoice = Literal["recipe", "paper", "clean", "both"]
# The ablation table that holds the protocol of a recipe's paper, if the recipe's own differs.
PAPER_PROTOCOL = "paper_protocol"
CLEAN = ("data.use_clean=true",)
FEATURES_BATCH = 64


@dataclass(frozen=True)
class Plan:
    """What an experiment runs.

    Attributes:
        recipe: By name, or a path to a .toml file.
        ablations: Names of its `[ablation.<name>]` tables; the recipe itself is always run.
        seeds: Values of `training.seed`.
        use_all_folds: Run every fold, not only `data.fold`, if the protocol has folds.
        protocol: "recipe" is the recipe's own; "paper" its table `paper_protocol` if it has one; "clean" its own with
            `data.use_clean`; "both" paper and clean side by side.
        overrides: `key.subkey=value` texts, applied last.
    """

    recipe: str
    ablations: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    use_all_folds: bool = False
    protocol: ProtocolChoice = "recipe"
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.protocol not in get_args(ProtocolChoice):
            raise RecipeError(f"No protocol '{self.protocol}'; choose {', '.join(get_args(ProtocolChoice))}.")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise RecipeError(f"Seeds {', '.join(map(str, self.seeds)) or '(none)'}: give different numbers from 0.")


@dataclass(frozen=True)
class Variant:
    """One row of the summary: an ablation under a protocol, over seeds and folds.

    `ablation` and `protocol` are "" for the recipe's own; `names` are those of its runs.
    """

    ablation: str
    protocol: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Scores of a variant over its finished runs, as shares of 1.

    Deviations are those of a sample (n - 1), None below two runs; means are None without any. `split` is the scored
    one.
    """

    ablation: str
    protocol: str
    finished: int
    planned: int
    split: str
    accuracy: float | None
    accuracy_deviation: float | None
    mean_class_accuracy: float | None
    mean_class_accuracy_deviation: float | None
    without_duplicates_accuracy: float | None


def ablations_of(recipe: str) -> tuple[str, ...]:
    """Return the names of a recipe's ablations, without its paper's protocol, which does not change the network.

    Raises:
        RecipeError: No such recipe.
    """
    return tuple(name for name in load_ablations(recipe) if name != PAPER_PROTOCOL)


def plan_jobs(plan: Plan) -> tuple[list[Job], list[Variant]]:
    """Return the runs of an experiment, seed by seed, and the variants that they belong to.

    Every recipe is read once, so that a mistake ends the experiment before it starts.

    Raises:
        RecipeError: An unknown recipe, ablation or key, values that do not fit, folds of a protocol without folds, or
            the paper's protocol of a recipe without a paper.
    """
    known = load_ablations(plan.recipe)
    if plan.protocol in ("paper", "both") and not load_recipe(plan.recipe, plan.overrides).paper:
        raise RecipeError(f"Recipe {plan.recipe} follows no paper; choose --protocol clean or recipe.")
    entries: list[QueueEntry] = []
    variants: list[Variant] = []
    for ablation in dict.fromkeys([None, *plan.ablations]):
        has_own_protocol = "data.protocol" in flatten(known.get(ablation or "", {}))
        for protocol, changes in _protocol_changes(plan.protocol, known).items():
            kept = () if protocol == "paper" and has_own_protocol else changes
            added = _entries(plan, ablation, protocol, [*kept, *plan.overrides])
            entries += added
            variants.append(Variant(ablation or "", protocol, tuple(entry.name for entry in added)))
    recipes = [Job(entry, plan.seeds[0]).load_recipe() for entry in entries]
    if plan.use_all_folds and not any(recipe.data.protocol in FOLDED for recipe in recipes):
        raise RecipeError(
            f"Recipe {plan.recipe} has the protocol '{recipes[0].data.protocol}', which has no folds; leave --folds "
            "out or add --set data.protocol=k-fold."
        )
    return [Job(entry, seed) for seed in plan.seeds for entry in entries], variants


def _protocol_changes(choice: ProtocolChoice, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the overrides that make each protocol, by the name it has in runs ("" for the recipe's own)."""
    if choice == "recipe":
        return {"": ()}
    paper = flatten(tables.get(PAPER_PROTOCOL, {}))
    changes = {"paper": tuple(f"{key}={json.dumps(value)}" for key, value in paper.items()), "clean": CLEAN}
    return changes if choice == "both" else {choice: changes[choice]}


def _entries(plan: Plan, ablation: str | None, protocol: str, overrides: list[str]) -> list[QueueEntry]:
    """Return the entries of a variant: one, or one per fold."""
    recipe = load_recipe(plan.recipe, overrides, ablation)
    name = "-".join(part for part in (recipe.name, ablation, protocol) if part)
    entry = {"name": name, "recipe": plan.recipe, "ablation": ablation, "set": overrides}
    if not (plan.use_all_folds and recipe.data.protocol in FOLDED):
        return [make_entry(entry)]
    return [
        make_entry(entry | {"name": f"{name}-fold{fold}", "set": [*overrides, f"data.fold={fold}"]})
        for fold in range(recipe.data.folds)
    ]


def summarize(
    variants: Iterable[Variant], seeds: Sequence[int], rows: Mapping[tuple[str, int], LedgerRow]
) -> list[Summary]:
    """Return the scores of each variant over its finished runs; `rows` are those of the ledger, by name and seed."""
    return [_summarize(variant, seeds, rows) for variant in variants]


def _summarize(variant: Variant, seeds: Sequence[int], rows: Mapping[tuple[str, int], LedgerRow]) -> Summary:
    keys = [(name, seed) for name in variant.names for seed in seeds]
    scores = [rows[key].scores for key in keys if key in rows and rows[key].state == "finished"]
    without_duplicates = [score["without_duplicates"]["accuracy"] for score in scores]
    return Summary(
        variant.ablation,
        variant.protocol,
        len(scores),
        len(keys),
        " and ".join(dict.fromkeys(score["split"] for score in scores)),
        *_moments([score["accuracy"] for score in scores]),
        *_moments([score["mean_class_accuracy"] for score in scores]),
        None if None in without_duplicates else _moments(without_duplicates)[0],
    )


def _moments(values: Sequence[float]) -> tuple[float | None, float | None]:
    return (mean(values) if values else None, stdev(values) if len(values) > 1 else None)


def sample_rows(labels: NDArray[np.int64], limit: int) -> NDArray[np.intp]:
    """Return at most `limit` of the rows (n,), in order and always the same, with every label in proportion."""
    n = len(labels)
    if n <= limit:
        return np.arange(n)
    shuffled = np.random.default_rng(0).permutation(n)
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return np.sort(by_label[np.linspace(0, n - 1, limit).round().astype(np.intp)])


@torch.inference_mode()
def compute_features(run: Run, faces: FaceDataset) -> NDArray[np.float16]:
    """Return the features before the last layer of a run's network, (n, D), for all faces of a data set."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = run.network.to(device)
    batches = []
    for start in range(0, len(faces), FEATURES_BATCH):
        images = to_batch(list(faces.images[start : start + FEATURES_BATCH]), run.input)
        features = network.outputs(torch.from_numpy(images).to(device)).features
        batches.append(features.float().cpu().numpy())
    network.cpu()
    return np.concatenate(batches).astype(np.float16)
