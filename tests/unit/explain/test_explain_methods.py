"""All methods on networks whose evidence is known, and their errors."""

import numpy as np
import pytest
import torch
from planted_stages import HAPPY, SAD, BrightOrDark, card_of, planted_images, save_run

from mien.core.errors import ModelError
from mien.explain.faces import load_explainer
from mien.explain.methods import METHODS, Explainer
from mien.explain.occlusion import occlude
from mien.explain.torch_explainer import TorchExplainer
from mien.models import registry

ATTRIBUTIONS = METHODS[:-1]
HEIGHT, WIDTH, SIDE = 48, 64, 8
LAYERS = {"gradcam": "coarse", "gradcam++": "coarse", "layercam": "coarse"}


@pytest.fixture(scope="module")
def planted():
    return TorchExplainer(BrightOrDark(), card_of())


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    options = {"width": 4, "depths": (1, 1), "multipliers": (1, 2), "strides": (1, 2), "stem": "full"}
    network = registry.create("resnet18", options=options)
    return TorchExplainer(network, card_of(network="resnet18"))


def middle(values):
    """The mean place (y, x) of the evidence, in pixels."""
    evidence = np.clip(values, 0, None)
    rows, columns = np.indices(values.shape) + 0.5
    return np.array([(evidence * rows).sum(), (evidence * columns).sum()]) / evidence.sum()


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_the_evidence_is_where_it_was_planted_wherever_that_is(planted, method):
    # steps of 1 pixel, of which the coarse stage sees one in four
    places = [(8, 8), (8, 13), (9, 8), (30, 41), (35, 20)]
    images = planted_images(places, HEIGHT, WIDTH, SIDE)
    for image_map, (y, x) in zip(planted.explain(images, method), places, strict=True):
        assert (image_map.method, image_map.layer, image_map.label) == (method, LAYERS.get(method, ""), "happy")
        values = image_map.resized(HEIGHT, WIDTH)
        top = np.argwhere(values >= values.max() * (1 - 1e-6))
        assert ((top >= (y, x)) & (top < (y + SIDE, x + SIDE))).all()
        # squares that occlude stand four pixels apart
        error = 0.8 if method == "occlusion" else 0.3
        assert middle(values) == pytest.approx((y + SIDE / 2, x + SIDE / 2), abs=error)


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_the_other_class_has_other_evidence(planted, method):
    images = planted_images([(8, 8)], HEIGHT, WIDTH, SIDE)
    images[0, 0, 30:38, 40:48] = -1.9
    (happy,), (sad,) = (planted.explain(images, method, labels=[label]) for label in (HAPPY, SAD))
    assert middle(happy.resized(HEIGHT, WIDTH)) == pytest.approx((12, 12), abs=1.5)
    assert middle(sad.resized(HEIGHT, WIDTH)) == pytest.approx((34, 44), abs=1.5)


def activations(explainer, images, label):
    """The last map and the logit's gradient by it, written again: the head is linear."""
    network = explainer.network
    with torch.no_grad():
        maps = network.maps(torch.from_numpy(images)).numpy().astype(float)
    weights = network.fc.weight[label].detach().numpy().astype(float)
    return maps, np.broadcast_to((weights / maps[0, 0].size)[:, None, None], maps.shape)


def test_class_activation_maps_have_their_equations_values(small):
    images = np.random.default_rng(0).normal(size=(3, 1, 12, 16)).astype(np.float32)
    maps, gradients = activations(small, images, HAPPY)
    square, cube = gradients**2, gradients**3
    alpha = square / (2 * square + maps.sum((2, 3), keepdims=True) * cube)
    weights = {
        "gradcam": gradients.mean((2, 3), keepdims=True),
        "gradcam++": (alpha * np.maximum(gradients, 0)).sum((2, 3), keepdims=True),
        "layercam": np.maximum(gradients, 0),
    }
    for method, weight in weights.items():
        found = small.explain(images, method, labels=[HAPPY] * 3)
        wanted = np.maximum((weight * maps).sum(1), 0)
        np.testing.assert_allclose(np.stack([one.values for one in found]), wanted, rtol=1e-4, atol=1e-7)


def test_integrated_gradients_add_up_to_what_the_logit_gained(small):
    images = np.random.default_rng(2).normal(size=(2, 1, 12, 16)).astype(np.float32)
    with torch.no_grad():
        pair = torch.from_numpy(np.concatenate([images, np.zeros_like(images)]))
        logits = small.network(pair).numpy()[:, SAD]
    found = small.explain(images, "integrated_gradients", labels=[SAD, SAD])
    np.testing.assert_allclose([one.values.sum() for one in found], logits[:2] - logits[2:], rtol=0.02, atol=1e-3)


def test_occlusion_is_the_mean_loss_over_the_squares_that_cover_a_pixel():
    weights = np.random.default_rng(4).random((12, 18))

    def predict(images):
        return np.stack([(images[:, 0] * weights).sum((1, 2)), np.zeros(len(images))], 1)

    images = np.random.default_rng(5).normal(size=(2, 1, 12, 18)).astype(np.float32)
    found = occlude(predict, images, np.array([0, 0]))
    # squares of 2 x 2, one pixel apart
    lost = weights * images[:, 0]
    wanted, count = np.zeros((2, 12, 18)), np.zeros((12, 18))
    for y in range(11):
        for x in range(17):
            wanted[:, y : y + 2, x : x + 2] += lost[:, y : y + 2, x : x + 2].sum((1, 2), keepdims=True)
            count[y : y + 2, x : x + 2] += 1
    np.testing.assert_allclose(found, wanted / count, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [7, 9, 12, 31, 48, 112, 224])
def test_occlusion_treats_a_mirrored_image_in_the_mirrored_way(length):
    weights = np.random.default_rng(6).random(length)

    def predict(images):
        return (images[:, 0] * weights).sum((1, 2), keepdims=True)[:, 0]

    images = np.ones((1, 1, 7, length), dtype=np.float32)
    one = occlude(predict, images, np.array([0]))
    weights = weights[::-1]
    np.testing.assert_allclose(occlude(predict, images, np.array([0])), one[:, :, ::-1], rtol=1e-5)


def test_a_file_is_explained_by_occlusion_only(tiny_model):
    explainer = load_explainer(tiny_model)
    assert type(explainer) is Explainer
    images = planted_images([(10, 20)], 48, 48, 12)
    (one,) = explainer.explain(images)
    assert (one.method, one.is_signed) == ("occlusion", True)
    assert middle(one.values) == pytest.approx((16, 26), abs=1.5)
    for method in ("gradcam", "parts"):
        with pytest.raises(ModelError, match=r"Available methods: occlusion"):
            explainer.explain(images, method)


def test_errors_list_what_is_available(planted):
    images = planted_images([(8, 8)], HEIGHT, WIDTH)
    with pytest.raises(ModelError, match=r"No method 'gradcm'. Did you mean 'gradcam'\? Methods: gradcam, gradcam\+\+"):
        planted.explain(images, "gradcm")
    with pytest.raises(ModelError, match=r"explains the input image.*leave it out"):
        planted.explain(images, "occlusion", "coarse")
    with pytest.raises(ModelError, match=r"no parts with maps of their own.*Available methods: gradcam, "):
        planted.parts(images)
    with pytest.raises(ModelError, match=r"labels \[7\] for 1 images; expected one per image, from 0 to 6"):
        planted.explain(images, labels=[7])
    with pytest.raises(ModelError, match=r"this network takes \(n, 1, height, width\)"):
        planted.explain(images[0])


def test_a_run_folder_predicts_as_its_network(tmp_path):
    folder = save_run(tmp_path / "run", {"name": "resnet18", "options": {"width": 4, "stem": "small"}})
    explainer = load_explainer(folder)
    images = np.random.default_rng(0).normal(size=(20, 1, 48, 48)).astype(np.float32)
    with torch.no_grad():
        wanted = explainer.network(torch.from_numpy(images)).softmax(1).numpy()
    np.testing.assert_allclose(explainer.predict(images), wanted, rtol=1e-5)
    maps = explainer.explain(images, "gradcam", "stage3")  # more than one batch
    assert [one.label for one in maps] == [explainer.labels[number] for number in wanted.argmax(1)]
    np.testing.assert_allclose(maps[17].values, explainer.explain(images[17:18], "gradcam", "stage3")[0].values, 1e-3)
