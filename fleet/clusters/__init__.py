"""The only door to API servers: client, informer, circuit breaker, leader election, supervision."""
