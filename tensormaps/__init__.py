"""Declared views of stored tensors, one module per modality."""
