"""Servers for an export: TensorFlow Serving as a process or a container, and the embedded server that replaces it."""
