"""Experiments: a recipe and its ablations over seeds, folds and protocols, as jobs of a queue, and their summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

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

# The protocols of the runs for each value of the option; "" is the recipe's own protocol.
PROTOCOLS = {"recipe": ("",), "paper": ("paper",), "clean": ("clean",), "both": ("paper", "clean")}
# The ablation table that holds the protocol of a recipe's paper, if the recipe's own differs.
PAPER_PROTOCOL = "paper_protocol"
PAPER_DIVISIONS = "paper_"
FEATURES_BATCH = 64


@dataclass(frozen=True)
class Variant:
    """One row of the summary: an ablation under a protocol, over seeds and folds.

    `ablation` and `protocol` are "" for the recipe's own; `names` are those of its runs.
    """

    ablation: str
    protocol: str
    names: tuple[str, ...]


def ablations_of(recipe: str) -> tuple[str, ...]:
    """Return the names of a recipe's ablations, without those that divide the data as its paper does.

    Their names begin with `paper_`; they change nothing else, and can still be named one by one.

    Raises:
        RecipeError: No such recipe.
    """
    return tuple(name for name in load_ablations(recipe) if not name.startswith(PAPER_DIVISIONS))


def plan_jobs(  # noqa: PLR0913 - what an experiment varies
    recipe: str,
    ablations: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    *,
    protocol: str = "recipe",
    use_all_folds: bool = False,
    overrides: Sequence[str] = (),
) -> tuple[list[Job], list[Variant]]:
    """Return the runs of an experiment, seed by seed, and the variants that they belong to.

    Every recipe is read once, so that a mistake ends the experiment before it starts.

    Args:
        recipe: By name, or a path to a .toml file.
        ablations: Names of its `[ablation.<name>]` tables; the recipe itself is always run.
        seeds: Values of `training.seed`.
        protocol: "recipe" is the recipe's own; "paper" its table `paper_protocol` if it has one; "clean" its own with
            `data.use_clean`; "both" paper and clean side by side.
        use_all_folds: Run every fold, not only `data.fold`, if the protocol has folds.
        overrides: `key.subkey=value` texts, applied last.

    Raises:
        RecipeError: An unknown recipe, ablation, protocol or key, values that do not fit, folds of a protocol without
            folds, or the paper's protocol of a recipe without a paper.
    """
    if protocol not in PROTOCOLS:
        raise RecipeError(f"No protocol '{protocol}'; choose {', '.join(PROTOCOLS)}.")
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise RecipeError(f"Seeds {', '.join(map(str, seeds)) or '(none)'}: give different numbers from 0.")
    if protocol in {"paper", "both"} and not load_recipe(recipe, overrides).paper:
        raise RecipeError(f"Recipe {recipe} follows no paper; choose --protocol clean or recipe.")
    tables = {name: flatten(table) for name, table in load_ablations(recipe).items()}
    paper = [f"{key}={json.dumps(value)}" for key, value in tables.get(PAPER_PROTOCOL, {}).items()]
    changes = {"": [], "paper": paper, "clean": ["data.use_clean=true"]}
    entries: list[QueueEntry] = []
    variants: list[Variant] = []
    for ablation in dict.fromkeys([None, *ablations]):
        for name in PROTOCOLS[protocol]:
            has_own_protocol = name == "paper" and "data.protocol" in tables.get(ablation or "", {})
            settings = [*([] if has_own_protocol else changes[name]), *overrides]
            added = _make_entries(recipe, ablation, name, settings, use_all_folds=use_all_folds)
            entries += added
            variants.append(Variant(ablation or "", name, tuple(entry.name for entry in added)))
    recipes = [Job(entry, seeds[0]).load_recipe() for entry in entries]
    if use_all_folds and not any(each.data.protocol in FOLDED for each in recipes):
        raise RecipeError(
            f"Recipe {recipe} has the protocol '{recipes[0].data.protocol}', which has no folds; leave --folds out or "
            "add --set data.protocol=k-fold."
        )
    return [Job(entry, seed) for seed in seeds for entry in entries], variants


def _make_entries(
    source: str, ablation: str | None, protocol: str, overrides: list[str], *, use_all_folds: bool
) -> list[QueueEntry]:
    """Return the entries of a variant: one, or one per fold."""
    recipe = load_recipe(source, overrides, ablation)
    name = "-".join(part for part in (recipe.name, ablation, protocol) if part)
    if not (use_all_folds and recipe.data.protocol in FOLDED):
        return [make_entry(name, source, ablation, overrides)]
    return [
        make_entry(f"{name}-fold{fold}", source, ablation, [*overrides, f"data.fold={fold}"])
        for fold in range(recipe.data.folds)
    ]


def summarize(variant: Variant, seeds: Sequence[int], ledger: Mapping[tuple[str, int], LedgerRow]) -> dict[str, Any]:
    """Return the scores of a variant over its finished runs, JSON-ready, as shares of 1.

    Deviations are those of a sample (n - 1), None below two runs; means are None without any. `split` is the scored
    one. `ledger` has the runs by name and seed.
    """
    keys = [(name, seed) for name in variant.names for seed in seeds]
    scores = [ledger[key].scores for key in keys if key in ledger and ledger[key].state == "finished"]
    summary: dict[str, Any] = {
        "ablation": variant.ablation,
        "protocol": variant.protocol,
        "finished": len(scores),
        "planned": len(keys),
        "split": " and ".join(dict.fromkeys(score["split"] for score in scores)),
    }
    for key in ("accuracy", "mean_class_accuracy"):
        values = [score[key] for score in scores]
        summary[key] = mean(values) if values else None
        summary[f"{key}_deviation"] = stdev(values) if len(values) > 1 else None
    rest = [score["without_duplicates"]["accuracy"] for score in scores]
    summary["without_duplicates_accuracy"] = mean(rest) if rest and None not in rest else None
    return summary


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
