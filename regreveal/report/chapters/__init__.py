"""Chapters of the report: what is shown, in what order, and what is said about it."""
