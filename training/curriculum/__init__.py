"""The difficulty-aware curriculum: which samples GRPO is trained on, and in which order."""
