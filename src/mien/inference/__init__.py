"""Recognition with onnxruntime and OpenCV, without torch: detectors, models, recognizer, videos and archives."""
