"""The agent on a host: installs releases, runs two colours, switches the proxy between them."""
