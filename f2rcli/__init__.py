"""f2r: evaluate and compare models on fine-grained fragment retrieval."""

__version__ = "0.1.0"
