"""From an arm of a run to a model of the zoo: evaluated, packed, described."""
