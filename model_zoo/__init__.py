"""Trained models, a folder each: a card, recipes, weights."""
