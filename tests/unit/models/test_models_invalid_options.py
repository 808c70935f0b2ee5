"""Invalid options of networks and modulators are one-line errors that say what is allowed."""

from __future__ import annotations

import pytest

from mien.core.errors import RecipeError
from mien.models import registry
from mien.models.modulators.registry import create_modulator
from mien.models.network import Stage

NETWORKS = [
    ("daf_mhsca", {"heads": 0}, "heads is 0; it must be at least 1"),
    ("daf_mhsca", {"map_size": 0}, "map_size is 0; it must be at least 1"),
    ("daf_mhsca", {"cross": "both"}, "expected one of 'equation', 'algorithm'"),
    ("daf_mhsca", {"use_ca": False}, "No option 'use_ca' of network 'daf_mhsca'."),
    ("despam", {"depths": [1]}, "each needs one per stage"),
    ("despam", {"kernel": 4}, "kernel_size is 4; it must be odd"),
    ("ldcnn", {"depth": 33}, "depth is 33; it must be a multiple of 4"),
    ("ldcnn", {"depth": 4}, "at least 8"),
    ("ldcnn", {"growth": 0}, "growth, middle and stem_channels are 0"),
    ("ldcnn", {"middle": 0}, "must be at least 1"),
    ("ldcnn", {"stem_channels": 0}, "must be at least 1"),
    ("ldcnn", {"compression": 0.0}, "compression is 0.0; it must be above 0"),
    ("ldcnn", {"compression": 1.5}, "compression is 1.5"),
    ("ldcnn", {"growth": 1, "compression": 0.1}, "leave a channel"),
    ("ldcnn", {"composite": "dense"}, "expected one of 'bottleneck', 'plain'"),
    ("mobilenet_v2", {"width": 0.0}, "width is 0.0"),
    ("mobilenet_v2", {"width": "1"}, "expected float"),
    ("mobilenet_v2", {"stem_stride": 3}, "stem_stride is 3"),
    ("mobilenet_v2", {"strides": [1, 2, 2]}, "there must be 7"),
    ("mobilenet_v2", {"strides": [1, 2, 2, 2, 1, 4, 1]}, "each 1 or 2"),
    ("resnet18", {"widht": 3}, "Did you mean 'width'? Options: depths, width"),
    ("resnet18", {"num_classes": 3}, "No option 'num_classes'"),
    ("resnet18", {"stem": "big"}, "one of 'imagenet', 'small', 'full'"),
    ("resnet18", {"depths": [2, 2]}, "each needs one per stage"),
    ("resnet18", {"width": 0}, "at least 1"),
    ("resnet18", {"dropout": 2.0}, "dropout probability"),
    ("resnet18", {"use_zero_gamma": True, "use_branches": True}, "exclude each other"),
    ("yolov8s_cls", {"width": 0.0}, "width is 0.0; it must be above 0 and at most 4."),
    ("yolov8s_cls", {"depth": -1.0}, "depth is -1.0; it must be above 0 and at most 4."),
    ("yolov8s_cls", {"feature_size": 0}, "max_channels and feature_size are 1024 and 0; at least 1 each."),
    ("yolov8s_cls", {"norm_momentum": 0.0}, "norm_momentum is 0.0; it must be above 0 and at most 1."),
]
MODULATORS = [
    ("afc", {"reduction": 0}, "reduction is 0; it must be at least 1"),
    ("afc", {"dilations": []}, "each at least 1"),
    ("afc", {"dilations": [1, 0]}, "each at least 1"),
    ("bam", {"reduction": 17}, "stage 'stage2' allows 1 to 16"),
    ("bam", {"dilation": 0}, "dilation is 0"),
    ("cbam", {"kernel": 2}, "kernel is 2; it must be odd"),
    ("cbam", {"order": "backwards"}, "expected one of"),
    ("cbam", {"version": "new"}, "expected one of"),
    ("despam", {"reduction": 0}, "stage 'stage2' allows 1 to 16"),
    ("despam", {"gate_kernel": 2}, "gate_kernel is 2; it must be odd"),
    ("despam", {"kernel": 2}, "kernel_size is 2"),
    ("despam", {"drop": 0.1}, "No option 'drop' of modulator 'despam'. Did you mean 'dropout'?"),
    ("gam", {"kernel": 4}, "kernel is 4"),
    ("gam", {"groups": 3}, "groups is 3; it must divide 16 and 4"),
    ("gam", {"groups": 0}, "groups is 0"),
    ("hfc", {"cutoff": -0.1}, "cutoff is -0.1"),
    ("hfc", {"cutoff": 1.0}, "cutoff is 1.0; it must be at least 0 and below 1"),
    ("hfc", {"kernel": 4}, "kernel is 4"),
    ("se", {"reduction": 17}, "stage 'stage2' allows 1 to 16"),
    ("sldcnn_channel", {"reduction": 17}, "stage 'stage2' allows 1 to 16"),
    ("sldcnn_spatial", {"kernel": 6}, "kernel is 6"),
    ("sldcnn_spatial", {"dilation": 0}, "dilation and maps are 0 and 1"),
    ("sldcnn_spatial", {"maps": 0}, "dilation and maps are 1 and 0"),
    ("spam", {"reduction": 17}, "stage 'stage2' allows 1 to 16"),
    ("spam", {"form": "written"}, "expected one of 'pairwise', 'elementwise'"),
    ("spam", {"use_fft": 1}, "expected bool"),
]


@pytest.mark.parametrize(("name", "options", "words"), NETWORKS)
def test_invalid_options_of_networks(name, options, words):
    with pytest.raises(RecipeError) as caught:
        registry.create(name, options=options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "options", "words"), MODULATORS)
def test_invalid_options_of_modulators(name, options, words):
    with pytest.raises(RecipeError) as caught:
        create_modulator({"name": name, **options}, Stage("stage2", 16, 8))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parts_that_do_not_add_up_to_the_stage():
    with pytest.raises(RecipeError, match="parts of 9 and 10 channels"):
        create_modulator("sldcnn_spatial", Stage("stage1", 10, 4, parts=(4, 5)))
