from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_model import MakeModel, tiny_card, tiny_network

from mien.core.card import METADATA_KEY
from mien.core.errors import ModelError
from mien.inference import model_files as module
from mien.inference import onnx_session
from mien.inference.model import OnnxModel, softmax
from mien.inference.onnx_graph import add_output, find_features


def faces(*levels: float) -> np.ndarray:
    """Faces (n, 1, 48, 48) with a given mean and variance 0.25."""
    checks = (np.indices((48, 48)).sum(0) % 2 - 0.5).astype(np.float32)
    return np.stack([checks[None] + np.float32(level) for level in levels])


def test_scores_are_the_networks(tiny_model: Path) -> None:
    scores = OnnxModel.load(tiny_model).predict(faces(1, -1))
    expected = np.array([[0, 0, 0, 2, -2, 0, 0, -42], [0, 0, 0, -2, 2, 0, 0, -42]], dtype=np.float64)
    assert np.allclose(scores.logits, expected, atol=1e-4)
    powers = np.exp(expected[:, :7])
    assert np.allclose(scores.probabilities, powers / powers.sum(1, keepdims=True), atol=1e-5)
    assert scores.probabilities.dtype == np.float32
    assert np.allclose(scores.reject, 0, atol=1e-6)


def test_a_flat_crop_is_rejected(tiny_model: Path) -> None:
    reject = OnnxModel.load(tiny_model).predict(np.zeros((1, 1, 48, 48), np.float32)).reject
    assert reject[0] == pytest.approx(np.exp(8) / (np.exp(8) + 7), abs=1e-5)


def test_temperature_softens_only_the_probabilities(make_model: MakeModel) -> None:
    plain = OnnxModel.load(make_model(tiny_card())).predict(faces(1))
    soft = OnnxModel.load(make_model(tiny_card(temperature=2.0), name="soft.onnx")).predict(faces(1))
    assert np.array_equal(plain.logits, soft.logits)
    assert np.array_equal(plain.reject, soft.reject)
    assert np.allclose(soft.probabilities, softmax(plain.logits[:, :7] / 2), atol=1e-6)


def test_a_network_that_cannot_reject(make_model: MakeModel) -> None:
    model = OnnxModel.load(make_model(tiny_card(reject_threshold=None), outputs=7))
    assert model.predict(faces(1, 0)).reject.tolist() == [0, 0]
    empty = model.predict(faces(1)[:0])
    assert (empty.logits.shape, empty.probabilities.shape, empty.reject.shape) == ((0, 7), (0, 7), (0,))


def test_softmax_of_large_numbers() -> None:
    assert softmax(np.array([[1000, 1000]], np.float32)).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("content", [b"no onnx", b""])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="is not an ONNX model") as caught:
        OnnxModel.load(tmp_path / "x.onnx")
    assert "\n" not in str(caught.value)


def test_missing_files_and_names(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        OnnxModel.load(tmp_path / "x.onnx")
    with pytest.raises(ModelError, match="No model named 'defalt'"):
        OnnxModel.load("defalt")
    with pytest.raises(ModelError, match="is a folder; expected an"):
        OnnxModel.load(tmp_path)
    with pytest.raises(ModelError, match="threads is 0"):
        OnnxModel.load("default", threads=0)


def test_a_run_s_folder_is_its_model(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "model.onnx").write_bytes(tiny_model.read_bytes())
    assert OnnxModel.load(run).card == OnnxModel.load(tiny_model).card
    monkeypatch.chdir(run.parent)
    assert OnnxModel.load("one").card.name


def test_a_missing_card_and_one_that_does_not_fit(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match=r"tiny\.onnx has no mien model card"):
        OnnxModel.load(make_model(None))
    with pytest.raises(
        ModelError, match=r"shape \(2, 7\) for 2 faces; its card says \(2, 8\), for angry.* and non-faces"
    ):
        OnnxModel.load(make_model(tiny_card(), outputs=7))


def test_other_input_names(tmp_path: Path) -> None:
    network = tiny_network()
    network.graph.input[0].name = "pixels"
    for node in network.graph.node:
        node.input[:] = ["pixels" if name == "images" else name for name in node.input]
    helper.set_model_props(network, {METADATA_KEY: tiny_card().to_json()})
    onnx.save(network, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="as its card says"):
        OnnxModel.load(tmp_path / "other.onnx")


def test_weights_in_another_file_are_refused_and_not_read_even_if_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "split.onnx"
    onnx.save(tiny_network(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match="keeps weights in another file"):
        OnnxModel.load(path)
    monkeypatch.setattr(onnx_session, "EXTERNAL_WEIGHT", b"\0never\0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="is not an ONNX model that can be run"):
        OnnxModel.load(path)


def test_too_large_files_are_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_session, "LARGEST_FILE", 10)
    with pytest.raises(ModelError, match="larger than"):
        OnnxModel.load(tiny_model)


def test_a_shipped_name_takes_precedence_over_a_file(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "assets").mkdir(parents=True)
    shipped = make_model(tiny_card(), name="shipped.onnx")
    shipped.rename(package / "assets" / "shipped.onnx")
    monkeypatch.setattr(module.resources, "files", lambda _: package)
    (tmp_path / "shipped").write_bytes(b"a file")
    make_model(tiny_card()).rename(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert list(module.model_files()) == ["shipped"]
    assert OnnxModel.load("shipped").source == "model 'shipped'"
    assert OnnxModel.load("mine").source == "mine"
    with pytest.raises(ModelError, match="is not an ONNX model"):
        OnnxModel.load("./shipped")
    with pytest.raises(ModelError, match="Did you mean 'shipped'"):
        OnnxModel.load("shiped")


class TestWeightFolders:
    @pytest.fixture
    def tree(self, make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A checkout with a package, its own weights, and a folder of the user's."""
        tree = tmp_path / "tree"
        for folder in ("src/mien/assets", "weights", "mine"):
            (tree / folder).mkdir(parents=True)
        (tree / "pyproject.toml").touch()
        for folder, name in (("src/mien/assets", "default"), ("weights", "default"), ("weights", "despam")):
            make_model(tiny_card()).rename(tree / folder / f"{name}.onnx")
        (tree / "weights" / "despam.json").write_text("{}")
        monkeypatch.setattr(module.resources, "files", lambda _: tree / "src" / "mien")
        monkeypatch.delenv("MIEN_WEIGHTS", raising=False)
        return tree

    def test_weights_of_a_source_tree_have_names(self, tree: Path) -> None:
        assert list(module.model_files()) == ["default", "despam"]
        assert module.model_files()["default"] == tree / "src" / "mien" / "assets" / "default.onnx"
        assert OnnxModel.load("despam").source == "model 'despam'"
        with pytest.raises(ModelError, match=r"Did you mean 'despam'.*Models: default, despam, or") as caught:
            OnnxModel.load("dspam")
        assert "\n" not in str(caught.value)

    def test_the_users_folder_comes_before_the_source_trees(
        self, tree: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MIEN_WEIGHTS", str(tree / "mine"))
        make_model(tiny_card(temperature=3.0)).rename(tree / "mine" / "despam.onnx")
        make_model(tiny_card()).rename(tree / "mine" / "other.onnx")
        assert list(module.model_files()) == ["default", "despam", "other"]
        assert OnnxModel.load("despam").card.temperature == 3
        monkeypatch.setenv("MIEN_WEIGHTS", "")
        assert OnnxModel.load("despam").card.temperature == 1

    def test_an_installed_package_looks_nowhere_else(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tree / "src").rename(tree / "site-packages")
        monkeypatch.setattr(module.resources, "files", lambda _: tree / "site-packages" / "mien")
        assert list(module.model_files()) == ["default"]

    def test_a_missing_folder(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIEN_WEIGHTS", str(tree / "absent"))
        with pytest.raises(ModelError, match=r"MIEN_WEIGHTS is .*absent, which is not a folder"):
            OnnxModel.load("despam")
        assert OnnxModel.load(tree / "weights" / "despam.onnx").card.name == "tiny"


def test_features_are_what_the_last_layer_takes(tiny_model: Path) -> None:
    model = OnnxModel.load(tiny_model)
    assert model.features(faces(1, -1)) == pytest.approx(np.array([[1, 0.25], [-1, 0.25]]), abs=1e-5)
    assert model.features(faces(1)[:0]).shape == (0, 2)
    assert find_features(tiny_model.read_bytes(), "logits") == "features"
    outputs = onnx.load_from_string(add_output(tiny_model.read_bytes(), "x" * 300)).graph.output
    assert [output.name for output in outputs] == ["logits", "x" * 300]


@pytest.mark.parametrize("operators", [["Gemm"], ["Gemm", "Identity"], ["MatMul", "Add"], ["Gemm", "Cast", "Cast"], []])
def test_a_last_layer_is_found_behind_what_follows_it(operators: list[str]) -> None:
    names = ["mean", *map(str, range(len(operators) - 1)), "logits"]
    nodes = [
        helper.make_node(operator, ["bias", one] if operator == "Add" else [one, "weight"], [other])
        for operator, one, other in zip(operators, names, names[1:], strict=False)
    ]
    nodes.insert(0, helper.make_node("ReduceMean", ["images"], ["mean" if operators else "logits"]))
    data = helper.make_model(helper.make_graph(nodes, "layers", [], [])).SerializeToString()
    assert find_features(data, "logits") == ("mean" if operators else "")


def test_a_network_without_a_last_layer_has_no_features(make_model: MakeModel) -> None:
    path = make_model(tiny_card())
    network = onnx.load(path)
    network.graph.node.append(helper.make_node("Relu", ["raw"], ["logits"]))
    network.graph.node[-2].output[0] = "raw"
    onnx.save(network, path)
    model = OnnxModel.load(path)
    with pytest.raises(ModelError, match="does not end in a linear layer"):
        model.features(faces(1))
