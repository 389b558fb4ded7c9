"""The pure engine: no clock, random, file, network, logging, web or database package."""
