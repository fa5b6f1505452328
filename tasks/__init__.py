"""What is asked and how it is scored: dialogues, queries, datasets, prompts, answers, metrics."""
