"""Saving, loading and importing weights."""
