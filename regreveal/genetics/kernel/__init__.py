"""The sums that every test of a variant starts from: where all the time goes."""
