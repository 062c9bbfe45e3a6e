"""What a latent space knows of phenotypes and diseases."""
