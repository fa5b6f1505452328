"""The pre-training of f2rvlm-nano-base: what a real backbone brings along, given to a small one."""
