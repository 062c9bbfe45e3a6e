"""A biobank drawn from one seed, with its truth."""
