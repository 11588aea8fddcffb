"""Training of the causal restorer: damage, data, model, loop, evaluation."""
