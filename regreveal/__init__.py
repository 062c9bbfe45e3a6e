"""RegReveal: does registering medical images first reveal more biology?"""
