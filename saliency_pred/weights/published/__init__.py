"""Importers of official checkpoints, one network a file."""
