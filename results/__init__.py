"""Run records and what is made of them: derived predictions, scores, tables."""
