"""Training that reads frames, or slices, in their order."""
