"""Hostile files, each made small and read by what RegReveal reads such files with."""
