"""From a trained network to an .onnx file with its card inside. Needs the `export` extra."""
