"""The report as text: escaping, joining with reported figures, figures of one run, and folders with foreign files."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.apps.report import embed_features
from mien.core.errors import DataError, MienError
from mien.core.expressions import FER2013_LABELS
from mien.data.options import LoadOptions
from mien.data.registry import load
from mien.evaluation.predictions import Predictions
from mien.evaluation.report import efficiency, figures
from mien.evaluation.report.groups import NONE, group_runs, mean_and_deviation
from mien.evaluation.report.markup import Markup, element, escape
from mien.evaluation.report.mistakes import FaceSource, confident_mistakes, picture
from mien.evaluation.report.page import Sources, write_report
from mien.evaluation.report.plot import Axis
from mien.evaluation.report.runs import read_runs
from mien.evaluation.scores import score

EVIL = "\"><script>alert('x')</script>"
VOID = {"meta", "link", "img", "br"}
ALLOWED_SOURCES = ("data:", "#")


def make_predictions(accuracy=0.6, n=140, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 7
    said = np.where(random.random(n) < accuracy, labels, (labels + 1) % 7)
    probabilities = np.full((n, 7), 0.02, dtype=np.float32)
    probabilities[np.arange(n), said] = 0.88
    return Predictions(
        probabilities=probabilities, labels=labels, label_set=FER2013_LABELS, model="m", dataset="fer2013",
        split="validation", fingerprint="f", is_duplicate=np.zeros(n, dtype=bool), rows=np.arange(n) + 1000,
    )  # fmt: skip


def make_record(name="spayolo/fer2013", ablation="", seed=0, accuracy=0.6):
    scores = score(make_predictions(accuracy, seed=seed), rounds=0)
    return {
        "name": name,
        "recipe": {
            "name": name, "paper": "spayolo", "ablation": ablation, "data": {"dataset": "fer2013"},
            "network": {"name": "spayolo", "input_size": 224, "channels": 3}, "schedule": {"epochs": 3},
            "training": {"seed": seed},
        },
        "data": {"name": "fer2013"},
        "labels": list(FER2013_LABELS.names),
        "parameters": 5745639,
        "minutes": 1.5,
        "commit": "0123456789abcdef",
        "hardware": {"processor": "a processor", "accelerator": "cpu"},
        "finished": True,
        "selection": {"rule": "best epoch on validation accuracy", "epoch": 2},
        "curves": [{"epoch": e, "train_loss": 2.0 - e / 4, "validation_accuracy": 0.3 + e / 10} for e in range(3)],
        "scores": scores,
    }  # fmt: skip


def put(folder: Path, record, **beside) -> Path:
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    if "predictions" in beside:
        beside["predictions"].save(folder / "predictions.npz")
    return folder


class Outline(HTMLParser):
    """Collects elements and addresses, and checks that every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.addresses, self.ids, self.attributes = [], [], [], [], set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {key for key, _ in attrs}
        self.addresses += [value for key, value in attrs if key in ("src", "href")]
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def build(results, out, **sources):
    lines = []
    path = write_report(results, out, Sources(**sources), lines.append)
    return path.read_text(encoding="utf-8"), lines


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results" / "runs"
    for seed in (0, 1):
        put(folder / f"a-seed{seed}", make_record(seed=seed), predictions=make_predictions(seed=seed))
    return folder.parent


def test_text_is_escaped_and_markup_is_not():
    assert element("p", {"title": EVIL}, EVIL).count("<script") == 0
    assert escape(Markup("<b>")) == "<b>"
    assert element("p", {}, element("b", {}, "a & b")) == "<p><b>a &amp; b</b></p>"
    assert escape("a\x00b\ud800\x9f") == "a\ufffdb\ufffd\ufffd"


def test_page_asks_for_nothing_and_is_well_formed(results, tmp_path):
    page, lines = build(results, tmp_path / "out")
    outline = Outline(page)
    assert lines == []
    assert outline.open == []
    assert outline.addresses
    assert all(address.startswith(ALLOWED_SOURCES) for address in outline.addresses)
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert not {"script", "iframe", "form"} & set(outline.tags)
    assert "style" not in outline.attributes, "the policy forbids inline styles"
    assert "url(" not in page
    assert "@import" not in page


def test_policy_allows_exactly_the_style_of_the_page(results, tmp_path):
    page, _ = build(results, tmp_path / "out")
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src &#x27;sha256-{digest}&#x27;" in page
    assert "default-src &#x27;none&#x27;" in page


def test_summary_has_reported_ours_and_difference(results, tmp_path):
    page, _ = build(results, tmp_path / "out")
    values = [run.accuracy for run in read_runs(results, print)]
    row = re.search("<tbody><tr>.*?</tr>", page)[0]
    assert ">70.74</td>" in row
    assert f">{mean_and_deviation(values)}</td>" in row
    assert "shortened: 3 of 200 epochs" in row
    assert "no difference is taken" in row
    assert "official" in row
    assert "best epoch on validation accuracy" in row
    assert "a processor" in row


def test_rows_without_data_say_so_and_give_no_number(results, tmp_path):
    page, _ = build(results, tmp_path / "out")
    rows = [row for row in re.findall("<tr>.*?</tr>", page) if "not run: licence-gated" in row]
    assert rows
    for row in rows:
        figures_of_row = re.findall('<td class="figure">(.*?)</td>', row)
        assert figures_of_row[1:] == ["\N{EN DASH}"] * 3, "only the reported figure stands there"


def test_hostile_names_stay_text(tmp_path):
    record = make_record(name=EVIL, ablation=EVIL)
    record["hardware"]["processor"] = record["selection"]["rule"] = record["commit"] = EVIL
    record["recipe"]["data"]["dataset"] = record["recipe"]["network"]["name"] = EVIL
    record["scores"]["labels"] = [EVIL, *record["scores"]["labels"][1:]]
    record["scores"]["per_class"][EVIL] = {"recall": 0.5}
    put(tmp_path / "results" / "x", record)
    put(tmp_path / "results" / "y", make_record())
    (tmp_path / "results" / "y" / "robustness.json").write_text(
        json.dumps({"model": EVIL, "corruptions": {EVIL: {"points": [{"severity": 1, "kept": 0.5}]}}})
    )
    page, _ = build(tmp_path / "results", tmp_path / "out")
    outline = Outline(page)
    assert "script" not in outline.tags
    assert not {name for name in outline.attributes if name.startswith("on")}
    assert page.count("&lt;script&gt;") >= 5


def test_foreign_files_are_named_in_one_line_and_left_out(results, tmp_path):
    strange = {
        "no-json": "{", "list": "[]", "empty": "", "deep": "[" * 100_000, "half": '{"name": 3}',
        "parts": json.dumps({**make_record(), "recipe": {"data": {"shares": 5}}}),
    }  # fmt: skip
    for name, text in strange.items():
        (results / name).mkdir()
        (results / name / "record.json").write_text(text)
    (results / "binary").mkdir()
    (results / "binary" / "record.json").write_bytes(b"\xff\xfe\x00")
    (results / "runs" / "a-seed0" / "predictions.npz").write_bytes(b"PK nonsense")
    (results / "runs" / "a-seed0" / "features.npz").write_bytes(b"nonsense")
    (results / "runs" / "a-seed1" / "robustness.json").write_text("nonsense")
    page, lines = build(results, tmp_path / "out")
    assert len(lines) == len(strange) + 4
    assert all("\n" not in line for line in lines)
    for name in (*strange, "binary"):
        assert sum(f"{name}/record.json" in line for line in lines) == 1
    assert "Runs: 2;" in page


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("curves", [None, {"epoch": "x"}, {"epoch": 1, "train_loss": float("nan")}, {"epoch": 10**400}]),
        ("scores", {"accuracy": float("nan"), "confusion": [[1]], "labels": ["a", "b"], "per_class": [1]}),
        ("scores", {"accuracy": 0.5, "confusion": [[1, -2], [3, 4.5]], "labels": ["a", "b"]}),
        ("hardware", "none"),
        ("selection", 5),
        ("parameters", 10**400),
    ],
)
def test_odd_values_cost_a_figure_and_not_the_page(tmp_path, path, value):
    put(tmp_path / "results" / "x", {**make_record(), path: value})
    page, _ = build(tmp_path / "results", tmp_path / "out")
    assert Outline(page).open == []
    assert "nan" not in re.findall(r'points="[^"]*"', page)


def test_empty_and_missing_folders_are_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"No run record \(record.json\) below"):
        build(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="No results folder"):
        build(tmp_path / "missing", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, ["report", str(tmp_path / "empty"), "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, MienError)


def test_page_is_the_same_when_written_again(results, tmp_path):
    assert build(results, tmp_path / "out")[0] == build(results, tmp_path / "again")[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]


def test_runs_group_by_what_is_not_the_seed(tmp_path):
    half = make_record(seed=0)
    half["recipe"]["network"]["input_size"] = 112
    for i, record in enumerate((make_record(seed=0), make_record(seed=1), make_record(ablation="baseline"), half)):
        put(tmp_path / str(i), record)
    groups = group_runs(read_runs(tmp_path, print))
    assert [len(group.runs) for group in groups] == [2, 1, 1]
    both = groups[0]
    assert both.confusion().sum() == 280
    hits = [np.trace(run.record["scores"]["confusion"]) for run in both.runs]
    assert np.trace(both.confusion()) == sum(hits)


def test_runs_are_found_at_any_depth_and_a_copy_counts_once(results, tmp_path):
    put(results / "spayolo-fer2013" / "b" / "a-seed2", make_record(seed=2))
    put(results / "copies" / "a-seed0", make_record(seed=0))
    page, lines = build(results, tmp_path / "out")
    assert "Runs: 3; recipes, ablations and protocols: 1;" in page
    first, second = (results / folder / "a-seed0" / "record.json" for folder in ("copies", "runs"))
    assert lines == [f"left out: {second} is a copy of {first}; remove one of them."]


def test_runs_with_other_settings_are_not_averaged(tmp_path):
    other = make_record(seed=1)
    other["recipe"]["optimizer"] = {"lr": 0.5}
    own = make_record(name="my/own", seed=2)
    own["recipe"]["paper"] = ""
    changed = copy.deepcopy(own)
    changed["recipe"]["loss"] = {"name": "total"}
    for i, record in enumerate((make_record(seed=0), other, own, changed)):
        put(tmp_path / str(i), record)
    assert [len(group.runs) for group in group_runs(read_runs(tmp_path, print))] == [1, 1, 1, 1]


@pytest.mark.parametrize(("size", "ablation"), [(112, ""), (224, "baseline")])
def test_a_footprint_is_of_exactly_the_network_that_was_measured(tmp_path, size, ablation):
    record = make_record(ablation=ablation)
    record["recipe"]["network"]["input_size"] = size
    put(tmp_path / "results" / "x", record)
    model = {"network": "spayolo/fer2013", "input": [1, 3, 224, 224], "mib": 37.5, "ratio": 5.4}
    (tmp_path / "results" / "memory.json").write_text(json.dumps({"models": [model]}))
    page = build(tmp_path / "results", tmp_path / "out")[0]
    rows = [row for row in re.findall("<tr>.*?</tr>", page) if "37.5" in row]
    assert len(rows) == 1
    assert "spayolo/fer2013, no run here" in rows[0]


def test_a_shortened_run_says_so_without_a_reported_figure_too(tmp_path):
    record = make_record(name="despam/fer2013")
    record["recipe"]["paper"] = "despam"
    put(tmp_path / "results" / "x", record)
    row = re.search("<tbody><tr>.*?</tr>", build(tmp_path / "results", tmp_path / "out")[0])[0]
    assert "shortened: 3 of 100 epochs" in row
    points = efficiency.own_points(group_runs(read_runs(tmp_path / "results", print)))
    assert [point.name for point in points] == ["despam/fer2013, shortened"]


def test_mean_and_deviation_are_the_samples():
    assert mean_and_deviation([0.5, 0.6]) == "55.00 \N{PLUS-MINUS SIGN} 7.07"
    assert mean_and_deviation([0.5]) == "50.00"
    assert mean_and_deviation([]) == "\N{EN DASH}"


def test_confident_mistakes_are_wrong_and_in_order():
    predictions = make_predictions()
    probabilities = predictions.probabilities.copy()
    chosen = confident_mistakes(predictions, 5)
    probabilities[chosen[3], (predictions.labels[chosen[3]] + 1) % 7] = 0.8801
    moved = copy.copy(predictions)
    object.__setattr__(moved, "probabilities", probabilities)
    assert confident_mistakes(moved, 5)[0] == chosen[3]
    winners = probabilities[chosen].argmax(axis=1)
    assert (winners != predictions.labels[chosen]).all()


def test_rings_stand_at_confident_mistakes_only(results):
    run = read_runs(results, print)[0]
    wrong = run.predictions.rows[run.predictions.probabilities.argmax(axis=1) != run.predictions.labels]
    assert sorted(figures._confident_mistakes(run)) == sorted(wrong)


def test_faces_are_shown_only_from_the_data_set_that_was_predicted(results, tmp_path):
    dataset = load("synthetic", None, LoadOptions(image_size=48, channels=1))
    rows = np.flatnonzero(dataset.splits == "validation")
    for shift, expected in ((0, True), (-int(rows[0]), True), (-1, False)):
        predictions = Predictions(
            probabilities=np.eye(7, dtype=np.float32)[(dataset.labels[rows] + 1) % 7], labels=dataset.labels[rows],
            label_set=dataset.label_set, model="m", dataset="synthetic", split="validation",
            fingerprint=dataset.subset(rows).fingerprint,
            is_duplicate=np.zeros(len(rows), dtype=bool), rows=rows + shift,
        )  # fmt: skip
        record = make_record()
        record["recipe"]["network"].update(input_size=48, channels=1)
        run = read_runs(put(tmp_path / f"run{shift}", record, predictions=predictions), print)[0]
        lines = []
        faces = FaceSource(None, lines.append).find(run, np.array([2, 0]))
        assert (faces is not None) == expected
        assert bool(lines) != expected
        if expected:
            assert (faces == dataset.images[rows[[2, 0]]]).all()


@pytest.mark.parametrize("shape", [(48, 48), (100, 100, 3), (72, 72, 3)])
def test_picture_is_a_small_png_with_the_colours_of_the_face(shape):
    face = np.full(shape, 40, dtype=np.uint8)
    if len(shape) == 3:
        face[..., 0] = 200
    data = base64.b64decode(picture(face).removeprefix("data:image/png;base64,"))
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert back.shape == (72, 72, 3)
    assert back[0, 0].tolist() == (face[0, 0].tolist() if len(shape) == 3 else [40, 40, 40])


def test_plane_names_quadrants_by_its_axes():
    assert efficiency.quadrant(50.24, -1.72) == "IV UAR"
    assert efficiency.quadrant(-5, -1) == "III UER"
    assert efficiency.quadrant(5, 1) == "I OER"
    assert efficiency.quadrant(-24.3, 0) == "on an axis"
    point = efficiency.PlanePoint("one of ours", 1_939_304, 69.71)
    drawn = efficiency.quality_plane([], [point])
    assert "III UER</td>" in drawn
    assert "The paper contradicts itself" in drawn


@pytest.mark.parametrize(("macs", "cell"), [(871_040_000, "871.0 M"), (0, NONE), (None, NONE)])
def test_macs_are_the_records(tmp_path, macs, cell):
    put(tmp_path / "run", make_record() | ({} if macs is None else {"macs": macs}))
    page, _ = build(tmp_path, tmp_path / "out")
    assert f'>5,745,639</td><td class="figure">{cell}</td>' in page


def test_axis_holds_its_values_with_round_ticks():
    axis = Axis.over([0.13, 0.97], "x")
    assert axis.low <= 0.13
    assert axis.high >= 0.97
    assert [text for _, text in axis.ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert Axis.over([3, 3], "x").low < 3 < Axis.over([3, 3], "x").high


def test_embedding_repeats_and_takes_few_or_equal_features():
    features = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
    assert np.array_equal(embed_features(features), embed_features(features))
    assert embed_features(np.ones((12, 5), dtype=np.float32)).shape == (12, 2)
    assert embed_features(features[:, :1]).shape == (24, 2)


def test_loose_records_are_read(results, tmp_path):
    model = {"network": "spayolo/fer2013", "input": [1, 3, 224, 224]}
    (results / "latency.json").write_text(json.dumps({"model": model, "ratio": 19.62}))
    record = {"model": "default", "corruptions": {"low_light": {"points": [{"severity": 5, "kept": 0.25}]}}}
    (results / "robustness.json").write_text(json.dumps(record))
    (results / "deeper").mkdir()
    use = {**model, "mib": 37.46, "ratio": 5.39}
    (results / "deeper" / "memory.json").write_text(json.dumps({"models": [use, None, {"mib": "much", "input": 3}]}))
    page, _ = build(results, tmp_path / "out")
    assert ">19.6</td>" in page
    assert ">37.5 (5.4)</td>" in page
    assert "low light: 25 % kept at severity 5" in page
