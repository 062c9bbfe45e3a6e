"""Clusters of variants that move a latent space alike, and how clusterings compare."""
