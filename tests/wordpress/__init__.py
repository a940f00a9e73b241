"""A real WordPress with the companion plugin, on loopback."""
