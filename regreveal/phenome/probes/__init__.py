"""Linear probes: how well latents predict phenotypes, in the same folds for every arm."""
