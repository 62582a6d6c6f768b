"""The disposable hosts and services that the demo and the tests run on."""
