"""Fixation metrics: exact, batched, on any device."""
