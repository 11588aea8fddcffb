"""Models of others, made into model files."""
