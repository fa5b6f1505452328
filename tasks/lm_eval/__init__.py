"""f2r's tasks inside lm-evaluation-harness: `--include_path "$(f2r tasks --lm-eval-path)"`."""
