"""The tables that `mien score` prints when asked for more: groups, calibration, agreement with FER+."""

from __future__ import annotations

from typing import Any

NONE = "-"


def show(more: dict[str, Any]) -> None:
    """Print what there is of `slices`, `calibrated` and `agreement`; see `mien.evaluation` for their content."""
    if "slices" in more:
        _show_slices(more["slices"])
    if "calibrated" in more:
        _show_calibrated(more["calibrated"])
    if "agreement" in more:
        _show_agreement(more["agreement"])


def percent(value: float | None, bounds: list[float] | None = None, digits: int = 2) -> str:
    """Return a share in percent, with its interval in brackets where there is one; "-" for None."""
    if value is None:
        return NONE
    text = f"{100 * value:.{digits}f}"
    # the backslash keeps rich from reading the bracket as markup
    return text + (f"  \\[{', '.join(f'{100 * bound:.{digits}f}' for bound in bounds)}]" if bounds else "")


def _show_slices(slices: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    smallest = slices["smallest"]
    table = Table(
        escape(slices["column"]),
        title=escape(f"By {slices['column']}, in %"),
        caption=f"Brackets: 95 % bootstrap intervals. *: fewer than {smallest} images, no part of the gap.",
    )
    for heading in ("images", "accuracy", "mean class accuracy", "macro F1"):
        table.add_column(heading, justify="right")
    for value, row in slices["groups"].items():
        scores = (
            percent(row[key], row["intervals"].get(key), 1) for key in ("accuracy", "mean_class_accuracy", "macro_f1")
        )
        table.add_row(escape(value), f"{row['n']}{' *' if row['is_small'] else ''}", *scores)
    console = Console()
    console.print(table)
    gap = slices["gap"]
    if gap is None:
        console.print(f"Largest gap: none; fewer than two groups have {smallest} images.")
        return
    console.print(
        f"Largest gap in accuracy: {percent(gap['accuracy'], gap['interval'])} points, {escape(gap['highest'])} over"
        f" {escape(gap['lowest'])}; by chance as large with p = {gap['p_value']:.3f}"
    )


def _show_calibrated(calibrated: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "",
        title=f"Temperature {calibrated['temperature']:.4f}, scored on {calibrated['n']} images",
        caption=escape(f"Fitted on {calibrated['n_fitted']} others: {calibrated['fitted_on']}."),
    )
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for key, heading in (("nll", "NLL (nats)"), ("ece", "ECE"), ("brier", "Brier score")):
        table.add_row(heading, *(f"{calibrated[side][key]:.4f}" for side in ("before", "after")))
    Console().print(table)


def _show_agreement(agreement: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "majority",
        title=f"Agreement with the majority of FER+'s taggers, {agreement['n']} images, in %",
        caption=f"{agreement['n_left_out']} images without a majority for one of these expressions are left out.",
    )
    for heading in ("images", "model", "FER2013's label"):
        table.add_column(heading, justify="right")
    for name, row in agreement["per_class"].items():
        table.add_row(name, str(row["n"]), percent(row["model"], digits=1), percent(row["label"], digits=1))
    table.add_row("all", str(agreement["n"]), percent(agreement["model"]), percent(agreement["label"]), style="bold")
    console = Console()
    console.print(table)
    console.print(
        f"Of {agreement['mistakes']} images on which the model contradicts the label, the majority is with the model on"
        f" {agreement['mistakes_backed']}."
    )
