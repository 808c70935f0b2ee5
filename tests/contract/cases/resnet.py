BACKBONES = {"resnet18": {"width": 16}}
SLIM = {"resnet18": {"width": 16}, "resnet34": {"width": 16}}
ABLATIONS = {
    "resnet18": [
        {"options": {"depths": [1, 1, 1, 1]}},
        {"options": {"width": 32}},
        {"options": {"multipliers": [1, 2, 3, 4]}},
        {"options": {"strides": [1, 2, 2, 1]}},
        {"options": {"stem": "small"}},
        {"options": {"stem": "full"}},
        {"options": {"use_zero_gamma": True}},
        {"options": {"use_branches": True}},
        {"modulators": {"stage1": "despam"}},
    ],
    "resnet34": [{"options": {"width": 32}}],
}
