"""What turns a model, a loss and data into a training run."""
