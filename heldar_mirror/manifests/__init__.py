"""The manifests: which hash each segment had when it was closed."""
