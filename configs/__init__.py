"""Every choice a user makes, as Hydra YAML files; installed as the package ``saliency_pred.configs``."""
