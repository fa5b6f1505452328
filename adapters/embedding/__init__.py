"""Embedding retrievers: what is similar to the query, by any encoder."""

from f2rcli.adapters.embedding.retriever import EmbeddingRetriever, choose_rule

__all__ = ["EmbeddingRetriever", "choose_rule"]
