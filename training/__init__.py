"""SFT, curriculum, GRPO, rewards and recipes (to come)."""
