"""What makes the paper's two schemes quick: proven bounds of their distances, which leave few to be computed."""
