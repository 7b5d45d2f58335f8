"""`a2 visualize-weights`: filters, units, ascents, films, maps, each against random weights."""
