"""Of how few people nothing is told."""

SMALLEST_COUNT = 5  # participants; fewer than this are not counted out
