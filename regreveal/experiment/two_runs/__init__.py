"""Arms of two runs made apart, compared."""
