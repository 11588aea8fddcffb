"""The model file, and ONNX Runtime behind it."""
