"""From a trained model to predictions of images, folders and arrays."""
