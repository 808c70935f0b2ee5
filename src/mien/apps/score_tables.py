"""The tables that `mien evaluate`, `score`, `compare` and `robustness` print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.core.text import number, points

if TYPE_CHECKING:
    from rich.text import Text

    Cells = Sequence[str | Text]

MAIN_SCORES = (("accuracy", "accuracy"), ("mean_class_accuracy", "mean class accuracy"), ("macro_f1", "macro F1"))
OTHER_SHARES = (("weighted_f1", "weighted F1"), ("top2", "top-2 accuracy"), ("top5", "top-5 accuracy"))
CALIBRATION = (("nll", "NLL (nats)"), ("ece", "ECE"), ("brier", "Brier score"))
INTERVALS = "Brackets: 95 % bootstrap intervals."


def print_table(
    title: str, headings: Sequence[str], rows: Iterable[Cells], *, total: Cells = (), caption: str = ""
) -> None:
    """Print a table; the first column is aligned left, the others right. Strings are never read as rich's markup.

    `total` is a last row in bold type; the caption is below the table.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), caption=escape(caption) or None)
    for i, heading in enumerate(headings):
        table.add_column(escape(heading), justify="right" if i else "left", overflow="fold")
    for row in (*rows, *([total] if total else [])):
        cells = [escape(cell) if isinstance(cell, str) else cell for cell in row]
        table.add_row(*cells, style="bold" if row is total else None)
    Console().print(table)


def print_line(text: str) -> None:
    """Print a line of text below a table."""
    from rich.console import Console

    Console().print(text, markup=False)


def show_members(members: Sequence[Mapping[str, Any]] = ()) -> None:
    """Print the accuracy of each member of an ensemble; nothing without members."""
    if members:
        rows = [(member["model"], points(member["accuracy"], unit=" %")) for member in members]
        print_table("Members, each alone", ("", "accuracy"), rows)


def show_scores(scores: dict[str, Any]) -> None:
    """Print what `mien.evaluation.scores.score` returns: scores, scores per class, confusion matrices."""
    rest = scores["without_duplicates"]
    rule = f"; weights: {scores['selection']}" if scores["selection"] else ""
    views = "" if scores["views"] == "one" else f"; {scores['views']}"
    rows: list[Cells] = [("images", str(scores["n"]), str(rest["n"]))]
    for key, name in (*MAIN_SCORES, *OTHER_SHARES):
        rows.append(
            (name, *(points(s[key], bounds=(s["intervals"] or {}).get(key), unit=" %") for s in (scores, rest)))
        )
    for key, name in CALIBRATION:
        rows.append((name, *(number(s[key], bounds=(s["intervals"] or {}).get(key)) for s in (scores, rest))))
    print_table(
        f"{scores['model']} on {_where(scores)}{views}{rule}",
        ("", "all images", "without duplicates"),
        rows,
        caption=f"{INTERVALS} Duplicate: pixel-identical to an image of the training split.",
    )
    print_line(_scored_labels(scores))
    if plain := scores.get("plain_argmax"):
        shares = ", ".join(f"{name} {points(plain[key], unit=' %')}" for key, name in MAIN_SCORES if key in plain)
        print_line(f"With the images that the rule leaves out, by plain argmax of the votes: n {plain['n']}, {shares}")
    recalls = {name: row["recall"] for name, row in (rest["per_class"] or {}).items()}
    print_table(
        "Per class, in %",
        ("", "images", "recall", "precision", "F1", "recall without duplicates"),
        (
            (name, str(row["n"]), *(points(row[key], digits=1) for key in ("recall", "precision", "f1")),
             points(recalls.get(name), digits=1))
            for name, row in scores["per_class"].items()
        ),
    )  # fmt: skip
    _show_confusion(scores, "Confusion, all images: rows are the annotation")
    if rest["n"] not in (0, scores["n"]):
        _show_confusion(rest, "Confusion, images without a duplicate")


def _where(scores: Mapping[str, Any]) -> str:
    """Return the data set and the split in words."""
    from mien.evaluation.predictions import title_of

    return f"{title_of(scores['dataset'], scores['folder'])}, {scores['split']}"


def _scored_labels(scores: dict[str, Any]) -> str:
    """Say over which labels the scores are, and which of them have no images."""
    if scores["left_out"]:
        left_out = ", ".join(scores["left_out"])
        return f"Labels: only those of the data; the model's labels {left_out} are left out, which flatters it."
    empty = [name for name, row in scores["per_class"].items() if not row["n"]]
    lacking = f"; the data have no images of {', '.join(empty)}" if empty else ""
    return f"Labels: all {len(scores['labels'])} of the model{lacking}."


def _show_confusion(scores: dict[str, Any], title: str) -> None:
    from rich.text import Text

    names = scores["labels"]
    rows = (
        (name, *(Text(str(count), style="bold" if i == j else "") for j, count in enumerate(counts)))
        for i, (name, counts) in enumerate(zip(names, scores["confusion"], strict=True))
    )
    print_table(title, ("", *names), rows)


def show_slices(slices: dict[str, Any]) -> None:
    """Print what `mien.evaluation.slices.score_slices` returns."""
    smallest, gap = slices["smallest"], slices["gap"]
    rows = (
        (value, f"{row['n']}{' *' if row['is_small'] else ''}",
         points(row["accuracy"], 1, row["intervals"].get("accuracy")), points(row["expected"], digits=1),
         "-" if row["p_corrected"] is None else f"{row['p_corrected']:.3f}",
         *(points(row[key], digits=1) for key, _ in MAIN_SCORES[1:]))
        for value, row in slices["groups"].items()
    )  # fmt: skip
    print_table(
        f"By {slices['column']}, in %",
        (slices["column"], "images", "accuracy", "expected", "p", *(name for _, name in MAIN_SCORES[1:])),
        rows,
        caption=f"{INTERVALS} Expected: what the group's labels let expect. p: that some group deviates as much by "
        f"chance. *: fewer than {smallest} images, not tested.",
    )
    if gap is None:
        print_line(f"Largest gap: none; fewer than two groups have {smallest} images.")
        return
    print_line(
        f"Largest gap in accuracy: {points(gap['accuracy'], bounds=gap['interval'])} points, {gap['highest']} over"
        f" {gap['lowest']}; as large by chance with p = {gap['p_value']:.3f}"
    )


def show_calibrated(calibrated: dict[str, Any]) -> None:
    """Print what `mien.evaluation.scores.score_calibrated` returns."""
    print_table(
        f"Temperature {calibrated['temperature']:.4f}, scored on {calibrated['n']} images",
        ("", "before", "after"),
        ((name, *(number(calibrated[side][key]) for side in ("before", "after"))) for key, name in CALIBRATION),
        caption=f"Fitted on {calibrated['n_fitted']} others: {calibrated['fitted_on']}.",
    )


def show_agreement(agreement: dict[str, Any]) -> None:
    """Print what `mien.evaluation.agreement.measure_agreement` returns."""
    print_table(
        f"Agreement with the majority of FER+'s annotators, {agreement['n']} images, in %",
        ("majority", "images", "model", "FER2013's label"),
        (
            (name, str(row["n"]), points(row["model"], digits=1), points(row["label"], digits=1))
            for name, row in agreement["per_class"].items()
        ),
        total=("all", str(agreement["n"]), points(agreement["model"]), points(agreement["label"])),
        caption=f"Left out: {agreement['n_left_out']} images without a majority for one of these expressions.",
    )
    print_line(
        f"The model contradicts the label on {agreement['mistakes']} images; on {agreement['mistakes_backed']} of them"
        " the majority agrees with the model."
    )


def show_comparison(compared: dict[str, Any]) -> None:
    """Print what `mien.evaluation.comparison.compare` returns."""
    _show_compared(compared, "all images")
    rest = compared["without_duplicates"]
    if rest["n"] not in (0, compared["n"]):
        _show_compared({**compared, **rest}, "without duplicates")


def _show_compared(compared: dict[str, Any], which: str) -> None:
    first, second, test = compared["first"], compared["second"], compared["mcnemar"]
    names = [s["model"] if s["views"] == "one" else f"{s['model']}, {s['views']}" for s in (first, second)]
    rows: list[Cells] = [
        (name, points(first[key]), points(second[key]),
         points(compared["difference"][key], bounds=compared["intervals"].get(key)))
        for key, name in MAIN_SCORES
    ]  # fmt: skip
    for name, row in compared["per_class"].items():
        gap = None if row["first"] is None else row["second"] - row["first"]
        rows.append((f"{name}, {row['n']}", *(points(x, digits=1) for x in (row["first"], row["second"], gap))))
    print_table(
        f"{_where(compared)}, {which}: {compared['n']}",
        ("in %; classes: recall", *names, "difference"),
        rows,
        caption="Difference: second minus first. Brackets: 95 % paired bootstrap intervals.",
    )
    print_line(
        f"Correct: both {compared['both_right']}, only the first {test['only_first']}, only the second"
        f" {test['only_second']}, neither {compared['both_wrong']}. McNemar: p = {test['p_exact']:.4g} (exact),"
        f" {test['p_mid']:.4g} (mid-p)"
    )


def show_robustness(measured: dict[str, Any]) -> None:
    """Print the accuracy kept under each corruption and severity."""
    clean = points(measured["clean"]["accuracy"], unit=" %")
    print_table(
        f"{measured['model']} on {_where(measured)}: clean {clean} of {measured['n']} faces",
        ("corruption", *map(str, range(1, 6)), "mean"),
        (
            (name, *(points(kept, digits=1) for kept in (*(point["kept"] for point in curve["points"]), curve["kept"])))
            for name, curve in measured["corruptions"].items()
        ),
        total=("mean", *[""] * 5, points(measured["kept"], digits=1)),
        caption="Accuracy kept, in % of the clean accuracy; severity 1 (mild) to 5.",
    )
