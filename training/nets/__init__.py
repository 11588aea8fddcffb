"""Networks, and the framing around them."""
