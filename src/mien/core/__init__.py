"""The shared vocabulary: expressions, images, faces, model cards and errors. Needs numpy and OpenCV only."""
