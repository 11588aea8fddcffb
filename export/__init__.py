"""From a training checkpoint to one verified ONNX file."""
