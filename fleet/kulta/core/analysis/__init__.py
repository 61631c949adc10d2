"""Numbers to verdicts: `queries` are the texts, `rounds` says when they are asked, `thresholds`
judges one number, `checks` keeps the count and says what it means for the rollout."""
