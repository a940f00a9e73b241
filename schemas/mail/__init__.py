"""Mail that arrives: who it is from for certain, and which of a few sentences it says. Nothing here keeps any of it."""
