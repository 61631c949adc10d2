"""Numbers to verdicts: `queries` asks, `thresholds` judges a number, `checks` keeps the count."""
