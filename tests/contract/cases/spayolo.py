BACKBONES = {"yolov8n_cls": {}}
# With their own 0.03, the norms' statistics would need some hundred steps more to catch up.
SLIM = {
    name: {"width": 0.25, "norm_momentum": 0.2} for name in ("yolov8n_cls", "yolov8s_cls", "yolov8m_cls", "spayolo")
}


def spam(**options: object) -> dict[str, object]:
    return {"modulators": {"stage3": {"name": "spam", **options}}}


ABLATIONS = {
    "spayolo": [
        {"modulators": {"stage3": "none"}},  # Table 4, row 1
        spam(use_fft=False),  # row 3
        spam(use_multi_scale=False),  # row 4
        spam(use_fft=False, use_multi_scale=False),
        spam(form="elementwise"),
        spam(form="elementwise", gate_source="fused"),
        spam(form="elementwise", use_fft=False),
        spam(form="elementwise", use_multi_scale=False),
        spam(reduction=8),
        {"modulators": {"stage3": "none", "stage2": "spam"}},  # "layers C3 or C4"
        {"modulators": {"stage3": "despam"}},
    ],
    "yolov8s_cls": [
        {"options": {"width": 0.25}},
        {"options": {"depth": 0.67}},
        {"options": {"max_channels": 512}},
        {"options": {"feature_size": 640}},
        {"modulators": {"stage3": "spam"}},
    ],
    "yolov8n_cls": [{"options": {"width": 0.125}}],
    "yolov8m_cls": [{"options": {"depth": 0.33}}],
}
