"""What makes the paper's two schemes quick: proven bounds of their distances, so that few must be computed."""
