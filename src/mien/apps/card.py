"""`mien card`: show or renew the card inside a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.text import percent

if TYPE_CHECKING:
    from mien.core.card import ModelCard


def card(
    models: Annotated[list[str], typer.Argument(metavar="NAME|FILE", help="Shipped models or .onnx files.")],
    renew: Annotated[bool, typer.Option("--renew", help="Rewrite the cards in the present format.")] = False,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="With --renew: use the crop of this recipe.")
    ] = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per model.")] = False,
) -> None:
    """Show or renew the card inside a model file.

    The card says what the model takes and returns, how it was calibrated and how well it did. Renewing leaves the
    weights unchanged.
    """
    from mien.core.errors import MienError
    from mien.inference.model import OnnxModel

    if recipe is not None and not renew:
        raise MienError(f"--recipe {recipe} is given; expected --renew with it.")
    load_plugin_files(plugin)
    for name in models:
        OnnxModel.load(name)  # names what is wrong before anything is written
    if renew:
        _renew(models, recipe)
    for name in models:
        shown = OnnxModel.load(name).card
        typer.echo(shown.to_json() if as_json else _describe(shown))


def _renew(models: list[str], recipe: str | None) -> None:
    from mien.export.model_file import renew_card
    from mien.inference.model_files import find_model
    from mien.recipes import load_recipe

    crop = None if recipe is None else load_recipe(recipe).crop.make_spec()
    for name in models:
        path = Path(str(find_model(name)[0]))
        typer.echo(f"{path}: {'renewed' if renew_card(path, crop) else 'unchanged'}", err=True)


def _describe(card: ModelCard) -> str:
    colour = "RGB" if card.input.channels == 3 else "grey"
    rejects, unsure = card.reject_threshold, card.unsure_threshold
    return "\n".join(
        (
            card.name,
            f"  network      {card.network}, {card.precision}",
            f"  recipe       {card.recipe.get('name', 'unknown')}",
            f"  labels       {', '.join(card.labels.names)}",
            f"  input        {card.input.size} x {card.input.size} {'grey RGB' if card.input.is_grey else colour}, "
            f"mean {card.input.mean:.4g}, std {card.input.std:.4g}",
            f"  crop         scale {card.crop.scale:g}, shift {card.crop.shift_x:g} right, {card.crop.shift_y:g} down",
            f"  temperature  {card.temperature:g}",
            f"  non-face     {'cannot reject' if rejects is None else f'above {rejects:g}'}",
            f"  unsure       {'not chosen' if unsure is None else f'below {unsure:g}'}",
            f"  scores       {_describe_scores(card)}",
        )
    )


def _describe_scores(card: ModelCard) -> str:
    scores = card.scores
    if "accuracy" not in scores:
        return "not measured"
    lost = card.conversion.get("accuracy_loss", scores.get("weights", {}).get("accuracy_loss"))
    text = (
        f"accuracy {percent(scores['accuracy'], 2)}, mean class accuracy {percent(scores['mean_class_accuracy'], 2)} "
        f"of {scores['n']} {scores['dataset']} {scores['split']} faces"
    )
    return text if lost is None else f"{text}; {100 * abs(lost):.2f} points {'above' if lost < 0 else 'below'} 32 bits"
