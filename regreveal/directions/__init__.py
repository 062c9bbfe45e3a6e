"""What a locus or a disease looks like: its direction in a latent space, decoded step by step."""
