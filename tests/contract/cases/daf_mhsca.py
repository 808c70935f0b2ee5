SLIM = {"daf_mhsca": {"width": 16}}
ABLATIONS = {
    "daf_mhsca": [
        # Table 4
        {"modulators": {"stage4": "none"}},
        {"options": {"use_daf": False}},
        {"options": {"use_channel_attention": False}},
        {"options": {"use_mhsca": False}},
        # Table 5
        {"options": {"heads": 1}},
        {"options": {"heads": 2}},
        {"options": {"heads": 8}},
        {"options": {"heads": 16}},
        {"options": {"cross": "algorithm"}},
        {"options": {"map_size": 2}},
        {"options": {"width": 32}},
        {"modulators": {"stage4": {"name": "afc", "fusion": "concat"}}},
        {"modulators": {"stage4": {"name": "afc", "reduction": 8}}},
        {"modulators": {"stage4": {"name": "afc", "dilations": [1, 2]}}},
        {"modulators": {"stage4": "none", "stage3": "afc"}},
    ],
}
