"""Networks and data that travel with the package, for the demo and the tests."""
