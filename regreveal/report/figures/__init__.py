"""Figures: a module for each kind of thing that is drawn; none of them reads a file."""
