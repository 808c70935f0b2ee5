"""Recognition with onnxruntime and OpenCV, without torch: detectors, models, recogniser, videos and archives."""
