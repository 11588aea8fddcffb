"""From a music collection to pairs to train on."""
