"""Clock, logs, metrics, and the small server that shows them."""
