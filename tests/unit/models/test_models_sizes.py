"""Parameter counts and costs: the papers' own, and those that our pages state."""

from __future__ import annotations

import pytest
import torch

from mien.models import registry
from mien.models.complexity import count_macs, count_parameters
from mien.models.modulators.registry import create_modulator
from mien.models.network import Stage
from mien.recipes import load_ablations, load_recipe

PLAIN = {"composite": "plain", "growth": 24, "compression": 0.75, "stem_channels": 32}
NETWORKS = [
    # name, input channels, classes, options, parameters
    ("resnet18", 1, 7, {}, 11_173_831),
    ("resnet18", 3, 7, {}, 11_180_103),
    ("resnet34", 3, 7, {}, 21_288_263),
    ("mobilenet_v2", 3, 1000, {}, 3_504_872),
    ("mobilenet_v2", 1, 7, {}, 2_232_263),
    ("despam", 3, 7, {}, 1_312_339),
    ("spayolo", 3, 7, {}, 5_745_639),
    ("yolov8s_cls", 3, 7, {}, 5_089_703),
    ("yolov8n_cls", 3, 1000, {}, 2_719_288),
    ("yolov8s_cls", 3, 1000, {}, 6_361_736),
    ("yolov8m_cls", 3, 1000, {}, 17_053_336),
    # docs/papers/sldcnn.md: 1.78 M within 0.5 % at depth 32
    ("sldcnn", 1, 7, {"depth": 12}, 274_179),
    ("sldcnn", 3, 7, {"depth": 12}, 287_507),
    ("sldcnn", 1, 7, {"depth": 20}, 725_792),
    ("sldcnn", 3, 7, {"depth": 20}, 739_120),
    ("sldcnn", 1, 7, {}, 1_773_035),
    ("sldcnn", 3, 7, {}, 1_786_363),
    ("sldcnn", 1, 7, {"depth": 44}, 3_265_871),
    ("sldcnn", 3, 7, {"depth": 44}, 3_279_199),
    ("sldcnn", 1, 7, PLAIN, 1_781_579),
    ("ldcnn", 1, 7, {}, 1_772_611),
    ("cldcnn", 1, 7, {}, 2_089_639),
    # the comparators, as their publications or the papers that compare with them print them
    ("resemotenet", 3, 7, {}, 80_238_599),  # 80.24 M
    ("emonext_tiny", 3, 7, {}, 30_564_331),  # 30.56 M
    ("dan", 3, 7, {}, 19_723_733),  # 19.72 M
    ("ddamfn", 3, 7, {}, 4_105_999),  # 4.11 M
    ("resnet18_cbam", 3, 1000, {}, 11_779_392),  # 11.78 M
    ("resnet18_cbam", 3, 7, {}, 11_269_983),
    ("efficientnet_b2", 3, 1000, {}, 9_109_994),
    ("efficientnet_b2", 3, 7, {}, 7_710_857),
    # docs/papers/daf_mhsca.md
    ("daf_mhsca", 3, 7, {}, 25_020_148),
    ("daf_mhsca", 3, 7, {"heads": 16}, 27_041_944),
    ("daf_mhsca", 3, 7, {"use_mhsca": False}, 24_346_216),
    ("daf_mhsca", 3, 7, {"use_daf": False}, 19_230_452),
    ("daf_mhsca", 3, 7, {"use_channel_attention": False}, 24_886_900),
]
MODULATORS = [
    # name, options, channels, parameters
    ("afc", {}, 512, 7_376_417),
    ("hfc", {}, 16, 16 + 49),
    ("hfc", {"query": "both"}, 16, 16 + 2 * 49),
    ("hfc", {"query": "both_hl"}, 16, 16 + 3 * 49),
    ("se", {}, 64, 2 * 64 * 4),
    ("se", {"use_bias": True}, 64, 2 * 64 * 4 + 68),
    ("sldcnn_channel", {}, 64, 2 * 64 * 4),
    ("sldcnn_channel", {"use_fixed_width": True}, 64, 2 * 64 * 16),
    ("cbam", {}, 64, 2 * 64 * 4 + 98),
    ("cbam", {"version": "released"}, 64, 2 * 64 * 4 + 68 + 98 + 2),
    ("gam", {}, 64, 2 * 64 * 16 + 80 + 2 * 64 * 16 * 49 + 80 + 2 * 80),
    ("gam", {"groups": 4}, 64, 2 * 64 * 16 + 80 + 2 * 64 * 16 * 49 // 4 + 80 + 2 * 80),
    ("sldcnn_spatial", {}, 64, 98 + 1),
    ("sldcnn_spatial", {"use_main_branch": True}, 64, 98 + 1 + 128 + 64 * 4 + 8 + 4 * 4 * 9 + 8 + 4 * 64),
    ("sldcnn_spatial", {"maps": 3, "kernel": 3}, 64, 54 + 3),
    ("spam", {}, 256, 655_936),
    ("spam", {"use_fft": False}, 256, 655_936),
    ("spam", {"use_multi_scale": False}, 256, 296_768),
    ("spam", {"form": "elementwise"}, 256, 351_236),
    ("spam", {"reduction": 8}, 256, 655_936 - 32 * 513),
]


def on_meta(name, **arguments):
    with torch.device("meta"):
        return registry.create(name, **arguments)


@pytest.mark.parametrize(("name", "channels", "classes", "options", "count"), NETWORKS)
def test_parameters_of_networks(name, channels, classes, options, count):
    assert count_parameters(on_meta(name, in_channels=channels, num_classes=classes, options=options)) == count


@pytest.mark.parametrize(("name", "options", "channels", "count"), MODULATORS)
def test_parameters_of_modulators(name, options, channels, count):
    assert count_parameters(create_modulator({"name": name, **options}, Stage("stage1", channels, 4))) == count


@pytest.mark.parametrize(("backbone", "hfc", "bam"), [("resnet18", 708, 23_808), ("mobilenet_v2", 767, 11_192)])
@pytest.mark.parametrize("channels", [1, 3])
def test_parameters_that_hfc_and_bam_add(backbone, hfc, bam, channels):
    plain, with_hfc, with_bam = (
        count_parameters(on_meta(name, in_channels=channels))
        for name in (backbone, f"{backbone}_hfc", f"{backbone}_bam")
    )
    assert (with_hfc - plain, with_bam - plain) == (hfc, bam)


def test_costs():
    assert count_macs(on_meta("sldcnn"), 224, 1) == 1_742_327_489
    assert count_macs(on_meta("mobilenet_v2", in_channels=3, num_classes=1000), 224, 3) == 300_774_272  # "300 M"


def test_folded_parameters():
    assert count_parameters(on_meta("despam", in_channels=3).folded()) == 1_279_439
    assert count_parameters(on_meta("daf_mhsca", in_channels=3).folded()) == 25_014_836


def test_the_reading_of_sldcnn_with_a_main_branch():
    recipe = load_recipe("sldcnn/fer2013", ablation="main_branch").network
    network = on_meta(recipe.name, in_channels=1, options=recipe.options, modulators=recipe.modulators)
    assert count_parameters(network) == 1_782_966  # 1.78 M


@pytest.mark.parametrize(
    "name", ["spayolo/fer2013", "daf_mhsca/fer2013", "sldcnn/ckplus", "hfc/ckplus", "despam/fer2013"]
)
def test_every_ablation_of_a_paper_has_a_network(name):
    made = set()
    for ablation in (None, *load_ablations(name)):
        recipe = load_recipe(name, ablation=ablation).network
        key = recipe.model_dump_json()
        if key not in made:
            options, modulators = recipe.options, recipe.modulators
            on_meta(recipe.name, in_channels=recipe.channels, options=options, modulators=modulators)
        made.add(key)
    assert len(made) > 5
