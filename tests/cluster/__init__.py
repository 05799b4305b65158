"""A package, so that its one cluster ends with its last test: idle, it would take a third of a core."""
