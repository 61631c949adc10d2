"""The doors out: to API servers (client, informer, circuit breaker, leader election, supervision)
and, in `web`, to addresses that people name."""
