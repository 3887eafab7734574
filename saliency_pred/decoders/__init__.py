"""Decoders: a list of feature maps in, logits over time windows out."""
