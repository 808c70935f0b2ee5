"""Recognition: detectors, the network and the recogniser over them; onnxruntime and OpenCV, never torch."""
