_SMALL = {"growth": 16, "middle": 16, "depth": 12}
BACKBONES = {"ldcnn": {"depth": 12, "growth": 16}}
SLIM = {"ldcnn": _SMALL, "cldcnn": _SMALL, "sldcnn": _SMALL}

_STAGES = ("stage1", "stage2", "stage3", "stage4")


def _everywhere(choice: object) -> dict[str, object]:
    return {"modulators": dict.fromkeys(_STAGES, choice)}


ABLATIONS = {
    "ldcnn": [
        *({"options": {"depth": depth}} for depth in (12, 20, 44)),
        {"options": {"growth": 32}},
        {"options": {"composite": "plain"}},
        {"options": {"middle": 17}},
        {"options": {"compression": 0.75}},
        {"options": {"stem_channels": 64}},
    ],
    "cldcnn": [
        _everywhere("none"),
        _everywhere("sldcnn_spatial"),
        _everywhere({"name": "sldcnn_channel", "reduction": 4}),
        _everywhere({"name": "sldcnn_channel", "use_fixed_width": True}),
    ],
    "sldcnn": [
        _everywhere("none"),
        _everywhere("sldcnn_channel"),
        {"modulators": {"stage1": "none"}},
        *({"options": {"depth": depth}} for depth in (12, 20, 44)),
        _everywhere({"name": "sldcnn_spatial", "kernel": 3}),
        _everywhere({"name": "sldcnn_spatial", "dilation": 2}),
        _everywhere({"name": "sldcnn_spatial", "maps": 2}),
        _everywhere({"name": "sldcnn_spatial", "use_main_branch": True}),
        _everywhere({"name": "sldcnn_spatial", "use_shared_kernel": False}),
        *(_everywhere(name) for name in ("se", "cbam", "gam")),
        _everywhere({"name": "cbam", "version": "released"}),
    ],
}
