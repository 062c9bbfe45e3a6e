"""Raw formats in, TensorStore out; one format a module."""
