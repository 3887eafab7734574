"""Scanpath models: sequences of fixated objects, not maps."""
