"""What RegReveal finds where it is installed, whether it works there, and what to do if not."""
