"""Documents in, passages out. This package knows nothing of answers."""
