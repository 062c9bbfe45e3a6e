"""Autoencoders and their training."""
