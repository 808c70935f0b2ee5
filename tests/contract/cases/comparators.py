"""The networks that the five papers compare theirs with."""

# Too large to be made dozens of times: all contract tests use these options instead of the defaults.
SMALL = {
    "resemotenet": {"width": 8},
    "emonext_tiny": {"depths": [1, 1, 2, 1], "channels": [16, 24, 32, 48], "localization_size": 4, "drop_path": 0.0},
    "dan": {"width": 16},
    "resnet18_cbam": {"width": 16},
    "efficientnet_b2": {"width": 0.25, "depth": 0.5},
    "ddamfn": {"repeats": [1, 1, 1], "features": 64},
}
# Keeps maps of more than one position, and drops nothing, for memorizing sixteen small images.
SLIM = {
    "resemotenet": {"width": 8, "map_dropout": 0.0, "dropout": 0.0},
    "emonext_tiny": SMALL["emonext_tiny"],
    "dan": {"width": 16, "stem": "small"},
    "resnet18_cbam": {"width": 16},
    "efficientnet_b2": {
        "width": 0.35,
        "depth": 0.5,
        "strides": [1, 2, 2, 1, 1, 1, 1],
        "dropout": 0.0,
        "drop_path": 0.0,
    },
    "ddamfn": {"repeats": [0, 0, 0], "features": 64},
}
ABLATIONS = {
    "resemotenet": [{"options": {"width": 12}}, {"options": {"reduction": 8}}, {"modulators": {"stage3": "se"}}],
    "emonext_tiny": [
        {"options": {"depths": [1, 1, 1, 1]}},
        {"options": {"channels": [16, 24, 32, 40]}},
        {"options": {"reduction": 8}},
        {"options": {"localization_size": 5}},
    ],
    "dan": [
        {"options": {"heads": 1}},
        {"options": {"heads": 2}},
        {"options": {"reduction": 8}},
        {"options": {"stem": "small"}},
    ],
    "resnet18_cbam": [{"options": {"width": 32}}, {"options": {"depths": [1, 1, 1, 1]}}],
    "efficientnet_b2": [
        {"options": {"width": 0.5}},
        {"options": {"depth": 1.0}},
        {"options": {"strides": [1, 2, 2, 2, 1, 1, 1]}},
    ],
    "ddamfn": [{"options": {"heads": 1}}, {"options": {"repeats": [0, 1, 1]}}, {"options": {"features": 32}}],
}
