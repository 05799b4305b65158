"""What makes searches quick: proven bounds of the distances, so that few must be computed."""
