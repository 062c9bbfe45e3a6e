"""PheWAS: which diseases a latent space tells of, and how two spaces differ in it."""
