"""Supervised fine-tuning of any checkpoint that the transformers adapter loads, by recipe."""
