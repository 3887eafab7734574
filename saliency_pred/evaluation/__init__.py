"""Scoring a model or a baseline on a data set, and the report about it."""
