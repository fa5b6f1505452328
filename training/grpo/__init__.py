"""Group relative policy optimisation (GRPO): groups of sampled answers, scored by rewards."""
