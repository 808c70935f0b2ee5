import torch

from mien.models.face_detector import FaceDetector
from mien.models.layers.folding import fold


def test_one_cell_for_8_x_8_pixels_and_the_same_maps_wherever_the_image_ends():
    network = FaceDetector((4, 8, 8), 8, (3, 3)).eval()
    images = torch.rand(2, 1, 128, 192) * 255
    maps = network(images)
    assert maps.shape == (2, 6, 16, 24)
    inner = network(images[..., 32:, 64:])
    assert torch.allclose(maps[..., 8:12, 12:20], inner[..., 4:8, 4:12], atol=1e-4)


def test_an_untrained_network_sees_no_faces():
    maps = FaceDetector((4, 8, 8), 8, (3, 3)).eval()(torch.rand(1, 1, 64, 64) * 255)
    assert maps[:, 0].sigmoid().max() < 0.1


def test_a_folded_network_computes_the_same():
    network = FaceDetector((4, 8, 8), 8, (3, 5, 3))
    images = torch.rand(4, 1, 64, 96) * 255
    network(images)  # running statistics other than 0 and 1
    network.eval()
    folded = fold(network, images)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    assert torch.allclose(folded(images), network(images), atol=1e-4)
