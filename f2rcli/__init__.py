"""f2r: evaluate and compare models on fine-grained fragment retrieval."""

__version__ = "0.1.0"

EXIT_GATE = 1  # a gate says no
EXIT_UNANSWERED = 3  # finished, but with requests unanswered: the same command asks them again
