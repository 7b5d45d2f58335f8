"""The built-in sets, which are drawn: atelier and portraits."""
