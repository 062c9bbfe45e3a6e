"""What is asked of the two latent spaces of a comparison: a module an analysis."""
