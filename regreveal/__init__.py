"""RegReveal asks whether registering medical images first reveals more biology."""
