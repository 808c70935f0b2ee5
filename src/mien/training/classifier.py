"""Fitting the classifier of a network that starts from trained weights, and keeping it if training does not help."""

from __future__ import annotations

from math import comb
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.core.card import InputSpec
from mien.core.errors import RecipeError
from mien.core.image import normalize
from mien.models.network import Network
from mien.recipes import Recipe
from mien.recipes.record import CHECKPOINTS, START
from mien.training.augment import make_not_faces
from mien.training.checkpoints import WholeFiles
from mien.training.faces import Faces
from mien.training.run import PREFIX, Run, create_network, load_checkpoint

# More images take longer and change little; they are drawn at random.
MOST_FACES = 4096
FACES_PER_BATCH = 256
# At least this many non-faces, if the network learns to reject them.
FEWEST_NON_FACES = 32
# Weight of |W - start|^2 in a sum of one cross-entropy for each face, where features have a mean square of 1.
PENALTY = 1.0
MOST_ITERATIONS = 200
# Of the sign test by which training must be better than its start.
LEVEL = 0.05


def fit_classifier(network: Network, faces: Faces, spec: InputSpec, recipe: Recipe) -> None:
    """Fit the classifier of `network` to the features of training faces; all other layers stay as they are.

    A logistic regression of the targets on the features of each face and of its mirror image, with class weights of
    `data.class_balance`. A penalty keeps it near the present classifier, so few faces change little. Its minimum is
    unique, and found in seconds. The random numbers of the training stay what they are.

    Raises:
        RecipeError: The network's classifier is not one linear layer.
    """
    classifier = network.get_submodule(network.classifier_name)
    if not isinstance(classifier, nn.Linear):
        raise RecipeError(
            f"The classifier of {recipe.network.name} is not one linear layer; set fit_classifier to false."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        features, targets, weights = _examples(network.eval(), faces, spec, recipe)
    weight, bias = _solve(features, targets, weights, classifier)
    with torch.no_grad():
        classifier.weight.copy_(weight)
        classifier.bias.copy_(bias)
    network.train()


@torch.no_grad()
def _examples(network: Network, faces: Faces, spec: InputSpec, recipe: Recipe) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (m, D), targets (m, K), and weights (m,) that sum to the number of faces and non-faces."""
    rows = torch.randperm(len(faces))[:MOST_FACES].sort().values
    images, targets = faces.images[rows].float() / 255, faces.targets[rows]
    weights = _balanced(targets.argmax(1), recipe.data.class_balance)
    if share := recipe.data.not_a_face_share:
        non_faces = max(round(share * len(images)), FEWEST_NON_FACES)
        images = torch.cat([images, make_not_faces(images, non_faces)])
        row = F.one_hot(torch.tensor(targets.shape[1] - 1), targets.shape[1]).float()
        targets = torch.cat([targets, row.expand(non_faces, -1)])
        weights = torch.cat([weights, torch.full((non_faces,), share * len(rows) / non_faces)])
    if recipe.augmentation.flip:
        images, targets, weights = torch.cat([images, images.flip(-1)]), targets.repeat(2, 1), weights.repeat(2) / 2
    batches = torch.split(images, FACES_PER_BATCH)
    return torch.cat([network.features(normalize(batch * 255, spec)) for batch in batches]), targets, weights


def _balanced(classes: Tensor, class_balance: float) -> Tensor:
    """Return weights (m,) of mean 1, in proportion to m^(-class_balance) for a class of m."""
    weights = classes.bincount().float().pow(-class_balance)[classes]
    return weights / weights.mean()


def _solve(features: Tensor, targets: Tensor, weights: Tensor, start: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return the weight (K, D) and the bias (K,) of the penalized logistic regression."""
    scale = features.double().square().sum(1).mean().sqrt().clamp_min(1e-12)
    inputs, wanted = features.double() / scale, targets.double()
    first = start.weight.detach().double() * scale
    weight, bias = first.clone().requires_grad_(), start.bias.detach().double().requires_grad_()
    solver = torch.optim.LBFGS([weight, bias], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        each = F.cross_entropy(inputs @ weight.T + bias, wanted, reduction="none")
        total = ((each * weights).sum() + PENALTY * (weight - first).square().sum()) / weights.sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach() / scale, bias.detach()


def save_start(network: Network, folder: Path) -> None:
    """Write the weights of a run before its first step into its folder."""
    state = {PREFIX + name: value for name, value in network.state_dict().items()}
    WholeFiles().save_checkpoint({"state_dict": state, "epoch": START}, _start(folder))


def is_start_kept(run: Run, validation: Faces) -> bool:
    """Return whether the selected epoch of a run is not clearly better than its start on the validation faces.

    Few faces cannot tell which of two networks is better, and a training on few faces often is worse. So the faces that
    only one of both gets right must speak for the epoch: a one-sided sign test at 5 %.
    """
    start = create_network(run.recipe, len(run.record.labels))
    state = load_checkpoint(_start(run.folder))["state_dict"]
    start.load_state_dict({name.removeprefix(PREFIX): value for name, value in state.items()})
    before, after = (_correct(network.eval(), validation, run) for network in (start, run.network))
    better, worse = int((after & ~before).sum()), int((before & ~after).sum())
    n = better + worse
    return bool(sum(comb(n, k) for k in range(better, n + 1)) >= LEVEL * 2**n)


def _start(folder: Path) -> Path:
    return folder / CHECKPOINTS / "start.ckpt"


@torch.no_grad()
def _correct(network: Network, faces: Faces, run: Run) -> Tensor:
    """Return (n,) whether each face's label is the most probable one, non-faces aside."""
    labels, found = len(run.record.labels), []
    for rows in torch.split(torch.arange(len(faces)), FACES_PER_BATCH):
        logits = network(normalize(faces.images[rows].float(), run.input))[:, :labels]
        found.append(logits.argmax(1) == faces.targets[rows, :labels].argmax(1))
    return torch.cat(found)
