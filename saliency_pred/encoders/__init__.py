"""Encoders: an image or clip in, a list of feature maps with declared channels and strides out."""
